"""Layout of the training collections: their sizes, references, then loss x function (x teacher) down.

Across, for each domain and student: the training collections, then the difference of every two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import pandas as pd

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.paired import MARKS
from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import Cell, TextTable, format_value

KEYS = ["scope", "student", "loss", "function", "teacher", "domain", "training", "training_b"]
SIZES = (("queries", "training queries", ",.0f"), ("positives", "positives a query", ".2f"))


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold the first measure."""
    measure = spec["measures"][0]
    rows = numbers[numbers["measure"].isin(["", measure])]
    counts = rows.loc[rows["scope"] == "difference", "outcome"].value_counts()
    sentences = ["shown", "found"] if len(counts) else ["shown", "no pair"]
    sentences += ["one seed"] * (len(spec["seeds"]) == 1)
    values = {name: counts.get(name, 0) for name in MARKS} | {"number": counts.sum(), "measure": measure}
    texts = {"": _text_table(rows, spec), "In-domain for a training collection": _own(spec)}
    # Six digits, not decimals: a p-value of 1e-9 is not 0.
    return Layout(texts, sentences, numbers, values, "%.6g")


def _own(spec: Mapping) -> TextTable:
    """Test collections over each training collection's corpus, and the teachers that were trained on it."""
    tested = {name for domain in parse_domains(spec["domains"]) for name in domain.collections}
    trained_on = {teacher: spec["teacher_collections"].get(teacher) for teacher in spec["teachers"]}
    section = []
    for name in dict.fromkeys([*spec["training_collections"], *trained_on.values()]):
        tests = [test for test in spec["shared"].get(name, []) if test in tested]
        teachers = [teacher for teacher, collection in trained_on.items() if collection == name]
        section.append(((name or "not recorded",), [Cell(", ".join(tests)), Cell(", ".join(teachers))]))
    return TextTable(("training",), [("", ["tests", "teachers"])], [section])


def _text_table(rows: pd.DataFrame, spec: Mapping) -> TextTable:
    several, collections = len(spec["teachers"]) > 1, spec["training_collections"]
    # The later of two collections comes first: a difference is its value minus the earlier's.
    columns = [*((name, "") for name in collections), *((two, one) for one, two in combinations(collections, 2))]
    blocks = [(domain.name, student) for domain in parse_domains(spec["domains"]) for student in spec["students"]]
    values = ["value", "std_seed", "ci_low", "ci_high", "outcome"]
    found = rows.set_index(KEYS)[values].T.to_dict("list")

    def line(scope: str, loss: str, function: str, teacher: str) -> list[Cell]:
        return [
            _cell(found.get(("difference" if other else scope, student, loss, function, teacher, domain, name, other)))
            for domain, student in blocks
            for name, other in columns
        ]

    sections = [_size_lines(found, columns, len(blocks), several), _reference_lines(rows, columns, blocks, several)]
    functions = dict.fromkeys(spec["trained_on"][sampler]["function"] for sampler in spec["samplers"])
    for loss in spec["losses"]:
        labels = [(loss, function, teacher) for function in functions for teacher in spec["teachers"]]
        sections.append([(label if several else label[:2], line("student", *label)) for label in labels])
    headers = [f"{name} minus {other}" if other else name for name, other in columns]
    spans = [(f"{domain} {student}", headers) for domain, student in blocks]
    return TextTable(("loss", "sampler", "teacher") if several else ("loss", "sampler"), spans, sections)


def _cell(row: Sequence | None) -> Cell:
    if row is None:
        return Cell("")
    value, std_seed, low, high, outcome = row
    return Cell(
        f"{value:+.3f} [{low:+.3f}, {high:+.3f}] {MARKS[outcome]}" if outcome else format_value(value, std_seed)
    )


def _size_lines(found: Mapping, columns: Sequence[tuple[str, str]], blocks: int, several: bool) -> list:
    """Queries and positives a query above each block's collections."""
    lines = []
    for scope, label, form in SIZES:
        sizes = [found.get((scope, "", "", "", "", "", *column)) for column in columns]
        cells = [Cell(format(size[0], form)) if size else Cell("") for size in sizes]
        lines.append(((label, "", "") if several else (label, ""), cells * blocks))
    return lines


def _reference_lines(rows: pd.DataFrame, columns: Sequence, blocks: Sequence[tuple[str, str]], several: bool) -> list:
    """BM25 and the teachers, which are the same whatever the students were trained on: in each block's first column."""
    lines = []
    references = rows[rows["scope"] == "reference"]
    for (name, teacher), part in references.groupby(["student", "teacher"], sort=False):
        values = part.set_index("domain")[["value", "std_seed"]].T.to_dict("list")
        cells = []
        for domain, _ in blocks:
            cells += [Cell(format_value(*values[domain])), *[Cell("")] * (len(columns) - 1)]
        label = "BM25" if name == "bm25" else name
        lines.append(((label, "", teacher) if several else (label, ""), cells))
    return lines
