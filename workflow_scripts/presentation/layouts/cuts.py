"""Layout of the cuts table: loss (x sampler x teacher) x cut down; training queries, then domain x student across."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.analysis.families import MARKS
from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import Cell, TextTable, format_value
from workflow_scripts.presentation.verdict_notes import mark, verdict_notes

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
    notes, more = verdict_notes(both, [*FAMILY, "kind"], rule["difference_alpha"])
    sentences = ["shown", "found", *["too few"] * bool((rows["groups"] < spec["at_least"]).any())]
    # Six digits, not decimals: a p-value of 1e-9 is not 0.
    return Layout(
        {"": _text_table(rows, spec)},
        sentences,
        numbers,
        values | more | {"at_least": spec["at_least"]},
        "%.6g",
        notes=notes,
    )


def _beside(rows: pd.DataFrame) -> pd.DataFrame:
    """The comparisons with random cuts, with the names of those with all queries."""
    verdict = {f"beside_{name}": name for name in ("p_difference", "outcome", "basis")}
    return rows.loc[rows["beside_basis"].notna(), [*FAMILY, *verdict]].rename(columns=verdict)


def _text_table(rows: pd.DataFrame, spec: Mapping) -> TextTable:
    optional = {"sampler": len(spec["samplers"]) > 1, "teacher": len(spec["teachers"]) > 1}
    named = ["loss", *(key for key, several in optional.items() if several)]
    across = list(dict.fromkeys(zip(rows["domain"], rows["student"], strict=True)))
    across.sort(key=lambda pair: list(dict.fromkeys(rows["domain"])).index(pair[0]))
    sections = []
    for _, block in rows.groupby(["loss", "sampler", "teacher"], sort=False):
        section = []
        for cut, cells in block.groupby("cut", sort=False):
            first = cells.iloc[0]
            found = {(row.domain, row.student): row for row in cells.itertuples()}
            texts = [f"{first['groups']:.0f}", "" if pd.isna(first["entropy"]) else f"{first['entropy']:.3f}"]
            texts += [text for pair in across for text in _texts(found[pair])]
            section.append(((*first[named], cut), [Cell(text) for text in texts]))
        sections.append(section)
    groups = [("training", ["queries", "entropy"])]
    groups += [(f"{domain} {student}", ["mean", "minus all", "minus random"]) for domain, student in across]
    return TextTable((*named, "cut"), groups, sections)


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
    interval = "" if pd.isna(low) else f" [{low:+.3f}, {high:+.3f}]"
    return f"{value:+.3f}{interval} {mark(outcome, basis)}"
