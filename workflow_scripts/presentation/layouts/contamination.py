"""Layout of the contamination table: a section a training collection, its test collections down."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import text_table

HEADERS = [("test", ["queries"]), ("same text", ["queries", "share"]), ("near-duplicate", ["queries", "share"])]


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The training collection is named where there are several."""
    sizes = dict(zip(numbers["training"], numbers["n_training"], strict=True))
    labels = ["training", "collection"] if len(sizes) > 1 else ["collection"]
    lines = ((row.training, [getattr(row, name) for name in labels], _texts(row)) for row in numbers.itertuples())
    values = {"training": ", ".join(f"{number:,} of {name}" for name, number in sizes.items())}
    values["threshold"] = f"{spec['threshold']:g}"
    csv = numbers.drop(columns="n_training")
    return Layout({"": text_table(labels, HEADERS, lines)}, ["shown", "pairs"], csv, values)


def _texts(row: object) -> tuple[str, ...]:
    exact, near = (f"{100 * share:.1f}%" for share in (row.exact_share, row.near_share))
    return f"{row.n_queries:,}", f"{row.exact:,}", exact, f"{row.near:,}", near
