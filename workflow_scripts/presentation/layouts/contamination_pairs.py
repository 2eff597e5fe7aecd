"""Layout of the pairs behind the contamination table: a test query and the training query most like it a row."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import text_table

COLUMNS = ["training", "collection", "text", "train_text", "jaccard"]


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The queries' ids are in the CSV alone."""
    lines = ((None, names, [f"{jaccard:.2f}"]) for *names, jaccard in numbers[COLUMNS].itertuples(index=False))
    table = text_table(("training", "test", "test query", "training query"), [("", ["Jaccard"])], lines)
    return Layout({"": table}, ["shown", "sorted"], numbers, {"threshold": f"{spec['threshold']:g}"})
