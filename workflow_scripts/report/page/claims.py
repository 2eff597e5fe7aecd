"""The claims as the page shows them: a sentence, a verdict for each student and domain, and the estimates behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workflow_scripts.report.page.charts import Axis

WIDTH, HEIGHT, EDGE = 260, 18, 4
DECIDED = ("supported", "contradicted")
IN_UNITS = ("cells", "factorial")
"""Tests whose estimates are differences of the measure: they share one axis, with the margin shaded."""


@dataclass(frozen=True)
class Part:
    """An estimate with its interval, and where they lie on the claim's axis; None where there is no estimate."""

    text: str
    value: str
    p: str
    dot: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Row:
    """A verdict: whom it is about, what it rests on, and what would decide it."""

    about: str
    verdict: str
    basis: str
    decided_by: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Claim:
    """A claim with its rows, and whether one is ``decided``.

    ``zero`` and ``margin`` are pixels of its axis, ``margin`` None where it has none.
    """

    name: str
    sentence: str
    source: str
    tally: str
    decided: bool
    axis: Axis | None
    zero: float | None
    margin: tuple[float, float] | None
    rows: Sequence[Row]


def page_claims(numbers: pd.DataFrame, spec: Mapping) -> list[Claim]:
    """The claims of the claims table's ``numbers``; ``spec`` is what they were made by."""
    tests = {name: claim["test"] for name, claim in spec["claims"].items()}
    margin = spec["rule"]["margin"] if spec["rule"]["margin_of"] == "absolute" else None
    shared = _axis(numbers[numbers["claim"].map(tests).isin(IN_UNITS)], [margin or 0.0, -(margin or 0.0)])
    found = []
    for name, rows in numbers.groupby("claim", sort=False):
        own = shared if tests[name] in IN_UNITS else _axis(rows, [])
        limits = (own.at(-margin), own.at(margin)) if own is shared and own is not None and margin else None
        found.append(_claim(str(name), rows, own, limits))
    return found


def _axis(rows: pd.DataFrame, more: Sequence[float]) -> Axis | None:
    """An axis that holds the estimates and 0; None where there is no estimate. Intervals that leave it are cut."""
    values = rows[["estimate", "ci_low", "ci_high"]].to_numpy(float).ravel()
    values = values[np.isfinite(values)]
    return Axis.around([*values, *more, 0.0], EDGE, WIDTH - EDGE) if len(values) else None


def _claim(name: str, rows: pd.DataFrame, axis: Axis | None, margin: tuple[float, float] | None) -> Claim:
    verdicts = rows.drop_duplicates(["teacher", "student", "domain"])["verdict"].value_counts()
    tally = ", ".join(f"{verdict} {count}" for verdict, count in verdicts.items())
    several = rows["teacher"].nunique() > 1
    shown = []
    for (teacher, student, domain), block in rows.groupby(["teacher", "student", "domain"], sort=False, dropna=False):
        about = " · ".join(filter(None, (str(student), str(domain), str(teacher) if several else "")))
        first = block.iloc[0]
        parts = [_part(row, axis) for row in block.itertuples() if row.part]
        shown.append(Row(about, first["verdict"], str(first["basis"] or ""), str(first["decided_by"] or ""), parts))
    zero = None if axis is None else axis.at(0.0)
    decided = any(row.verdict in DECIDED for row in shown)
    about = rows["sentence"].iloc[0], rows["source"].iloc[0], tally, decided
    return Claim(name, *about, axis, zero, margin, shown)


def _part(row: tuple, axis: Axis | None) -> Part:
    known = axis is not None and np.isfinite(row.estimate)
    ends = (row.ci_low, row.ci_high) if np.isfinite(row.ci_low) else (np.nan, np.nan)
    low, high = (axis.at(end) if known and np.isfinite(end) else None for end in ends)
    value = "" if np.isnan(row.estimate) else f"{row.estimate:+.3g}"
    if np.isfinite(row.ci_low):
        value += f" ({row.ci_low:+.3g} to {row.ci_high:+.3g})"
    p = "" if np.isnan(row.p) else ("p < 0.001" if row.p < 0.001 else f"p {row.p:.3f}")
    return Part(row.part, value.replace("-", "−"), p, axis.at(row.estimate) if known else None, low, high)
