"""Layout of the retrieval table: domain x student x loss x sampler (x teacher) down; measure x stage across."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from workflow_scripts.analysis.equivalence import BLOCK
from workflow_scripts.analysis.families import DIFFERENT
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import Cell, TextTable, format_value
from workflow_scripts.presentation.verdict_notes import mark, verdict_notes

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
    texts = {"": _text_table(numbers, Grid.of(spec), shown)}
    return Layout(texts, sentences, numbers, values | more, "%.6g", notes=notes)


def _text_table(numbers: pd.DataFrame, grid: Grid, shown: Sequence[str]) -> TextTable:
    """A section is a domain's student."""
    rows = numbers[numbers["measure"].isin(shown)]
    keys = ["loss", "sampler", "teacher"] if len(grid.teachers) > 1 else ["loss", "sampler"]
    sections = []
    for (domain, student), part in rows.groupby(["domain", "student"], sort=False):
        section = []
        for labels, ranker in part.groupby(keys, sort=False):
            by_measure = ranker.set_index("measure")
            section.append(((domain, student, *labels), [cell for name in shown for cell in _cells(by_measure, name)]))
        sections.append(section)
    return TextTable(("domain", "student", *keys), [(measure, HEADERS) for measure in shown], sections)


def _cells(by_measure: pd.DataFrame, measure: str) -> list[Cell]:
    """Three cells; empty ones where a domain's collections do not all have the measure."""
    if measure not in by_measure.index:
        return [Cell("")] * 3
    row = by_measure.loc[measure]
    interval = "" if np.isnan(row["ci_low"]) else f" [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]"
    return [
        Cell(format_value(row["reranked"], row["reranked_std_seed"])),
        Cell(format_value(row["retrieved"], row["retrieved_std_seed"])),
        Cell(f"{row['difference']:+.3f}{interval} {mark(row['outcome'], row['basis'])}"),
    ]
