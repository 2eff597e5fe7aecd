"""Look-ups among millions of ids and pairs: ``look_ups.csv`` and ``look_ups.md``, beside an earlier run of theirs.

``python -m bench.look_ups [--before CSV]``. At a tenth of MS MARCO's and of Natural Questions' sizes, generated; the
last columns are ten times that, as these jobs grow: with the pairs, the documents and the judgements.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.machine import processor
from workflow_scripts.collect import ir_datasets_source
from workflow_scripts.collect.prepare_collection import prepare_collection
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import ArtifactWriter, atomic_path
from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.ids import find_ids
from workflow_scripts.teach.pools import SCORES_FILE, PairCodes, PoolWriter, look_up, pool_pairs

DOCUMENTS, QUERIES, DEPTH, GROUP = 884_182, 50_000, 200, 16
PASSAGES, QUESTIONS, JUDGED = 2_101_532, 5_888, 151
LARGER = 10
CAPTION = """Core-seconds of one thread, {processor}: {documents:,} passages, {queries:,} queries of {depth} candidates,
groups of {group}; {passages:,} passages and {judgements:,} judgements of which one in {judged} counts.

"""


class _Ids(TokenStore):
    """The ids of a token store, without texts."""

    def __init__(self, letter: str, number: int) -> None:
        self.ids = np.array([f"{letter}{row:08}" for row in range(number)], "S9")
        self.vocabulary = "none"

    def __len__(self) -> int:
        return len(self.ids)

    def find(self, ids: object) -> np.ndarray:
        return find_ids(self.ids, ids)


def _pairs(draw: np.random.Generator, codes: PairCodes) -> np.ndarray:
    """Each query's candidates, distinct and sorted."""
    documents = len(codes.documents)
    return np.concatenate(
        [
            np.sort(draw.choice(documents, DEPTH, replace=False)) + query * documents
            for query in range(len(codes.queries))
        ]
    )


def _pools(folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    codes = PairCodes(_Ids("q", QUERIES), _Ids("d", DOCUMENTS))
    draw = np.random.default_rng(0)
    pairs = _pairs(draw, codes)
    scored, ranked = folder / "scores/manifest.json", folder / "ranking/manifest.json"
    with ArtifactWriter(scored, kind="scores", spec={}) as writer, PoolWriter(writer.path(SCORES_FILE), codes) as pool:
        for part in np.array_split(pairs, 10):
            pool.add(part, part.astype(np.float32))
    with ArtifactWriter(ranked, kind="rankings", spec={}) as writer:
        table = pq.read_table(scored.with_name(SCORES_FILE), columns=["query_id", "doc_id"])
        ranks = pa.array(np.tile(np.arange(1, DEPTH + 1, dtype=np.int32), QUERIES))
        pq.write_table(table.append_column("rank", ranks), writer.path("ranking.parquet"))
    del table
    yield "score_pool: pairs of a ranking", lambda: pool_pairs(codes, [ranked], DEPTH, None)
    groups = np.sort(pairs.reshape(QUERIES, DEPTH)[:, :GROUP].ravel())
    yield "label_groups: scores of groups in one pool", lambda: look_up(groups, [scored], codes)
    yield "label_groups: the same, two more pools given", lambda: look_up(groups, [scored] * 3, codes)


def _questions(folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Natural Questions: many judged passages a question, of which those of grade 2 count."""
    corpus = folder / "corpus/manifest.json"
    with ArtifactWriter(corpus, kind="corpora", spec={}) as writer:
        ids = pa.array([f"{row:08}" for row in range(PASSAGES)])
        pq.write_table(pa.table({"doc_id": ids}), writer.path("documents.parquet"))
    query, judgement = namedtuple("Query", "query_id text"), namedtuple("Qrel", "query_id doc_id relevance")
    places = np.random.default_rng(1).integers(PASSAGES, size=(QUESTIONS, JUDGED))
    dataset = SimpleNamespace(
        queries_cls=lambda: query,
        queries_iter=lambda: (query(str(row), "text") for row in range(QUESTIONS)),
        qrels_iter=lambda: (
            judgement(str(row), f"{place:08}", 2 if rank == 0 else rank % 2)
            for row, listed in enumerate(places.tolist())
            for rank, place in enumerate(listed)
        ),
    )
    for name in ("load", "_load"):  # the earlier code's name
        if hasattr(ir_datasets_source, name):
            setattr(ir_datasets_source, name, lambda *_: dataset)
    spec = {"source": "ir_datasets", "id": "questions", "role": "train", "pairs": "qrels", "min_relevance": 2}
    output = folder / "collection/manifest.json"
    yield "prepare_collection: Natural Questions", lambda: prepare_collection(output=output, spec=spec, corpus=corpus)


def measure() -> pd.DataFrame:
    """Core-seconds of each look-up, one row a look-up."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="look-ups-") as folder:
        for part in (_pools, _questions):
            for name, function in part(Path(folder)):
                start = time.process_time()
                function()
                rows.append({"look-up": name, "seconds": time.process_time() - start})
                print(f"{name}: {rows[-1]['seconds']:.1f} s", flush=True)
    return pd.DataFrame(rows)


def main(argv: list[str] | None = None) -> None:
    """Command line: measure and write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("results/bench"))
    parser.add_argument("--before", type=Path, help="look_ups.csv of another commit")
    options = parser.parse_args(argv)
    table = measure()
    with atomic_path(options.output / "look_ups.csv") as path:
        table.to_csv(path, index=False)
    if options.before:
        earlier = pd.read_csv(options.before).set_index("look-up")["seconds"]
        table.insert(1, "before", table["look-up"].map(earlier))
    for column in table.columns[1:]:
        table[f"{column}, {LARGER} times the size"] = table[column] * LARGER
    caption = CAPTION.format(
        processor=processor(),
        documents=DOCUMENTS,
        queries=QUERIES,
        depth=DEPTH,
        group=GROUP,
        passages=PASSAGES,
        judgements=QUESTIONS * JUDGED,
        judged=JUDGED,
    )
    with atomic_path(options.output / "look_ups.md") as path:
        path.write_text(caption + table.to_markdown(index=False, floatfmt=".1f") + "\n", encoding="utf-8")


if __name__ == "__main__":
    end_in_one_line(main)
