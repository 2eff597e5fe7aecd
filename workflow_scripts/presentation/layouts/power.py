"""Layout of the power table: domain x student x loss (x teacher) down; what its design and others reach across."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from workflow_scripts.analysis.power import MOST_SEEDS
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import Cell, TextTable

WHAT = {"difference": "detectable difference", "margin": "smallest margin"}
PAIRS = "Undecided pairs: seeds that would decide them"


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold the first measure; the Markdown has the undecided pairs as a second table."""
    grid, measure = Grid.of(spec), spec["measures"][0]
    rows = numbers[numbers["measure"] == measure]
    keys = ["domain", "student", "loss", "teacher"] if len(grid.teachers) > 1 else ["domain", "student", "loss"]
    blocks, pairs = rows[rows["scope"] == "block"], rows[rows["scope"] == "pair"]
    if blocks.empty:
        notes = ["no verdict"] if len(grid.seeds) == 1 else []
        return Layout({"": TextTable(keys, [], [])}, ["nothing known"], numbers, {}, "%.6g", notes=notes)
    own = blocks[blocks["is_own"].astype(bool)]
    values = {
        "measure": measure,
        "seeds": "one seed and controls" if len(grid.seeds) == 1 else f"{len(grid.seeds)} seeds",
        "difference": f"{own['difference_family'].median():.3f}",
        "margin": f"{own['margin_family'].median():.3f}",
        "wanted": " or ".join(dict.fromkeys(f"{margin:.3g}" for margin in pairs["margin"].dropna())),
        "pairs": len(pairs),
        "most": MOST_SEEDS,
        "decided": int(pairs["seeds_needed"].notna().sum()),
    }
    texts = {"": _blocks(blocks, keys)} | ({PAIRS: _pairs(pairs, keys, grid.samplers)} if len(pairs) else {})
    sentences = ["shown", "found", *["undecided"] * bool(len(pairs))]
    return Layout(texts, sentences, numbers, values, "%.6g", notes=["given"])


def _blocks(blocks: pd.DataFrame, keys: Sequence[str]) -> TextTable:
    """Its own design alone and in its family, then other numbers of seeds in the family."""
    others = sorted(set(blocks.loc[~blocks["is_own"].astype(bool), "seeds"].astype(int)))
    sections: dict[str, list] = {}
    for labels, rows in blocks.groupby(list(keys), sort=False):
        own = rows[rows["is_own"].astype(bool)].iloc[0]
        planned = rows[~rows["is_own"].astype(bool)].set_index("seeds")
        texts = []
        for what in WHAT:
            texts += [f"{own[f'{what}_{where}']:.3f}" for where in ("alone", "family")]
            in_family = planned[f"{what}_family"].to_dict()
            texts += [f"{in_family[seeds]:.3f}" if seeds in in_family else "" for seeds in others]
        sections.setdefault(labels[0], []).append((labels, [Cell(text) for text in texts]))
    headers = ["alone", "in family", *("1 seed" if seeds == 1 else f"{seeds} seeds" for seeds in others)]
    return TextTable(keys, [(name, headers) for name in WHAT.values()], list(sections.values()))


def _pairs(pairs: pd.DataFrame, keys: Sequence[str], samplers: Sequence[str]) -> TextTable:
    """Empty where a pair is decided."""
    columns = list(combinations(samplers, 2))
    sections: dict[str, list] = {}
    for labels, rows in pairs.groupby(list(keys), sort=False):
        needed = {(row.sampler_a, row.sampler_b): row.seeds_needed for row in rows.itertuples()}
        texts = {pair: f">{MOST_SEEDS}" if np.isnan(seeds) else f"{seeds:.0f}" for pair, seeds in needed.items()}
        sections.setdefault(labels[0], []).append((labels, [Cell(texts.get(pair, "")) for pair in columns]))
    return TextTable(keys, [("", [f"{one} / {other}" for one, other in columns])], list(sections.values()))
