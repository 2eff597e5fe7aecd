"""Things made by hand, for tests of whatever reads them: artifacts, metrics, groups, token stores, specs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from project import ROOT

from workflow_scripts.analysis.entropy import pairwise_entropy
from workflow_scripts.analysis.measures import METRICS_SCHEMA
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.command import call
from workflow_scripts.storage.groups import GROUPS_SCHEMA, LABELS_SCHEMA
from workflow_scripts.storage.rankings import RANKING_FILE, RankingWriter
from workflow_scripts.storage.runs import write_run
from workflow_scripts.storage.tables import write_table
from workflow_scripts.teach.pools import SCORES_FILE, SCORES_SCHEMA

RULE = {"margin": 0.02, "margin_of": "absolute", "alpha": 0.1, "difference_alpha": 0.05, "confidence": 0.95}
"""Of verdicts."""


def shipped(*names: str) -> dict:
    """The configuration of an experiment that ships, by the names of its files in ``config``."""
    return read_config(*(ROOT / "config" / f"{name}.yaml" for name in names))


def run_script(function: Callable[..., object], spec: Mapping, **options: object) -> None:
    """Call a script's function by its command line; an option is a value or a list of several."""
    words = ["--spec", json.dumps(spec)]
    for name, given in options.items():
        several = given if isinstance(given, list | tuple) else [given]
        words += [f"--{name.replace('_', '-')}", *map(str, several)]
    call(function, words)


def table_spec(**changes: object) -> dict:
    """A table's spec: the cell be kl x t of seed 0, the collection ``a`` and nDCG@10, but for ``changes``."""
    spec = {"students": ["be"], "losses": ["kl"], "samplers": ["x"], "teachers": ["t"], "seeds": [0]}
    spec |= {"domains": [{"name": "near", "collections": ["a"]}], "measures": ["nDCG@10"], "depth": 100}
    spec |= {"rule": RULE, "controls": [], "confidence": 0.95}
    return spec | {"bootstrap": {"samples": 100, "seed": 0, "confidence": 0.95}} | changes


def training_spec(**changes: object) -> dict:
    """Six steps of two batches on five groups of three, so that an epoch ends in the second step."""
    spec = {"name": "a-student", "architecture": "cross-encoder", "loss": {"function": "marginmse"}, "dropout": 0.0}
    spec |= {"batch_groups": 2, "group_size": 3, "gradient_accumulation": 2, "documents": 6 * 2 * 3 * 2}
    return spec | {"learning_rate": 0.003, "seeds": {"initialisation": 1, "order": 2}} | changes


def scratch_spec(**changes: object) -> dict:
    """A backbone made here, of two narrow layers."""
    spec = {"tokenizer": {"kind": "wordpiece", "size": 60}, "seed": 0}
    spec["architecture"] = {"layers": 2, "hidden": 16, "heads": 2, "feed_forward": 32, "positions": 40}
    spec["pretraining"] = {"steps": 3, "batch": 8, "learning_rate": 3e-3, "mlm_weight": 0.3}
    return spec | changes


def artifact(
    manifest: Path,
    files: Mapping[str, object],
    *,
    kind: str = "test",
    spec: Mapping | None = None,
    inputs: Mapping[str, Path | Sequence[Path]] | None = None,
    counts: Mapping | None = None,
) -> Path:
    """Write an artifact; its manifest's path.

    ``files``: name to columns with their schema, a frame (of a run, or as it is), a table, an array, a text or bytes.
    """
    with ArtifactWriter(manifest, kind=kind, spec=spec or {}, inputs=inputs) as writer:
        for name, content in files.items():
            path = writer.path(name)
            if isinstance(content, tuple):
                write_table(path, *content)
            elif isinstance(content, pd.DataFrame):
                write_run(path, content, "test") if name.endswith(".run.gz") else content.to_parquet(path)
            elif isinstance(content, pa.Table):
                pq.write_table(content, path)
            elif isinstance(content, np.ndarray):
                np.save(path, content)
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)
        writer.counts |= counts or {}
    return manifest


def strings(**columns: Sequence[str | None]) -> tuple[dict, pa.Schema]:
    """Columns of text with their schema, as :func:`artifact` takes them."""
    return columns, pa.schema([(name, pa.string()) for name in columns])


def write_corpus(folder: Path, texts: Mapping[str, str | tuple[str | None, str]]) -> Path:
    """A corpus in the order given; ``texts``: id to text, or to title and text."""
    both = [text if isinstance(text, tuple) else ("", text) for text in texts.values()]
    documents = strings(doc_id=list(texts), title=[title for title, _ in both], text=[text for _, text in both])
    return artifact(folder / "manifest.json", {"documents.parquet": documents}, counts={"documents": len(texts)})


def write_collection(
    folder: Path, queries: Mapping[str, str] | Sequence[str], *, spec: Mapping | None = None, **pairs: Iterable[tuple]
) -> Path:
    """A collection; ``queries``: id to text, or ids that are their texts.

    ``pairs``: by the name of their file, as ``positives`` or ``spared`` (query, document), else as ``qrels`` (query,
    document, relevance).
    """
    texts = queries.values() if isinstance(queries, Mapping) else queries
    files = {"queries.parquet": strings(query_id=list(queries), text=list(texts))}
    for name, rows in pairs.items():
        schema = pa.schema([("query_id", pa.string()), ("doc_id", pa.string()), ("relevance", pa.int32())])
        schema = schema.remove(2) if name in ("positives", "spared") else schema
        files[f"{name}.parquet"] = pd.DataFrame([*rows], columns=schema.names), schema
    return artifact(folder / "manifest.json", files, spec=spec)


def write_ranking(
    folder: Path, lists: Mapping[str, Mapping[str, Sequence[str]]], spec: Mapping | None = None, rows: int = 7
) -> Path:
    """Rankings of each system: query to documents, whose scores fall to 1; a row group ends every ``rows`` queries."""
    with (
        ArtifactWriter(folder / "manifest.json", kind="test", spec=spec or {}) as writer,
        RankingWriter(writer.path(RANKING_FILE)) as file,
    ):
        for system in sorted(lists):
            for place, (query, documents) in enumerate(sorted(lists[system].items())):
                file.add(system, query, documents, np.arange(len(documents), 0, -1.0))
                if place % rows == 0:
                    file.flush()
    return folder / "manifest.json"


def write_pool(folder: Path, rows: Sequence[tuple[str, str, float]]) -> Path:
    """A teacher's scores of (query, document), in the order given."""
    scores = pd.DataFrame(rows, columns=SCORES_SCHEMA.names), SCORES_SCHEMA
    return artifact(folder / "manifest.json", {SCORES_FILE: scores})


def write_metrics(path: Path, values: Mapping[tuple, Iterable[float]], measures: Sequence[str] = ("nDCG@10",)) -> Path:
    """Write a table of metrics.

    ``values``: (student, loss, sampler, teacher, seed, collection), and a measure where it is another, to the values
    of the queries q00, q01, ...
    """
    rows = [
        (*key[:6], f"q{place:02}", measure, value)
        for key, own in values.items()
        for measure in key[6:] or measures
        for place, value in enumerate(own)
    ]
    frame = pd.DataFrame(rows, columns=METRICS_SCHEMA.names).astype({"seed": "Int32"})
    write_table(path, frame, METRICS_SCHEMA)
    return path


def write_groups(folder: Path, documents: Mapping[str, Sequence[str]], chances: Sequence[float] | None = None) -> Path:
    """Groups of one size: query to documents, the positive first; ``chances``: of each query's negatives, else 1/2."""
    keys, size = _keys(documents), len(next(iter(documents.values())))
    negatives, number = size - 1, len(documents)
    columns = {**keys, "source": (["positive"] + ["corpus"] * negatives) * number}
    columns |= {"rank": [None] * size * number, "score": [None] * size * number}
    columns["probability"] = [p for chance in chances or [0.5] * number for p in (None, *[chance] * negatives)]
    return artifact(folder / "manifest.json", {"groups.parquet": (columns, GROUPS_SCHEMA)})


def write_labels(
    folder: Path,
    documents: Mapping[str, Sequence[str]],
    scores: object,
    entropy: Sequence[float] | None = None,
    temperature: float = 1.0,
) -> Path:
    """A teacher's scores of :func:`write_groups`; ``entropy`` of each, where it is not that of the scores."""
    table = np.reshape(np.asarray(scores, np.float32), (len(documents), -1))
    own = pairwise_entropy(table) if entropy is None else entropy
    columns = _keys(documents) | {"score": table.ravel(), "entropy": np.repeat(own, table.shape[1])}
    files = {"labels.parquet": (columns, LABELS_SCHEMA)}
    return artifact(folder / "manifest.json", files, counts={"temperature": temperature})


def _keys(documents: Mapping[str, Sequence[str]]) -> dict[str, list]:
    rows = [(query, place, each) for query, own in documents.items() for place, each in enumerate(own)]
    return dict(zip(("query_id", "position", "doc_id"), map(list, zip(*rows, strict=True)), strict=True))


def write_embeddings(folder: Path, documents: Sequence[str], vectors: object, queries: Sequence[str]) -> Path:
    """Vectors of groups' documents, and the queries whose groups they are of."""
    ids = {"ids.npy": np.array(documents, dtype="S"), "queries.npy": np.array(queries, dtype="S")}
    return artifact(folder / "manifest.json", {"vectors.npy": np.array(vectors, np.float32), **ids})


class MadeStore(TokenStore):
    """A token store in memory: id, in bytewise order, to tokens."""

    cls, sep, vocabulary = 1, 2, "v"

    def __init__(self, texts: Mapping[str, Sequence[int]]) -> None:
        self.ids = np.array([name.encode() for name in texts])
        self.lengths = np.array([len(tokens) for tokens in texts.values()])
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        self.tokens = np.concatenate([np.asarray(tokens, np.int32) for tokens in texts.values()])
        self.cut_at = int(self.lengths.max())


def numbered_store(letter: str, numbers: Iterable[int]) -> MadeStore:
    """The ids q000, q001, ... of ``letter`` q, each with its number for a text."""
    return MadeStore({f"{letter}{number:03}": [number] for number in numbers})
