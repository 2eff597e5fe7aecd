"""Compute the contamination table: test queries that training has seen, the same or nearly, and these pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import pandas as pd

from workflow_scripts.report.overlap import closest
from workflow_scripts.storage.command import run
from workflow_scripts.storage.documents import read_queries
from workflow_scripts.storage.tables import write_numbers

COLUMNS = ("training", "collection", "n_queries", "exact", "near", "exact_share", "near_share", "n_training")
PAIRS = ("training", "collection", "query_id", "text", "train_query_id", "train_text", "jaccard", "exact")


def make_contamination_table(
    *,
    spec: Mapping,
    training: Sequence[Path],
    training_names: Sequence[str],
    collections: Sequence[str],
    tests: Sequence[Path],
    output: Path,
    pairs: Path,
) -> None:
    """Write the numbers, and the matching ``pairs``.

    One row a training and a test collection. ``exact``: test queries whose normalised text is a training query's;
    ``near``: further ones whose set of words has a Jaccard similarity of at least ``spec["threshold"]`` to some
    training query's; ``n_training``: training queries. ``training`` and ``tests``: manifests in the order of
    ``training_names`` and ``collections``, which are ids. Memory: all queries' texts.
    """
    trained_on, tested_on = (
        {name: dict(read_queries(manifest)) for name, manifest in zip(names, manifests, strict=True)}
        for names, manifests in ((training_names, training), (collections, tests))
    )
    rows, matched = [], []
    for (trained, train), (name, test) in product(trained_on.items(), tested_on.items()):
        matches = closest(test, train, spec["threshold"])
        exact = sum(match.exact for match in matches)
        near = len(matches) - exact
        rows.append((trained, name, len(test), exact, near, exact / len(test), near / len(test), len(train)))
        matched += [
            (trained, name, match.test, test[match.test], match.train, train[match.train], match.jaccard, match.exact)
            for match in matches
        ]
    write_numbers(output, pd.DataFrame(rows, columns=list(COLUMNS)), spec)
    write_numbers(pairs, pd.DataFrame(matched, columns=list(PAIRS)), spec)


if __name__ == "__main__":
    run(make_contamination_table)
