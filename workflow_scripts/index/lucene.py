"""Index and search with Anserini's own classes: default English analyser, bag-of-words queries.

Ties. Anserini sorts hits by score descending, then by external document id ascending (by bytes), inside Lucene's
collector: the order and what falls off at the depth depend neither on threads nor on the order of indexing. Its last
step then rounds scores to 1e-4 and lowers tied ones by 1e-6 each, which makes near ties out of distinct scores and,
with many ties, scores that no longer fall. That step is left out here: a score is Lucene's own 32-bit one, equal scores
stand for true ties.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from workflow_scripts.index import java

RM3_TERMS, RM3_DOCUMENTS, RM3_WEIGHT = 10, 10, 0.5
"""Terms and documents of the feedback, and the original query's weight: Anserini's own settings."""
# A query may be a document (ArguAna's are), of whatever length; Lucene's own limit is 1024 distinct terms.
MAX_QUERY_TERMS = 2**31 - 1


def index_folder(documents: Path, index: Path, *, threads: int, heap_mb: int, docvectors: bool) -> None:
    """Index the JSONL files (id, contents) of a folder into one Lucene segment; stores ids, no text.

    ``docvectors`` keeps term vectors, which RM3 reads; they double the index. Anserini leaves out documents without
    text. The disk bounds it on large collections, the analyser's CPU time on small ones.
    """
    autoclass = java.start(heap_mb, threads)
    arguments = autoclass("io.anserini.index.IndexCollection$Args")()
    arguments.collectionClass = "JsonCollection"
    arguments.input, arguments.index = str(documents), str(index)
    arguments.threads = threads
    arguments.memoryBuffer = max(16, heap_mb // 4)
    arguments.storeDocvectors = docvectors
    arguments.optimize = True
    arguments.quiet = True
    autoclass("io.anserini.index.IndexCollection")(arguments).run()
    (index / "write.lock").unlink(missing_ok=True)


class Searcher:
    """Batch search on an index with one ranking model.

    ``model`` has the keys ``model`` ("bm25" with k1 and b, "qld" with the Dirichlet mu) and optionally ``rm3``, true
    for query expansion on top of the model.
    """

    def __init__(self, index: Path, model: Mapping, *, threads: int, heap_mb: int) -> None:
        self._class = java.start(heap_mb, threads)
        self._class("org.apache.lucene.search.IndexSearcher").setMaxClauseCount(MAX_QUERY_TERMS)
        self._threads = threads
        self._searcher = self._class("io.anserini.search.SimpleSearcher")(str(index))
        if model["model"] == "bm25":
            self._searcher.set_bm25(float(model["k1"]), float(model["b"]))
        else:
            self._searcher.set_qld(float(model["mu"]))
        self._set_cascade(model.get("rm3", False))
        self._json = self._class("com.fasterxml.jackson.databind.ObjectMapper")()
        # The JSON of a hit has its id and score, not the stored document or Lucene's own number.
        unread = (
            self._class("java.lang.Class").forName("org.apache.lucene.document.Document"),
            self._class("java.lang.Integer").TYPE,
        )
        for kind in unread:
            self._json.configOverride(kind).setIsIgnoredType(self._class("java.lang.Boolean")("true"))

    @property
    def documents(self) -> int:
        """Number of documents in the index."""
        return self._searcher.get_total_num_docs()

    def search(
        self, chunks: Iterable[Sequence[tuple[str, str]]], depth: int
    ) -> Iterator[dict[str, tuple[list[str], np.ndarray]]]:
        """Top ``depth`` documents of each chunk's (query id, text) pairs: ids and float64 scores, best first.

        Lucene's threads score the next chunk while Python reads the last one's results and the caller writes them: what
        Python does alone is an eighth of the work at depth 1000 on one thread, and would be half of the time on eight.
        Two chunks' results are held at once. Lucene's scoring and reading of stored ids bounds it.
        """
        with ThreadPoolExecutor(1, "lucene") as lucene:
            running: tuple[Sequence[tuple[str, str]], Future[str]] | None = None
            for chunk in chunks:
                last, running = running, (chunk, lucene.submit(self._search, chunk, depth))
                if last:
                    yield _read_hits(*last)
            if running:
                yield _read_hits(*running)

    def _search(self, queries: Sequence[tuple[str, str]], depth: int) -> str:
        """The hits as JSON: reading Java objects field by field takes longer than the search itself."""
        texts, ids = self._class("java.util.ArrayList")(), self._class("java.util.ArrayList")()
        for query_id, text in queries:
            ids.add(query_id)
            texts.add(text)
        return self._json.writeValueAsString(self._searcher.batch_search(texts, ids, depth, self._threads))

    def _set_cascade(self, rm3: bool) -> None:
        """Replace the steps after retrieval: RM3 or nothing, and never the rounding of scores."""
        cascade = self._class("io.anserini.rerank.RerankerCascade")()
        if rm3:
            self._searcher.set_rm3(RM3_TERMS, RM3_DOCUMENTS, RM3_WEIGHT)
            expansion = self._class("io.anserini.rerank.lib.Rm3Reranker")
            analyzer = self._searcher.get_analyzer()
            cascade.add(expansion(analyzer, None, "contents", RM3_TERMS, RM3_DOCUMENTS, RM3_WEIGHT, False, True))
        # Through Java's reflection: pyjnius corrupts the heap when it sets an object's field itself.
        fields = self._class("org.apache.commons.lang3.reflect.FieldUtils")
        fields.writeField(self._searcher, "cascade", cascade, True)


def _read_hits(queries: Sequence[tuple[str, str]], found: Future[str]) -> dict[str, tuple[list[str], np.ndarray]]:
    found_by_query = json.loads(found.result())
    read = {}
    for query_id, _ in queries:
        hits = found_by_query[query_id]
        # Lucene's scores are 32-bit: the decimal text is the shortest that names one.
        scores = np.array([hit["score"] for hit in hits], np.float32).astype(np.float64)
        read[query_id] = [hit["docid"] for hit in hits], scores
    return read
