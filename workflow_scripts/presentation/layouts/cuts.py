"""Layout of the cuts table: loss (x sampler x teacher) x cut down; training queries, then domain x student across."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.analysis.families import MARKS
from workflow_scripts.presentation.layout import SIX_DIGITS, Layout
from workflow_scripts.presentation.table_formats import TextTable, format_value, text_table
from workflow_scripts.presentation.verdict_notes import format_difference, verdict_notes

FAMILY = ["student", "loss", "sampler", "teacher", "domain", "measure"]


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold the first measure."""
    measure, rule = spec["measures"][0], spec["rule"]
    rows = numbers[numbers["measure"] == measure]
    less_all, less_random = rows[rows["basis"].notna()], _beside(rows)
    both = pd.concat([less_all.assign(kind="all"), less_random.assign(kind="random")])
    counts = less_all["outcome"].value_counts()
    found = [f"{counts[name]} {name} ({sign})" for name, sign in MARKS.items() if name in counts]
    margin = f"{rule['margin']:g}" + ("" if rule["margin_of"] == "absolute" else f" of BM25's {measure}")
    values = {"measure": measure, "differences": len(less_all), "outcomes": ", ".join(found), "margin": margin}
    values["at_least"] = spec["at_least"]
    notes, more = verdict_notes(both, [*FAMILY, "kind"], rule["difference_alpha"])
    sentences = ["shown", "found", *["too few"] * bool((rows["groups"] < spec["at_least"]).any())]
    return Layout({"": _text_table(rows, spec)}, sentences, numbers, values | more, SIX_DIGITS, notes=notes)


def _beside(rows: pd.DataFrame) -> pd.DataFrame:
    """The comparisons with random cuts, with the names of those with all queries."""
    verdict = {f"beside_{name}": name for name in ("p_difference", "outcome", "basis")}
    return rows.loc[rows["beside_basis"].notna(), [*FAMILY, *verdict]].rename(columns=verdict)


def _text_table(rows: pd.DataFrame, spec: Mapping) -> TextTable:
    optional = {"sampler": len(spec["samplers"]) > 1, "teacher": len(spec["teachers"]) > 1}
    named = ["loss", *(key for key, several in optional.items() if several)]
    across = list(dict.fromkeys(zip(rows["domain"], rows["student"], strict=True)))
    across.sort(key=lambda pair: list(dict.fromkeys(rows["domain"])).index(pair[0]))
    lines = []
    for (*section, cut), cells in rows.groupby(["loss", "sampler", "teacher", "cut"], sort=False):
        first = cells.iloc[0]
        found = {(row.domain, row.student): row for row in cells.itertuples()}
        texts = [f"{first['groups']:.0f}", "" if pd.isna(first["entropy"]) else f"{first['entropy']:.3f}"]
        texts += [text for pair in across for text in _texts(found[pair])]
        lines.append((tuple(section), (*first[named], cut), texts))
    groups = [("training", ["queries", "entropy"])]
    groups += [(f"{domain} {student}", ["mean", "minus all", "minus random"]) for domain, student in across]
    return text_table((*named, "cut"), groups, lines)


def _texts(row: tuple) -> tuple[str, str, str]:
    """A cell's value with its interval and, for a cut, its differences; of one that was not trained, why."""
    if pd.isna(row.mean):
        return row.outcome, "", ""
    value = f"{format_value(row.mean, row.std_seed)} [{row.ci_low:.3f}, {row.ci_high:.3f}]"
    return value, *(_difference(row, prefix) for prefix in ("", "beside_"))


def _difference(row: tuple, prefix: str) -> str:
    value, outcome, basis = (getattr(row, f"{prefix}{name}") for name in ("difference", "outcome", "basis"))
    if pd.isna(value):
        return ""
    low, high = (getattr(row, f"{prefix or 'difference_'}ci_{end}") for end in ("low", "high"))
    return format_difference(value, low, high, outcome, basis)
