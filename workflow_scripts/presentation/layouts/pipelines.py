"""Layout of the pipelines table: what another backbone and teacher change, then verdicts over pipelines."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.analysis.equivalence import BLOCK
from workflow_scripts.presentation.layout import SIX_DIGITS, Layout, domains_across, without_one_teacher
from workflow_scripts.presentation.layouts.equivalence import pairs_table
from workflow_scripts.presentation.verdict_notes import verdict_notes

HEADERS = ("sd", "of training again", "added", "of a pair")
PAIRS = "Samplers compared over pipelines"


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold the first measure."""
    measure = spec["measures"][0]
    rows = numbers[numbers["measure"] == measure]
    found, pairs = (rows[rows["scope"] == scope] for scope in ("spread", "comparison"))
    keys = without_one_teacher(["student", "loss", "teacher"], spec)
    texts = {"": domains_across(keys, found, HEADERS, _texts), PAIRS: pairs_table(pairs, spec)}
    values = {"measure": measure, "pipelines": found["n_seeds"].iloc[0], "confidence": f"{100 * spec['confidence']:g}%"}
    values |= {"added": found["added"].median(), "training": found["training_sd"].median()}
    values |= {"maybe": (found["added_low"] == 0).sum(), "blocks": len(found)}
    notes, more = verdict_notes(pairs, BLOCK, spec["rule"]["difference_alpha"], "given collection")
    return Layout(texts, ["shown", "median"], numbers, values | more, SIX_DIGITS, notes=notes)


def _texts(row: tuple) -> tuple[str, ...]:
    return (
        f"{row.sd:.4f} ({row.sd_low:.4f} to {row.sd_high:.4f})",
        f"{row.training_sd:.4f}",
        f"{row.added:.4f} ({row.added_low:.4f} to {row.added_high:.4f})",
        "" if pd.isna(row.sd_pair) else f"{row.sd_pair:.4f}",
    )
