"""Make the contamination table: test queries that training has seen, the same or nearly, as CSV, Markdown, LaTeX.

Where a training pair came from is in the groups themselves, one row a pair: ``source`` (the system that listed it, or
corpus, fill), its ``rank`` and ``score`` there, and the ``probability`` of its drawing. PROVENANCE asks for a query's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import pandas as pd

from workflow_scripts.presentation.table_files import write_tables
from workflow_scripts.presentation.table_formats import Cell, TextTable
from workflow_scripts.report.overlap import closest
from workflow_scripts.storage.artifacts import Artifact, atomic_path
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_table

COLUMNS = ("training", "collection", "n_queries", "exact", "near", "exact_share", "near_share")
PROVENANCE = (
    """python -c "import pandas; print(pandas.read_parquet('GROUPS', filters=[('query_id', '==', 'QUERY')]))\""""
)
"""Shell line; GROUPS stands for a groups.parquet, QUERY for a training query's id."""
PAIRS = ("training", "collection", "query_id", "text", "train_query_id", "train_text", "jaccard", "exact")


def make_contamination_table(
    *,
    spec: Mapping,
    training: Sequence[Path],
    training_names: Sequence[str],
    collections: Sequence[str],
    tests: Sequence[Path],
    csv: Path,
    md: Path,
    tex: Path,
    pairs: Path,
) -> pd.DataFrame:
    """Write the table three times, the matching ``pairs`` once (CSV), and return the table's rows.

    One row a training and a test collection. ``exact``: test queries whose normalised text is a training query's;
    ``near``: further ones whose set of words has a Jaccard similarity of at least ``spec["threshold"]`` to some
    training query's. ``training`` and ``tests``: manifests in the order of ``training_names`` and ``collections``,
    which are ids. Memory: all queries' texts.
    """
    trained_on = _all_queries(training, training_names, "--training", "--training-names")
    tested_on = _all_queries(tests, collections, "--tests", "--collections")
    rows, matched = [], []
    for (trained, train), (name, test) in product(trained_on.items(), tested_on.items()):
        matches = closest(test, train, spec["threshold"])
        exact = sum(match.exact for match in matches)
        near = len(matches) - exact
        rows.append((trained, name, len(test), exact, near, exact / len(test), near / len(test)))
        matched += [
            (trained, name, match.test, test[match.test], match.train, train[match.train], match.jaccard, match.exact)
            for match in matches
        ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    with atomic_path(pairs) as path:
        pd.DataFrame(matched, columns=list(PAIRS)).to_csv(path, index=False, float_format="%.6f", lineterminator="\n")
    numbers = {name: len(train) for name, train in trained_on.items()}
    caption = _caption(spec["threshold"], numbers, Path(pairs).name)
    write_tables(table, _text_table(table), caption, csv=csv, md=md, tex=tex)
    return table


def _all_queries(
    manifests: Sequence[str | Path], names: Sequence[str], option: str, names_option: str
) -> dict[str, dict[str, str]]:
    """Collection's id to its queries."""
    if len(manifests) != len(names) or len(set(names)) < len(names):
        raise InputError(f"give as many {option} as {names_option}, in the same order, each name once")
    return {name: _queries(manifest) for name, manifest in zip(names, manifests, strict=True)}


def _queries(manifest: str | Path) -> dict[str, str]:
    frame = read_table(Artifact(manifest).file("queries.parquet"), ["query_id", "text"])
    if frame.empty:
        raise InputError(f"{manifest} has no queries: make the collection again")
    return dict(zip(frame["query_id"], frame["text"], strict=True))


def _text_table(table: pd.DataFrame) -> TextTable:
    """A section a training collection, named where there are several; its test collections down."""
    several = table["training"].nunique() > 1
    sections = [
        [
            ((row.training, row.collection) if several else (row.collection,), [Cell(text) for text in _texts(row)])
            for row in rows.itertuples()
        ]
        for _, rows in table.groupby("training", sort=False)
    ]
    headers = [("test", ["queries"]), ("same text", ["queries", "share"]), ("near-duplicate", ["queries", "share"])]
    return TextTable(("training", "collection") if several else ("collection",), headers, sections)


def _texts(row: object) -> tuple[str, ...]:
    exact, near = (f"{100 * share:.1f}%" for share in (row.exact_share, row.near_share))
    return f"{row.n_queries:,}", f"{row.exact:,}", exact, f"{row.near:,}", near


def _caption(threshold: float, numbers: Mapping[str, int], pairs: str) -> str:
    """``numbers``: of each training collection's queries."""
    told = ", ".join(f"{number:,} of {name}" for name, number in numbers.items())
    among = (
        f"training queries, each training collection by itself ({told})"
        if len(numbers) > 1
        else f"{next(iter(numbers.values())):,} training queries"
    )
    return (
        f"Test queries that are among the {among}. Same text: after Unicode NFKC, case folding and "
        f"taking punctuation for blanks. Near-duplicate: not the same, but the sets of words have a Jaccard similarity "
        f"of {threshold:g} or more. The pairs are in {pairs}.\n\nWhere a query's training pairs came from (GROUPS: a "
        f"groups.parquet, QUERY: a training query's id): `{PROVENANCE}`\n"
    )


if __name__ == "__main__":
    run(make_contamination_table)
