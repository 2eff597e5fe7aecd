"""Layout of the equivalence table: domain x student x loss (x teacher) down; pairs of samplers across."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations

import pandas as pd

from workflow_scripts.analysis.equivalence import BLOCK
from workflow_scripts.analysis.families import DIFFERENT, EQUIVALENT, SAME, UNDECIDED
from workflow_scripts.presentation.layout import SIX_DIGITS, Layout, table_by, without_one_teacher
from workflow_scripts.presentation.table_formats import TextTable
from workflow_scripts.presentation.verdict_notes import mark, verdict_notes

NEW = "Other collections of the same kind"
"""Heading of the table whose verdicts take the collections for a random sample."""


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold the first measure: each pair's difference and the mark of its outcome.

    Where a domain has three members or more, the Markdown has a second table: intervals, and outcomes from five on,
    with the collections as a random sample.
    """
    measure, rule = spec["measures"][0], spec["rule"]
    rows = numbers[numbers["measure"] == measure]
    margin = "absolute margin" if rule["margin_of"] == "absolute" else "relative margin"
    decided = ["shown", margin] if rows["p_difference"].notna().any() else ["differences"]
    sentences = ["nothing to compare"] if rows.empty else decided
    sentences += ["median"] * bool(rows["smallest_margin"].notna().any())
    counts = rows["outcome"].value_counts()
    values = {outcome: counts.get(outcome, 0) for outcome in (DIFFERENT, EQUIVALENT, UNDECIDED, SAME)}
    values |= {"measure": measure, "pairs": len(rows), "margin": rule["margin"]}
    values |= {"median": rows["smallest_margin"].median(), "within": _blocks_within(rows, rule["alpha"])}
    notes, more = verdict_notes(rows, BLOCK, rule["difference_alpha"])
    texts = {"": pairs_table(rows, spec)}
    sampled = rows[rows["new_ci_low"].notna()]
    if len(sampled):
        texts[NEW] = pairs_table(sampled, spec, _sampled)
    return Layout(texts, sentences, numbers, values | more, SIX_DIGITS, notes=[] if rows.empty else notes)


def _blocks_within(rows: pd.DataFrame, alpha: float) -> int:
    """Blocks all of whose samplers are within the margin: an intersection of unions needs no correction."""
    largest = rows.groupby(list(BLOCK), sort=False)["p_equivalence"].agg(lambda p: p.max(skipna=False))
    return int((largest <= alpha).sum())


def _fixed(row: tuple) -> str:
    return f"{row.mean_difference:+.3f} {mark(row.outcome, row.basis)}"


def _sampled(row: tuple) -> str:
    verdict = f" {mark(row.new_outcome, row.basis)}" if row.new_outcome else ""
    return f"{row.new_ci_low:+.3f} to {row.new_ci_high:+.3f}{verdict}"


def pairs_table(rows: pd.DataFrame, spec: Mapping, text: Callable[[tuple], str] = _fixed) -> TextTable:
    """Domain, student and loss down, every two samplers across; ``text`` writes a comparison."""
    pairs = list(combinations(spec["samplers"], 2))

    def texts(block: pd.DataFrame) -> list[str]:
        found = {(row.sampler_a, row.sampler_b): text(row) for row in block.itertuples()}
        return [found.get(pair, "") for pair in pairs]

    keys = without_one_teacher(["domain", "student", "loss", "teacher"], spec)
    return table_by(keys, rows, [("", [f"{one} / {other}" for one, other in pairs])], texts)
