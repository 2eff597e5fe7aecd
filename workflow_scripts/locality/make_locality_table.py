"""Compute the locality table: what each sampler's groups span, miss, cover and mistake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from workflow_scripts.analysis.entropy import positive_entropy
from workflow_scripts.analysis.sampled_groups import (
    SampledGroups,
    count_positives,
    read_entropies,
    read_labels,
    read_sampled_groups,
    true_grades,
)
from workflow_scripts.locality.embedded_groups import EmbeddedGroups
from workflow_scripts.locality.locality import coverage, density_ratios, diameters, misordered, outscoring_negatives
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.command import run
from workflow_scripts.storage.documents import read_shut_out
from workflow_scripts.storage.rankings import read_ranking
from workflow_scripts.storage.tables import read_table, write_numbers

COLUMNS = ("sampler", "teacher", "quantity", "value", "std_query", "std_seed", "n_seeds", "n_queries")
QUANTITIES = (
    *("diameter", "concentration", "kappa", "outside", "bounded", "entropy", "entropy_positive"),
    *("coverage", "coverage_relative", "false_truth", "false_teacher", "share_truth", "share_teacher", "misordered"),
)

Values = dict[str, np.ndarray]
"""Quantity to its values  # (queries,), or (1,) where it is one number for the whole sampler."""


class Documents:
    """What the groups are held against: the corpus, relevance, embeddings, test candidates."""

    def __init__(
        self, corpus: str | Path, collection: str | Path, embeddings: str | Path, rankings: Sequence, depth: int
    ) -> None:
        self.number = pq.read_metadata(Artifact(corpus).file("documents.parquet")).num_rows
        training = Artifact(collection)
        self.relevant = read_shut_out(collection).to_pandas()
        self.truth = read_table(training.file("truth.parquet")) if "truth.parquet" in training else None
        self.embedded = EmbeddedGroups(embeddings)
        self.candidates = [read_ranking(manifest, depth)["doc_id"].to_numpy(dtype=object) for manifest in rankings]

    def diameters(self, groups: SampledGroups, quantile: float) -> tuple[np.ndarray, np.ndarray]:
        """Places of the embedded queries' groups, and their Delta_Q  # (queries,) each."""
        found = [(places, diameters(vectors, quantile)) for places, vectors in self.embedded.chunks(groups)]
        places, values = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        return places, values


def make_locality_table(
    *,
    spec: Mapping,
    groups: Sequence[Path],
    labels: Sequence[Path],
    embeddings: Path,
    corpus: Path,
    collection: Path,
    rankings: Sequence[Path],
    output: Path,
    queries: Path,
) -> None:
    """Write the numbers, one row a sampler, teacher and quantity, columns :data:`COLUMNS`, and ``queries``.

    ``spec``: ``rows`` ([sampler, teacher, seed], as many as ``groups`` and ``labels`` and in their order), ``quantile``
    and ``embedding`` of the diameter, ``margin`` of the teacher's judgement (in its scores as they were before their
    temperature divided them), ``random`` (the random sampler's id, or null), ``depth`` of the test candidates.
    ``rankings``: first stage of the test collections over the training corpus, may be empty. A quantity is the mean
    over queries, then over seeds; ``std_query`` its standard deviation over queries (mean over seeds), ``std_seed``
    that of the seeds' means. Quantities:

    - diameter, concentration, kappa, outside, bounded: see :mod:`workflow_scripts.locality.locality`;
    - entropy, entropy_positive: bits, H of the labels and :func:`positive_entropy`;
    - coverage, and coverage_relative to the random sampler's of the same seed;
    - false_truth and false_teacher: drawn negatives a group that are relevant by the collection's hidden truth, where
      it has one, and by the teacher; share_truth and share_teacher: of the drawn negatives;
    - misordered: share of the pairs of a positive and a truly worse negative that the teacher takes the wrong way.

    ``queries``: diameter and entropy of each embedded query's group, mean over seeds: sampler, teacher, query_id,
    quantity, value. Memory: one sampler's groups.
    """
    rows = [tuple(row) for row in spec["rows"]]
    documents = Documents(corpus, collection, embeddings, rankings, spec["depth"])
    values, by_query = {}, []
    for row, group, label in zip(rows, groups, labels, strict=True):
        values[row], own = _quantities(read_sampled_groups(group), label, documents, spec)
        by_query.append(own.assign(sampler=row[0], teacher=row[1]))
    _add_relative_coverage(values, spec["random"])
    write_numbers(output, _summarise(values), spec)
    keys = ["sampler", "teacher", "query_id", "quantity"]
    write_numbers(queries, pd.concat(by_query).groupby(keys, sort=False, as_index=False)["value"].mean(), spec)


def _quantities(
    groups: SampledGroups, labels: str | Path, documents: Documents, spec: Mapping
) -> tuple[Values, pd.DataFrame]:
    """Quantities of a sampler's groups, and those of single queries: query_id, quantity, value."""
    negatives = groups.probabilities.shape[1]
    scores = read_labels(labels, groups)
    ratios = density_ratios(
        groups.probabilities, count_positives(documents.relevant, groups.query_ids), documents.number
    )
    places, spans = documents.diameters(groups, spec["quantile"])
    values: Values = {
        "diameter": spans,
        "kappa": ratios.kappa,
        "outside": ratios.outside,
        "bounded": ratios.bounded.astype(float),
        "concentration": ratios.concentration,
        "entropy": read_entropies(labels, groups),
        "entropy_positive": positive_entropy(scores),
        # The margin, as the samplers', is one of scores that no temperature has divided.
        "false_teacher": outscoring_negatives(scores, spec["margin"] / Artifact(labels).counts["temperature"]),
    }
    if documents.truth is not None:
        grades = true_grades(groups, documents.truth)
        values["false_truth"] = (grades[:, 1:] > 0).sum(axis=1)
        values["misordered"] = misordered(scores, grades)
    for judge in ("truth", "teacher"):
        if f"false_{judge}" in values:
            values[f"share_{judge}"] = values[f"false_{judge}"] / negatives
    if documents.candidates:
        shown = pd.unique(groups.doc_ids.ravel())
        shares = [coverage(shown, candidates) for candidates in documents.candidates]
        values["coverage"] = np.array([np.mean(shares)])
    of_query = {"query_id": groups.query_ids[places], "diameter": spans, "entropy": values["entropy"][places]}
    return values, pd.DataFrame(of_query).melt("query_id", var_name="quantity")


def _add_relative_coverage(values: Mapping[tuple, Values], reference: str | None) -> None:
    """Coverage over that of the ``reference`` sampler, same seed; it reads no teacher, so any teacher's row will do."""
    found = {seed: quantities for (sampler, _, seed), quantities in values.items() if sampler == reference}
    for (_, _, seed), quantities in values.items():
        if seed in found and "coverage" in quantities:
            quantities["coverage_relative"] = quantities["coverage"] / found[seed]["coverage"]


def _summarise(values: Mapping[tuple, Values]) -> pd.DataFrame:
    """Rows of COLUMNS: mean and spreads over queries and seeds, samplers and teachers in the order given."""
    rows = []
    for sampler, teacher in dict.fromkeys((sampler, teacher) for sampler, teacher, _ in values):
        seeds = [quantities for key, quantities in values.items() if key[:2] == (sampler, teacher)]
        for name in QUANTITIES:
            arrays = [quantities[name] for quantities in seeds if name in quantities]
            if not arrays:
                continue
            means = [array.mean() for array in arrays]
            spread = np.mean([array.std(ddof=1) if len(array) > 1 else np.nan for array in arrays])
            over_seeds = np.std(means, ddof=1) if len(means) > 1 else np.nan
            rows.append((sampler, teacher, name, np.mean(means), spread, over_seeds, len(means), len(arrays[0])))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    # One number for a whole sampler was not taken of queries.
    return table.assign(n_queries=table["n_queries"].where(table["std_query"].notna()).astype("Int64"))


if __name__ == "__main__":
    run(make_locality_table)
