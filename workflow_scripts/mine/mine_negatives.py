"""Sample every training query's negatives: ``groups.parquet`` beside the manifest, position 0 the positive.

A query's group depends on the seed, the query's id and its own candidates: not on the other queries, nor on the order
or the sharding of the work.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.mine.candidates import Candidates, DocumentIds, Negative
from workflow_scripts.mine.query_rows import QueryRows
from workflow_scripts.mine.samplers import Sampler, load_sampler
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.documents import POSITIVES, SPARED
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.groups import GROUPS_FILE, GROUPS_SCHEMA
from workflow_scripts.storage.progress import Progress
from workflow_scripts.storage.rankings import RANKING_FILE, row_groups
from workflow_scripts.storage.seeds import derive_seed

FINDS = {"sampler": "mine.samplers"}
CHUNK_QUERIES = 2_000
ASKED_TWICE = 20
"""Queries whose negatives are drawn twice: a sampler must depend on nothing but the query and its generator."""


def mine_negatives(
    spec: Mapping,
    corpus: Path,
    collection: Path,
    output: Path,
    *,
    rankings: Sequence[Path] = (),
    scores: Sequence[Path] = (),
) -> None:
    """Make one group a query of ``collection``: a positive (uniform among the query's) and its negatives.

    ``spec``: ``sampler``, its ``options``, ``negatives`` a group, ``seed``. ``rankings`` and ``scores`` (the teacher's
    pools) are manifests, given exactly where the sampler reads them. Counts ``groups``, ``documents``, ``filled``,
    ``distinct_documents``, what the sampler counts, and the pairs that the teacher must score to draw the groups
    (``pairs_to_draw``) and to draw and label them (``pairs_to_label``). Raises :class:`InputError` for a query without
    positives.
    The sampler's Python code bounds the loop, some 0.1 to 0.3 ms a query; memory holds one chunk of queries.
    """
    sampler = _load(spec, rankings, scores)
    documents = DocumentIds.read(corpus)
    candidates = _candidates(sampler, documents, collection, rankings, scores)
    total = pq.read_metadata(Artifact(collection).file("queries.parquet")).num_rows
    counts = Counter({"groups": 0, "documents": 0, "filled": 0, "pairs_to_draw": 0, "pairs_to_label": 0})
    seen = np.zeros(len(documents), bool)
    progress = Progress(total, "queries")
    with ArtifactWriter(output, kind="groups", spec=spec, seed=spec["seed"]) as writer:
        with pq.ParquetWriter(writer.path(GROUPS_FILE), GROUPS_SCHEMA, compression="zstd") as file:
            for table in _tables(_groups(sampler, spec, candidates, counts)):
                seen[documents.places(table["doc_id"])] = True
                file.write_table(table)
                counts["documents"] += len(table)
                progress.add(counts["groups"] - progress.done)
        if not counts["groups"]:
            raise InputError(f"{collection} has no queries: look at its source")
        writer.counts |= {**counts, "distinct_documents": int(seen.sum())}
    _say_filled(spec["sampler"], counts)


def _say_filled(sampler: str, counts: Mapping[str, int]) -> None:
    """One line on stderr where random documents stand in for what a sampler should draw."""
    if filled := counts["filled"]:
        negatives = counts["documents"] - counts["groups"]
        print(
            f"{filled / negatives:.2%} of the negatives ({filled:,} of {negatives:,}) are random documents: some "
            f"queries have fewer candidates of {sampler} than a group takes; larger or deeper options give more",
            file=sys.stderr,
        )


def _load(spec: Mapping, rankings: Sequence[str | Path], scores: Sequence[str | Path]) -> Sampler:
    """The spec's sampler, after checking what is read against its needs."""
    sampler = load_sampler(spec["sampler"], spec["options"])
    for what, needed, given in (
        ("rankings", sampler.needs_rankings, rankings),
        ("scores", sampler.needs_teacher, scores),
    ):
        if needed != bool(given):
            fix = f"give --{what}" if needed else f"leave out --{what}"
            raise InputError(f"sampler {sampler.name} reads {'' if needed else 'no '}{what}: {fix}")
    depth = sampler.options.get("depth")
    for manifest in rankings:
        made = Artifact(manifest).spec.get("depth")
        if depth is not None and made is not None and made < depth:
            raise InputError(f"{manifest} is {made} deep, sampler {sampler.name} reads {depth}: rank deeper")
    return sampler


def _candidates(
    sampler: Sampler,
    documents: DocumentIds,
    collection: str | Path,
    rankings: Sequence[str | Path],
    scores: Sequence[str | Path],
) -> Iterator[Candidates]:
    """Each query's candidates: queries, judged documents, rankings and teacher scores are read side by side."""
    files = Artifact(collection)
    positives = QueryRows(files.file(POSITIVES), ["doc_id"])
    spared = QueryRows(files.file(SPARED), ["doc_id"]) if SPARED in files else None
    systems = _open_rankings(rankings, sampler.options.get("depth"))
    pools = [QueryRows(Artifact(manifest).file("scores.parquet"), ["doc_id", "score"]) for manifest in scores]
    for batch in pq.ParquetFile(files.file("queries.parquet")).iter_batches(CHUNK_QUERIES, columns=["query_id"]):
        for query_id in batch.column(0).to_pylist():
            (relevant,) = positives.take(query_id)
            if not relevant:
                raise InputError(f"query {query_id} of {collection} has no positive: leave it out of the collection")
            teacher = None
            if pools:
                teacher = {}
                for pool in pools:
                    teacher.update(zip(*pool.take(query_id), strict=True))
            listed = {system: tuple(rows.take(query_id)) for system, rows in systems.items()}
            others = frozenset(*spared.take(query_id)) if spared else frozenset()
            yield Candidates(query_id, frozenset(relevant), listed, teacher, documents, spared=others)


def _open_rankings(manifests: Sequence[str | Path], depth: int | None) -> dict[str, QueryRows]:
    """One reader a system, in the order of ``manifests``, then of a spec; empty where the system lists nothing."""
    readers: dict[str, QueryRows] = {}
    for manifest in manifests:
        artifact = Artifact(manifest)
        groups, spec = row_groups(manifest), artifact.spec
        for system in spec.get("systems") or ([spec["system"]] if "system" in spec else groups):
            if system in readers:
                raise InputError(f"two rankings are of system {system!r}: give each system one name")
            path = artifact.file(RANKING_FILE)
            readers[system] = QueryRows(path, ["doc_id", "score"], row_groups=groups.get(system, []), depth=depth)
    return readers


def _groups(
    sampler: Sampler, spec: Mapping, candidates: Iterator[Candidates], counts: Counter
) -> Iterator[tuple[str, list[Negative]]]:
    """Each query's group, the positive first."""
    count, seed = spec["negatives"], spec["seed"]
    for query in candidates:
        negatives = sampler(query, count, _generator(seed, query))
        if counts["groups"] < ASKED_TWICE:
            again = sampler(replace(query, counts=Counter(), asked=set()), count, _generator(seed, query))
            if again != negatives:
                raise sampler.broken(
                    query, "returned other negatives when asked again", "draw by the rng that it is given"
                )
        # 64 random bits: the remainder favours no positive by more than 1 in 10^15.
        choice = derive_seed(seed, "positive", query.query_id) % len(query.positives)
        group = [Negative(sorted(query.positives)[choice], "positive"), *negatives]
        counts["groups"] += 1
        counts["pairs_to_draw"] += len(query.asked)
        counts["pairs_to_label"] += len(query.asked.union(each.doc_id for each in group))
        counts["filled"] += sum(negative.source == "fill" for negative in negatives)
        counts.update(query.counts)
        yield query.query_id, group


def _generator(seed: int, query: Candidates) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(derive_seed(seed, "sampling", query.query_id)))


def _tables(groups: Iterator[tuple[str, list[Negative]]]) -> Iterator[pa.Table]:
    while chunk := list(islice(groups, CHUNK_QUERIES)):
        rows = [(query_id, position, *document) for query_id, group in chunk for position, document in enumerate(group)]
        yield pa.table(list(map(list, zip(*rows, strict=True))), schema=GROUPS_SCHEMA)


if __name__ == "__main__":
    run(mine_negatives)
