"""Raw collections: documents, queries, judgements."""
