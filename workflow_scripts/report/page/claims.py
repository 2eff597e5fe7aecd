"""The claims as the page shows them: a sentence, a verdict for each student and domain, and the estimates behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workflow_scripts.analysis.inference import SEEDS
from workflow_scripts.presentation.layouts.claims import opposites
from workflow_scripts.report.page.charts import Axis, tick_text

WIDTH, HEIGHT, EDGE = 260, 18, 4
DECIDED = ("supported", "contradicted")
IN_UNITS = ("cells", "factorial")
"""Tests whose estimates are differences of the measure: they share one axis, with the margin shaded."""


@dataclass(frozen=True)
class Part:
    """An estimate with its interval, and where they lie on the claim's axis; None where there is no estimate.

    ``predicted``: what the claim says of it, and ``side`` the pixels where that is. ``decides``: the verdict rests on
    this part. ``p``: its p-values, each with its name.
    """

    text: str
    predicted: str
    side: tuple[float, float] | None
    decides: bool
    value: str
    p: Sequence[str]
    dot: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Row:
    """A verdict: whom it is about, what it rests on, and, in a sentence, what would decide it or why nothing does."""

    about: str
    verdict: str
    basis: str
    decided_by: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Claim:
    """A claim with its rows, and whether one is ``decided``; ``tests``: what its opposites are corrected over.

    ``zero`` and ``margin`` are pixels of its axis, ``margin`` None where it has none, and ``within`` says how wide it
    is; ``ends``: the axis' texts.
    """

    name: str
    sentence: str
    source: str
    tally: str
    tests: str
    decided: bool
    ends: tuple[str, str, str] | None
    zero: float | None
    margin: tuple[float, float] | None
    within: str
    rows: Sequence[Row]


def page_claims(numbers: pd.DataFrame, spec: Mapping, seeds: int) -> list[Claim]:
    """The claims of the claims table's ``numbers``; ``spec``: what they were made by, ``seeds``: of the grid."""
    tests = {name: claim["test"] for name, claim in spec["claims"].items()}
    alpha, label = spec["rule"]["difference_alpha"], f"difference of {spec['measure']}"
    in_units = numbers[numbers["claim"].map(tests).isin(IN_UNITS)]
    margins = {name: _margin(spec, tests[name]) for name in tests}
    widest = max((margins[name] or 0.0 for name in in_units["claim"].unique()), default=0.0)
    shared = _axis(in_units, [widest, -widest], label)
    found = []
    for name, rows in numbers.groupby("claim", sort=False):
        own = shared if tests[name] in IN_UNITS else _axis(rows, [], "estimate")
        study = _study(spec, spec["claims"][name])
        of_cells = len(study["seeds"]) if study else seeds
        found.append(_claim(rows, own, margins[name], alpha, of_cells, opposites(rows, tests[name])))
    return found


def _study(spec: Mapping, claim: Mapping) -> Mapping | None:
    """The study whose cells a claim is of; None for the grid's."""
    if claim["test"] == "factorial":
        return spec["factorial"]
    return spec["cuts"] if any("cuts" in part for part in claim.get("parts", ())) else None


def _margin(spec: Mapping, test: str) -> float | None:
    """Within which a test's estimates count as little; None where they have no such margin, the same for all."""
    margin = absolute_margin(spec) if test in IN_UNITS else None
    if margin is None or test != "factorial" or not spec["factorial"]:
        return margin
    return margin * spec["factorial"]["interaction_margin"]


def absolute_margin(spec: Mapping) -> float | None:
    """Within which a difference counts as little; None where it is not the same for all."""
    return spec["rule"]["margin"] if spec["rule"]["margin_of"] == "absolute" else None


def _axis(rows: pd.DataFrame, more: Sequence[float], label: str) -> Axis | None:
    """An axis that holds the estimates and 0; None where there is no estimate. Intervals that leave it are cut."""
    values = rows[["estimate", "ci_low", "ci_high"]].to_numpy(float).ravel()
    values = values[np.isfinite(values)]
    return Axis.around([*values, *more, 0.0], EDGE, WIDTH - EDGE, label=label) if len(values) else None


def _claim(rows: pd.DataFrame, axis: Axis | None, margin: float | None, alpha: float, seeds: int, tests: int) -> Claim:
    verdicts = rows.drop_duplicates(["teacher", "student", "domain"])["verdict"].value_counts()
    tally = ", ".join(f"{verdict} {count}" for verdict, count in verdicts.items())
    several = rows["teacher"].nunique() > 1
    shown = []
    for (teacher, student, domain), block in rows.groupby(["teacher", "student", "domain"], sort=False, dropna=False):
        about = " · ".join(filter(None, (str(student), str(domain), str(teacher) if several else "")))
        first = block.iloc[0]
        basis = f"{seeds} seeds" if first["basis"] == SEEDS else str(first["basis"] or "")
        parts = [_part(row, axis, alpha, margin, tests) for row in block.itertuples() if row.part]
        shown.append(Row(about, first["verdict"], basis, _what_is_missing(first), parts))
    ends = None if axis is None else (_signed(axis.low), axis.label, _signed(axis.high))
    return Claim(
        name=str(rows["claim"].iloc[0]),
        sentence=rows["sentence"].iloc[0],
        source=rows["source"].iloc[0],
        tally=tally,
        tests=_tests(rows, tests),
        decided=any(row.verdict in DECIDED for row in shown),
        ends=ends,
        zero=None if axis is None else axis.at(0.0),
        margin=(axis.at(-margin), axis.at(margin)) if axis and margin else None,
        within=f"±{margin:g}" if margin else "",
        rows=shown,
    )


def _what_is_missing(row: pd.Series) -> str:
    if not row["decided_by"]:
        return ""
    return f"{'would decide it' if row['verdict'] == 'undecided' else 'why'}: {row['decided_by']}"


def _tests(rows: pd.DataFrame, tests: int) -> str:
    """What the number counts by which a claim's opposites are corrected; empty where none is tested."""
    of_row = rows.groupby(["teacher", "student", "domain"])["p_opposite"].count()
    if not tests:
        return ""
    alike = of_row[of_row > 0]
    places = f", {alike.iloc[0]} in each of {len(alike)} rows" if alike.nunique() == 1 and alike.sum() == tests else ""
    if alike.sum() > tests:
        places = ", row by row"
    return f"{tests} test{'s' * (tests > 1)}: of every part whose opposite would contradict the claim{places}"


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + tick_text(float(f"{value:.3g}"))


def _part(row: tuple, axis: Axis | None, alpha: float, margin: float | None, tests: int) -> Part:
    known, interval = axis is not None and np.isfinite(row.estimate), np.isfinite(row.ci_low)
    low, high = (axis.at(end) if known and interval else None for end in (row.ci_low, row.ci_high))
    value = "" if np.isnan(row.estimate) else f"{row.estimate:+.3g}"
    value += f" ({row.ci_low:+.3g} to {row.ci_high:+.3g})" if interval else ""
    p = [] if np.isnan(row.p) else [f"p of the part {_p(row.p)}"]
    if not np.isnan(row.p_opposite_holm):
        p.append(f"p of its opposite {_p(row.p_opposite_holm)}, Holm over {tests}")
    decides = {"contradicted": row.p_opposite_holm <= alpha, "supported": bool(row.counts)}.get(row.verdict, False)
    dot = axis.at(row.estimate) if known else None
    side = _side(row.predicted, axis, margin) if known else None
    return Part(row.part, row.predicted, side, decides, value.replace("-", "−"), p, dot, low, high)


def _side(predicted: str, axis: Axis, margin: float | None) -> tuple[float, float] | None:
    """Pixels of the axis where a part is as predicted; None where that is almost everywhere or not the same for all."""
    if "margin" in predicted and margin is None:
        return None
    within = margin or 0.0
    ends = {
        "above 0": (0.0, axis.high),
        "below 0": (axis.low, 0.0),
        "not above margin": (axis.low, within),
        "not below margin": (-within, axis.high),
        "within margin": (-within, within),
    }.get(predicted)
    return ends and (axis.at(ends[0]), axis.at(ends[1]))


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
