"""Layout of the published table: a published figure a row, beside what the experiment measured."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.analysis.query_values import RANKER
from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import format_value, text_table

HEADERS = ("published", "measured", "interval", "difference", "verdict", "of")


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """All figures in the order of their file."""
    labels = ("ranker", "collection", "measure")
    lines = ((None, (_ranker(row), _place(row), row.measure), _texts(row)) for row in numbers.itertuples())
    verdicts = numbers["verdict"].value_counts()
    values = {"figures": len(numbers), "within": verdicts.get("within", 0), "absent": verdicts.get("not measured", 0)}
    return Layout({"": text_table(labels, [("", HEADERS)], lines)}, ["shown", "differs"], numbers, values)


def _ranker(row: tuple) -> str:
    return " ".join(name for key in RANKER if (name := getattr(row, key)))


def _place(row: tuple) -> str:
    return f"{row.collection} of {row.domain}" if row.domain else row.collection


def _texts(row: tuple) -> tuple[str, ...]:
    interval = "" if pd.isna(row.ci_low) else f"{row.ci_low:.3f} to {row.ci_high:.3f}"
    difference = "" if pd.isna(row.difference) else f"{row.difference:+.3f}"
    measured = format_value(row.mean, float("nan"))
    return f"{row.published:.4f} ± {row.tolerance:g}", measured, interval, difference, row.verdict, row.differs
