"""Layout of the power table: domain x student x loss (x teacher) down; what its design and others reach across."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workflow_scripts.analysis.degrees import training_is_told
from workflow_scripts.analysis.power import MOST_SEEDS
from workflow_scripts.presentation.layout import SIX_DIGITS, Layout, table_by, without_one_teacher
from workflow_scripts.presentation.layouts.equivalence import pairs_table
from workflow_scripts.presentation.table_formats import TextTable

WHAT = {"difference": "detectable difference", "margin": "smallest margin"}
PAIRS = "Undecided pairs: seeds that would decide them"


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold the first measure; the Markdown has the undecided pairs as a second table."""
    seeds, measure = len(spec["seeds"]), spec["measures"][0]
    rows = numbers[numbers["measure"] == measure]
    keys = without_one_teacher(["domain", "student", "loss", "teacher"], spec)
    blocks, pairs = rows[rows["scope"] == "block"], rows[rows["scope"] == "pair"]
    if blocks.empty:
        of_several = "nothing differs" if training_is_told(spec["seeds"], spec["controls"]) else "nothing known"
        why = of_several if len(spec["samplers"]) > 1 else "nothing to compare"
        notes = ["no verdict"] * (why == "nothing known")
        return Layout({"": TextTable(keys, [], [])}, [why], numbers, {}, SIX_DIGITS, notes=notes)
    own = blocks[blocks["is_own"].astype(bool)]
    values = {
        "measure": measure,
        "seeds": "one seed and controls" if seeds == 1 else f"{seeds} seeds",
        "difference": f"{own['difference_family'].median():.3f}",
        "margin": f"{own['margin_family'].median():.3f}",
        "wanted": " or ".join(dict.fromkeys(f"{margin:.3g}" for margin in pairs["margin"].dropna())),
        "pairs": len(pairs),
        "most": MOST_SEEDS,
        "decided": int(pairs["seeds_needed"].notna().sum()),
    }
    texts = {"": _blocks(blocks, keys)} | ({PAIRS: pairs_table(pairs, spec, _seeds_needed)} if len(pairs) else {})
    sentences = ["shown", "found", *["undecided"] * bool(len(pairs))]
    return Layout(texts, sentences, numbers, values, SIX_DIGITS, notes=["given"])


def _blocks(blocks: pd.DataFrame, keys: Sequence[str]) -> TextTable:
    """Its own design alone and in its family, then other numbers of seeds in the family."""
    others = sorted(set(blocks.loc[~blocks["is_own"].astype(bool), "seeds"].astype(int)))

    def texts_of(rows: pd.DataFrame) -> list[str]:
        own = rows[rows["is_own"].astype(bool)].iloc[0]
        planned = rows[~rows["is_own"].astype(bool)].set_index("seeds")
        texts = []
        for what in WHAT:
            texts += [f"{own[f'{what}_{where}']:.3f}" for where in ("alone", "family")]
            in_family = planned[f"{what}_family"].to_dict()
            texts += [f"{in_family[seeds]:.3f}" if seeds in in_family else "" for seeds in others]
        return texts

    headers = ["alone", "in family", *("1 seed" if seeds == 1 else f"{seeds} seeds" for seeds in others)]
    return table_by(keys, blocks, [(name, headers) for name in WHAT.values()], texts_of)


def _seeds_needed(row: tuple) -> str:
    return f">{MOST_SEEDS}" if np.isnan(row.seeds_needed) else f"{row.seeds_needed:.0f}"
