"""Layout of the locality table: sampler x teacher down; quantities across."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from workflow_scripts.presentation.layout import Layout, table_by
from workflow_scripts.presentation.table_formats import TextTable, format_value

HEADERS = [
    ("locality", {"diameter": "diameter", "concentration": "concentration"}),
    ("kappa", {"kappa": "on the support", "outside": "mass outside", "bounded": "finite"}),
    ("teacher entropy", {"entropy": "all pairs", "entropy_positive": "with the positive"}),
    ("test candidates", {"coverage": "covered", "coverage_relative": "to random's"}),
    ("false negatives a group", {"false_truth": "by truth", "false_teacher": "by teacher"}),
    ("false negatives", {"share_truth": "by truth", "share_teacher": "by teacher"}),
]
SHARES = ("outside", "bounded", "coverage", "share_truth", "share_teacher")


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """A quantity that no sampler has has no column."""
    queries = numbers.groupby("quantity")["n_queries"].max().fillna(1)
    values = {"queries": queries["entropy"], "embedded": queries["diameter"]}
    return Layout({"": _text_table(numbers)}, ["shown", "kappa"], numbers, values)


def _text_table(numbers: pd.DataFrame) -> TextTable:
    present = set(numbers["quantity"])
    groups = [(title, {name: text for name, text in headers.items() if name in present}) for title, headers in HEADERS]
    names = [name for _, headers in groups for name in headers]
    spans = [(title, list(headers.values())) for title, headers in groups if headers]

    def texts(own: pd.DataFrame) -> list[str]:
        found = own.set_index("quantity")[["value", "std_query"]].reindex(names)
        return [_format(*row) for row in found.itertuples(name=None)]

    return table_by(["sampler", "teacher"], numbers, spans, texts, section=0)


def _format(name: str, value: float, spread: float) -> str:
    if np.isnan(value):
        return ""
    if name in SHARES:
        return f"{100 * value:.1f}%"
    if name in ("diameter", "entropy", "entropy_positive"):
        return format_value(value, spread)
    return f"{value:.3g}"
