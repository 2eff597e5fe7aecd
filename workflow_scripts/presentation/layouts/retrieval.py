"""Layout of the retrieval table: domain x student x loss x sampler (x teacher) down; measure x stage across."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from workflow_scripts.analysis.equivalence import BLOCK
from workflow_scripts.analysis.families import DIFFERENT
from workflow_scripts.presentation.layout import SIX_DIGITS, Layout, table_by, without_one_teacher
from workflow_scripts.presentation.table_formats import TextTable, format_value
from workflow_scripts.presentation.verdict_notes import format_difference, verdict_notes

RECALL = "R@100"
HEADERS = ("re-ranked", "retrieved", "difference")


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold the first measure that a domain has and, where it is listed, R@100."""
    found = [measure for measure in spec["measures"] if measure in set(numbers["measure"])]
    shown = [measure for measure in found if measure in (found[0], RECALL)]
    first = numbers[numbers["measure"] == shown[0]]
    depths = {stage: spec[f"{stage}_depth"] for stage in ("reranked", "retrieved")}
    stages = "shown and candidates" if spec["candidates"] else "shown"
    sentences = [stages, "result"] if len(set(depths.values())) == 1 else [stages, "result", "depths"]
    values = depths | {
        "candidates": spec["candidates"],
        "measure": shown[0],
        "comparisons": len(first),
        "confidence": 100 * spec["rule"]["confidence"],
    }
    different = first.loc[first["outcome"] == DIFFERENT, "difference"]
    values |= {"better": (different > 0).sum(), "worse": (different < 0).sum()}
    notes, more = verdict_notes(first, BLOCK, spec["rule"]["difference_alpha"])
    texts = {"": _text_table(numbers[numbers["measure"].isin(shown)], spec, shown)}
    return Layout(texts, sentences, numbers, values | more, SIX_DIGITS, notes=notes)


def _text_table(rows: pd.DataFrame, spec: Mapping, shown: Sequence[str]) -> TextTable:
    """A section is a domain's student; empty where a domain's collections do not all have the measure."""

    def texts(ranker: pd.DataFrame) -> list[str]:
        found = {row.measure: _texts(row) for row in ranker.itertuples()}
        return [text for name in shown for text in found.get(name, ("", "", ""))]

    keys = without_one_teacher(["domain", "student", "loss", "sampler", "teacher"], spec)
    return table_by(keys, rows, [(measure, HEADERS) for measure in shown], texts, section=2)


def _texts(row: tuple) -> tuple[str, str, str]:
    return (
        format_value(row.reranked, row.reranked_std_seed),
        format_value(row.retrieved, row.retrieved_std_seed),
        format_difference(row.difference, row.ci_low, row.ci_high, row.outcome, row.basis),
    )
