"""Layout of the correlation table: references, student x loss x sampler (x teacher) down; domain x predictor across."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from workflow_scripts.analysis.summaries import BM25, Grid
from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import Cell, TextTable

RANKER = ["student", "loss", "sampler", "teacher"]
PREDICTORS = {"entropy": "entropy", "kl": "KL"}


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold Spearman's coefficients."""
    grid = Grid.of(spec)
    shown = "several seeds" if len(grid.seeds) > 1 else "one seed"
    values = {"measure": spec["measure"], "depth": spec["depth"], "confidence": 100 * spec["confidence"]}
    text = _text_table(numbers[numbers["method"] == "spearman"], grid)
    return Layout({"": text}, [shown, "difficulty"], numbers, values | {"seeds": len(grid.seeds)})


def _text_table(rows: pd.DataFrame, grid: Grid) -> TextTable:
    """A predictor that a row has not, or a correlation that does not exist, is empty."""
    several = len(grid.teachers) > 1
    domains = rows["domain"].unique()
    found = rows.set_index([*RANKER, "domain", "predictor"])[["correlation", "ci_low", "ci_high"]].T.to_dict("list")
    sections: dict[tuple, list] = {}
    for ranker in dict.fromkeys(rows[RANKER].itertuples(index=False, name=None)):
        values = [found.get((*ranker, domain, name), (np.nan,) * 3) for domain in domains for name in PREDICTORS]
        labels = ("BM25" if ranker[0] == BM25 else ranker[0], *(ranker[1:] if several else ranker[1:3]))
        section = ranker[:2] if ranker[1] else ()
        sections.setdefault(section, []).append((labels, [Cell(_format(*value)) for value in values]))
    labels = ("student", "loss", "sampler", "teacher") if several else ("student", "loss", "sampler")
    return TextTable(labels, [(domain, tuple(PREDICTORS.values())) for domain in domains], list(sections.values()))


def _format(value: float, low: float, high: float) -> str:
    return "" if np.isnan(value) else f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"
