"""Layout of the training collections: their sizes, references, then loss x function (x teacher) down.

Across, for each domain and student: the training collections, then the difference of every two.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, product

import pandas as pd

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.families import MARKS
from workflow_scripts.presentation.layout import SIX_DIGITS, Layout, without_one_teacher
from workflow_scripts.presentation.table_formats import TextTable, format_value, text_table
from workflow_scripts.presentation.verdict_notes import format_difference, verdict_notes

SIZES = {"queries": "training queries", "positives": "positives a query"}


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold the first measure."""
    measure = spec["measures"][0]
    rows = numbers[numbers["measure"].isin(["", measure])]
    counts = rows.loc[rows["scope"] == "difference", "outcome"].value_counts()
    sentences = ["shown", "found"] if len(counts) else ["shown", "no pair"]
    differences = rows[rows["scope"] == "difference"]
    family = ["student", "loss", "teacher", "domain", "measure"]
    notes, more = verdict_notes(differences, family, spec["rule"]["difference_alpha"])
    values = {name: counts.get(name, 0) for name in MARKS} | {"number": counts.sum(), "measure": measure}
    texts = {"": _text_table(rows, spec), "In-domain for a training collection": _own(spec)}
    return Layout(texts, sentences, numbers, values | more, SIX_DIGITS, notes=notes if len(counts) else [])


def _own(spec: Mapping) -> TextTable:
    """Test collections over each training collection's corpus, and the teachers that were trained on it."""
    tested = {name for domain in parse_domains(spec["domains"]) for name in domain.collections}
    trained_on = {teacher: spec["teacher_collections"].get(teacher) for teacher in spec["teachers"]}
    lines = []
    for name in dict.fromkeys([*spec["training_collections"], *trained_on.values()]):
        tests = [test for test in spec["shared"].get(name, []) if test in tested]
        teachers = [teacher for teacher, collection in trained_on.items() if collection == name]
        lines.append((None, (name or "not recorded",), [", ".join(tests), ", ".join(teachers)]))
    return text_table(("training",), [("", ["tests", "teachers"])], lines)


def _text_table(rows: pd.DataFrame, spec: Mapping) -> TextTable:
    names, collections = without_one_teacher(["loss", "sampler", "teacher"], spec), spec["training_collections"]
    # The later of two collections comes first: a difference is its value minus the earlier's.
    columns = [*((name, "") for name in collections), *((two, one) for one, two in combinations(collections, 2))]
    blocks = [(domain.name, student) for domain in parse_domains(spec["domains"]) for student in spec["students"]]
    texts: dict[tuple, str] = {}
    sections: dict[tuple[str, str, str], str] = {}
    for row in rows.itertuples():
        label, place = _place(row, columns[0])
        sections[label] = row.loss or ("sizes" if row.scope in SIZES else "references")
        texts[label, *place] = _text(row)

    def line(label: tuple[str, str, str]) -> list[str]:
        found = []
        for (domain, student), column in product(blocks, columns):
            # A size is of no domain and no student, a reference of no student.
            places = [(domain, student, column), (domain, "", column), ("", "", column)]
            found.append(next((texts[label, *place] for place in places if (label, *place) in texts), ""))
        return found

    headers = [f"{name} minus {other}" if other else name for name, other in columns]
    groups = [(f"{domain} {student}", headers) for domain, student in blocks]
    lines = ((section, label[: len(names)], line(label)) for label, section in sections.items())
    return text_table(names, groups, lines)


def _place(row: object, first: tuple[str, str]) -> tuple[tuple[str, str, str], tuple]:
    """Label of a row's line; its domain, student and column. A reference stands in each block's ``first`` column."""
    if row.scope in SIZES:
        return (SIZES[row.scope], "", ""), ("", "", (row.training, ""))
    if row.scope == "reference":
        return ("BM25" if row.student == "bm25" else row.student, "", row.teacher), (row.domain, "", first)
    return (row.loss, row.function, row.teacher), (row.domain, row.student, (row.training, row.training_b))


def _text(row: object) -> str:
    if row.scope == "difference":
        return format_difference(row.value, row.ci_low, row.ci_high, row.outcome, row.basis)
    if row.scope == "queries":
        return f"{row.value:,.0f}"
    return f"{row.value:.2f}" if row.scope == "positives" else format_value(row.value, row.std_seed)
