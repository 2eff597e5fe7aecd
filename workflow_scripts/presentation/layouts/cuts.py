"""Layout of the cuts table: loss (x sampler x teacher) x cut down; training queries, then domain x student across."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.analysis.paired import MARKS
from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import Cell, TextTable, format_value


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold the first measure."""
    measure, rule = spec["measures"][0], spec["rule"]
    rows = numbers[numbers["measure"] == measure]
    outcomes = rows["outcome"].dropna()
    found = [f"{(outcomes == name).sum()} {name} ({mark})" for name, mark in MARKS.items()]
    margin = f"{rule['margin']:g}" + ("" if rule["margin_of"] == "absolute" else f" of BM25's {measure}")
    values = {"measure": measure, "differences": len(outcomes), "outcomes": ", ".join(found), "margin": margin}
    # Six digits, not decimals: a p-value of 1e-9 is not 0.
    return Layout({"": _text_table(rows, spec)}, ["shown", "found"], numbers, values, "%.6g")


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
            texts = [f"{first['groups']:.0f}", f"{first['entropy']:.3f}"]
            texts += [text for pair in across for text in _texts(found[pair])]
            section.append(((*first[named], cut), [Cell(text) for text in texts]))
        sections.append(section)
    groups = [("training", ["queries", "entropy"])]
    groups += [(f"{domain} {student}", ["mean", "minus all queries"]) for domain, student in across]
    return TextTable((*named, "cut"), groups, sections)


def _texts(row: tuple) -> tuple[str, str]:
    """A cell's value and, for a cut, its difference, each with its interval."""
    value = f"{format_value(row.mean, row.std_seed)} [{row.ci_low:.3f}, {row.ci_high:.3f}]"
    if pd.isna(row.outcome):
        return value, ""
    interval = f"[{row.difference_low:+.3f}, {row.difference_high:+.3f}]"
    return value, f"{row.difference:+.3f} {interval} {MARKS[row.outcome]}"
