"""Lucene through the Anserini classes that Pyserini ships: the Java machine, indexing, search."""
