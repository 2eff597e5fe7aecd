"""Prepare a collection: queries with test judgements (qrels) or with training positives, for one corpus.

Spec: ``source``, ``role`` ("test", "dev" or "train") and, by source (a key that has no default here is required):

- ``ir_datasets``: ``id``; ``query_field`` ("text"); for training ``pairs``: "qrels", "docpairs" (the first document of
  each training triple) or "titles" (of the corpus; ``id`` is not needed then);
- ``files``: ``--queries`` (JSONL, TSV) and ``--qrels`` (TREC); for training ``pairs``: "qrels", or "titles" (no file);
- ``generated``: ``queries`` (their number; the world's own, or 4000 for training); ``world`` and ``seed`` are the
  corpus' (given, they must agree with it). A training query has one positive, the document that it was made from. Every
  pair is judged; test queries and training queries come from different documents.

Options of every source but ``generated``: ``max_queries`` (null: all) and ``seed`` (0) of their choice;
``min_relevance`` (1) that makes a document a positive; ``strict`` (true for files, else false): an unknown query or
document, a pair judged twice or a query without a relevant document is an error, not left out and counted (of the roles
test and dev, judgements of unknown documents are kept and counted).
No query without a relevant document is part of a collection, and one of the role test or dev has four queries or more.

Writes queries.parquet (query_id, text); qrels.parquet (query_id, doc_id, relevance) for the roles test and
dev, positives.parquet (query_id, doc_id) for the role train; spared.parquet (query_id, doc_id) where some are judged
below ``min_relevance`` and above 0, too good for a negative; generated: truth.parquet (query_id, doc_id, relevance,
every pair above 0) and concepts.parquet (query_id, doc_id of its source, register, concepts).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from workflow_scripts.collect import files, ir_datasets_source, judgements
from workflow_scripts.collect.places import Place
from workflow_scripts.collect.titles import title_pairs
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import read_settings, run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_table, write_table

TRAINING_QUERIES = 4000
QUERIES = pa.schema([("query_id", pa.string()), ("text", pa.string())])
POSITIVES = pa.schema([("query_id", pa.string()), ("doc_id", pa.string())])
QRELS = pa.schema([*POSITIVES, ("relevance", pa.int32())])
CONCEPTS = pa.schema([*POSITIVES, ("register", pa.int32()), ("concepts", pa.list_(pa.int32()))])


@dataclass(frozen=True)
class Settings:
    """What a collection is made of; a setting that its ``source`` has no use for stays at its default.

    ``pairs``: where positives come from, qrels, docpairs or titles; ``strict`` None: true of files alone; ``world``,
    ``seed`` of a generated collection None: its corpus' own; ``queries``: how many are generated.
    """

    source: str
    role: str
    id: str | None = None
    query_field: str = "text"
    pairs: str = "qrels"
    max_queries: int | None = None
    seed: int | None = None
    min_relevance: int = 1
    strict: bool | None = None
    world: str | None = None
    queries: int | None = None


def prepare_collection(
    *,
    output: Path,
    spec: Mapping,
    corpus: Path,
    queries: Path | None = None,
    qrels: Path | None = None,
    archives: Path | None = None,
) -> None:
    """Write the collection of ``spec`` beside the manifest ``output``; raises :class:`InputError` for bad input.

    Memory: queries, judgements and distinct training pairs; of the corpus only what is asked for (titles, for titles).
    ``archives``: manifest of the fetched archives of ir_datasets; without it ir_datasets fetches what it lacks.
    """
    options = asdict(read_settings(Settings, spec))
    if options["strict"] is None:
        options["strict"] = options["source"] == "files"
    _check_files(options, queries, qrels)
    with ArtifactWriter(output, kind="collections", spec=spec, seed=options["seed"]) as writer:
        if options["source"] == "generated":
            _write_generated(writer, Artifact(corpus), options)
        else:
            texts, frames, counts = _read_collection(options, Artifact(corpus), queries, qrels)
            writer.counts.update(counts)
            _write(writer, texts, frames)


def _check_files(options: dict, queries: str | Path | None, qrels: str | Path | None) -> None:
    pairs = options["pairs"]
    if options["role"] != "train" and pairs != "qrels":
        raise InputError(f'pairs {pairs!r} are for training: leave "pairs" out for the role {options["role"]}')
    if options["source"] == "ir_datasets" and options["id"] is None and pairs != "titles":
        raise InputError('a collection from ir_datasets needs the option "id": add it to the spec')
    wanted = options["source"] == "files" and pairs != "titles"
    if wanted and (queries is None or qrels is None):
        raise InputError("a collection from files needs --queries and --qrels: name both files")
    if not wanted and (queries is not None or qrels is not None):
        raise InputError("--queries and --qrels are for a collection from files with qrels: leave them out")


def _read_collection(
    options: dict, corpus: Artifact, queries: str | Path | None, qrels: str | Path | None
) -> tuple[dict[str, str], dict[str, pd.DataFrame], dict[str, int]]:
    """Queries, the pairs of each file that is written of them, and counts, from ir_datasets or files."""
    train, strict, least = options["role"] == "train", options["strict"], options["min_relevance"]
    if options["pairs"] == "titles":
        texts, frame, counts = title_pairs(corpus)
        frames = {"positives": frame}
    else:
        texts, frame, place, counts = _open(options, queries, qrels)
        frame, left_out = judgements.match_judgements(
            frame, texts, corpus, place=place, strict=strict, keep_unknown=not train
        )
        relevant = frame[frame["relevance"] >= least]
        texts, without = judgements.keep_answered(texts, relevant["query_id"], place=place, strict=strict)
        left_out.update(without)
        judgements.warn(left_out, place)
        counts.update(left_out)
        spared = frame[frame["relevance"].between(1, least - 1)]
        frames = {"positives": relevant, "spared": spared} if train else {"qrels": frame}
    texts = judgements.choose_queries(texts, options["max_queries"], options["seed"] or 0)
    if not train:
        judgements.check_number(texts, place)
    frames = {name: each[each["query_id"].isin(texts)] for name, each in frames.items()}
    return texts, {name: each for name, each in frames.items() if len(each)}, counts


def _open(
    options: dict, queries: str | Path | None, qrels: str | Path | None
) -> tuple[dict[str, str], pd.DataFrame, Place, dict[str, int]]:
    """Queries, judgements, the name of their place, and counts; a positive of a triple has the least relevance."""
    name, least = options["id"], None
    if options["source"] == "files":
        asked, asked_at = files.iterate_queries(Path(queries)), Place(str(queries))
        rows, place = files.iterate_judgements(Path(qrels)), Place(str(qrels))
    else:
        asked, asked_at = ir_datasets_source.iterate_queries(name, options["query_field"]), Place(name, "query")
        rows, place = ir_datasets_source.iterate_judgements(name), Place(name, "judgement")
    if options["role"] == "train" and options["pairs"] == "docpairs":
        pairs, place = enumerate(ir_datasets_source.iterate_positives(name), 1), Place(name, "training pair")
        rows = ((number, *pair, options["min_relevance"]) for number, pair in pairs)
    elif options["role"] == "train" and not options["strict"]:
        least = 1  # Of Natural Questions' judgements most are of grade 0 or -1.
    texts, counts = judgements.collect_queries(asked, asked_at)
    frame, counts["source_judgements"] = judgements.collect_judgements(rows, place, least)
    return texts, frame, place, counts


def _write_generated(writer: ArtifactWriter, corpus: Artifact, options: dict) -> None:
    from workflow_scripts.collect.generated import Meanings, judge, make_queries
    from workflow_scripts.collect.language import CONCEPTS as NUMBER
    from workflow_scripts.collect.language import SYNONYMS, WORLDS

    made_with = corpus.spec
    if made_with.get("source") != "generated":
        raise InputError(f"{corpus.manifest_path} is no generated corpus: name one")
    for key in ("world", "seed"):
        if options[key] not in (None, made_with[key]):
            raise InputError(f"{key} is {options[key]!r} and the corpus' {made_with[key]!r}: make them agree")
    world, seed, role = made_with["world"], made_with["seed"], options["role"]
    number = options["queries"] or (TRAINING_QUERIES if role == "train" else WORLDS[world].queries)
    documents = Meanings.read(corpus.file("truth.parquet"))
    words = read_table(corpus.file("concepts.parquet"))["word"].to_numpy(object).reshape(NUMBER, SYNONYMS)
    made = make_queries(words, documents, world, role, number, seed)
    truth = judge(made, documents)
    sources = documents.names(made.sources)
    concepts = [row[row >= 0] for row in made.concepts]
    meaning = {"query_id": made.ids, "doc_id": sources, "register": made.registers, "concepts": concepts}
    write_table(writer.path("truth.parquet"), truth, QRELS)
    write_table(writer.path("concepts.parquet"), meaning, CONCEPTS)
    texts = dict(zip(made.ids, made.texts, strict=True))
    positives = pd.DataFrame({"query_id": made.ids, "doc_id": sources})
    writer.counts["relevant_pairs"] = len(truth)
    _write(writer, texts, {"positives": positives} if role == "train" else {"qrels": truth})


def _write(writer: ArtifactWriter, texts: dict[str, str], frames: Mapping[str, pd.DataFrame]) -> None:
    ids = sorted(texts)
    write_table(writer.path("queries.parquet"), {"query_id": ids, "text": [texts[query] for query in ids]}, QUERIES)
    writer.counts["queries"] = len(ids)
    for name, frame in frames.items():
        schema = QRELS if name == "qrels" else POSITIVES
        pairs = frame.sort_values(["query_id", "doc_id"])
        write_table(writer.path(f"{name}.parquet"), pairs[schema.names], schema)
        writer.counts[name] = len(pairs)


if __name__ == "__main__":
    run(prepare_collection)
