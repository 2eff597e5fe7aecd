"""Layout of the factorial table: student (x teacher) x domain x measure down; the effects' sizes and shares across."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from workflow_scripts.analysis.families import DIFFERENT, EQUIVALENT, UNDECIDED
from workflow_scripts.analysis.measure_names import EXCESS_RISK
from workflow_scripts.presentation.layout import SIX_DIGITS, Layout, table_by, without_one_teacher
from workflow_scripts.presentation.table_formats import TextTable, format_p
from workflow_scripts.presentation.verdict_notes import mark, verdict_notes

EFFECTS = ("locality", "entropy", "interaction")
BLOCK = ["student", "teacher", "domain", "measure"]


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold the first measure and the excess risk."""
    rows = numbers[numbers["measure"].isin([spec["measures"][0], EXCESS_RISK])]
    interactions = rows[rows["source"] == "interaction"]
    counts = interactions["outcome"].value_counts()
    judged = rows[rows["basis"].notna() & (rows["source"] != "interaction")]
    judged = judged.assign(kind=judged["source"] == "rectangle")
    given = "given factorial" if len(spec["seeds"]) > 1 else "given"
    notes, more = verdict_notes(judged, [*BLOCK, "kind"], spec["rule"]["difference_alpha"], given)
    values = {
        **{name: counts.get(name, 0) for name in (DIFFERENT, EQUIVALENT, UNDECIDED)},
        **{"number": len(interactions), "measure": spec["measures"][0]},
        "confidence": f"{100 * spec['rule']['confidence']:g}",
        "margin": " or ".join(dict.fromkeys(f"{margin:.3g}" for margin in interactions["margin"].dropna())),
        "smallest": f"{interactions['smallest_margin'].min():.3g}",
    }
    sentences = ["shown", "found", *["smallest"] * bool(interactions["smallest_margin"].notna().any())]
    return Layout({"": _text_table(rows, spec)}, sentences, numbers, values | more, SIX_DIGITS, notes=notes)


def _text_table(rows: pd.DataFrame, spec: Mapping) -> TextTable:
    several = len(spec["seeds"]) > 1

    def texts(block: pd.DataFrame) -> list[str]:
        effects = block[block["source"].isin(EFFECTS)].set_index("source").loc[list(EFFECTS)].to_dict("records")
        return [text for effect in effects for text in _texts(effect, several)]

    headers = ["size", *(["interval", "omega²", "p of F"] if several else ["eta²"])]
    return table_by(without_one_teacher(BLOCK, spec), rows, [(name, headers) for name in EFFECTS], texts)


def _texts(effect: Mapping, several: bool) -> list[str]:
    size = f"{effect['difference']:+.3f} {mark(effect['outcome'], effect['basis'])}"
    if not several:
        return [size, f"{effect['eta_squared']:.2f}"]
    texts = [size, "" if np.isnan(effect["ci_low"]) else f"{effect['ci_low']:+.3f} to {effect['ci_high']:+.3f}"]
    if np.isnan(effect["f"]):
        return [*texts, "", ""]
    share = f"{effect['partial_omega_squared']:.2f} ({effect['share_low']:.2f} to {effect['share_high']:.2f})"
    return [*texts, share, format_p(effect["p"])]
