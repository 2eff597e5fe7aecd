"""Layout of the pairs behind the contamination table: a test query and the training query most like it a row."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import Cell, TextTable

LABELS = ["training", "collection", "text", "train_text"]


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The queries' ids are in the CSV alone."""
    labels = zip(*(numbers[name] for name in LABELS), strict=True)
    section = [(names, [Cell(f"{jaccard:.2f}")]) for names, jaccard in zip(labels, numbers["jaccard"], strict=True)]
    table = TextTable(("training", "test", "test query", "training query"), [("", ["Jaccard"])], [section])
    return Layout({"": table}, ["shown", "sorted"], numbers, {"threshold": f"{spec['threshold']:g}"})
