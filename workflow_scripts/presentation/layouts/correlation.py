"""Layout of the correlation table: references, student x loss x sampler (x teacher) down; domain x predictor across."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from workflow_scripts.analysis.query_values import RANKER
from workflow_scripts.analysis.summaries import BM25
from workflow_scripts.presentation.layout import Layout, without_one_teacher
from workflow_scripts.presentation.table_formats import TextTable, text_table

PREDICTORS = {"entropy": "entropy", "kl": "KL"}


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold Spearman's coefficients."""
    seeds = len(spec["seeds"])
    shown = "several seeds" if seeds > 1 else "one seed"
    values = {"measure": spec["measure"], "depth": spec["depth"], "confidence": 100 * spec["confidence"]}
    text = _text_table(numbers[numbers["method"] == "spearman"], spec)
    return Layout({"": text}, [shown, "difficulty"], numbers, values | {"seeds": seeds})


def _text_table(rows: pd.DataFrame, spec: Mapping) -> TextTable:
    """A predictor that a row has not, or a correlation that does not exist, is empty."""
    names, domains = without_one_teacher(RANKER, spec), rows["domain"].unique()
    found = rows.set_index([*RANKER, "domain", "predictor"])[["correlation", "ci_low", "ci_high"]].T.to_dict("list")
    lines = []
    for ranker in dict.fromkeys(rows[list(RANKER)].itertuples(index=False, name=None)):
        values = [found.get((*ranker, domain, name), (np.nan,) * 3) for domain in domains for name in PREDICTORS]
        labels = ("BM25" if ranker[0] == BM25 else ranker[0], *ranker[1 : len(names)])
        lines.append((ranker[:2] if ranker[1] else (), labels, [_format(*value) for value in values]))
    return text_table(names, [(domain, tuple(PREDICTORS.values())) for domain in domains], lines)


def _format(value: float, low: float, high: float) -> str:
    return "" if np.isnan(value) else f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"
