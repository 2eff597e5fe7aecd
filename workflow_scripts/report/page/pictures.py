"""The page's other pictures: locality against entropy, cost against effectiveness, scores by rank, training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import ALL, parse_domains
from workflow_scripts.analysis.summaries import TEACHER
from workflow_scripts.report.page.charts import MARKERS, Axis, Chart, Line, Mark, polyline

WIDTH, HEIGHT = 420, 280
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 14, 46


def _box(
    xs: Sequence[float], ys: Sequence[float], labels: tuple[str, str], log: tuple[bool, bool]
) -> tuple[Axis, Axis]:
    x = Axis.around(xs, LEFT, WIDTH - RIGHT, log=log[0], label=labels[0])
    return x, Axis.around(ys, HEIGHT - BOTTOM, TOP, log=log[1], label=labels[1])


def locality_map(locality: pd.DataFrame, samplers: Sequence[str]) -> Chart:
    """Diameter across, teacher entropy up, a dot a sampler and teacher."""
    table = locality.pivot_table("value", ["sampler", "teacher"], "quantity", sort=False)
    rows = table[["diameter", "entropy"]].dropna().reset_index()
    rows = rows[rows["sampler"].isin(samplers)]
    labels = ("essential diameter of a group", "teacher entropy of a group, bits")
    x, y = _box(rows["diameter"], rows["entropy"], labels, (False, False))
    marks = [
        _mark(
            (samplers, row.sampler),
            (x.at(row.diameter), y.at(row.entropy)),
            f"{row.sampler}, teacher {row.teacher}",
            [f"diameter {row.diameter:.4f}", f"entropy {row.entropy:.4f} bits"],
            label=f"{row.sampler} ({row.teacher})",
        )
        for row in rows.itertuples()
    ]
    return Chart("Locality against entropy", WIDTH, HEIGHT, x, y, marks)


def cost_maps(cost: pd.DataFrame, main: pd.DataFrame, spec: Mapping) -> list[Chart]:
    """For each domain and student: energy bought alone across, effectiveness up, a dot a loss and sampler.

    The students of a domain share their axes; a dot's text has the shared pools too.
    """
    keys, measure = ["student", "loss", "sampler"], spec["measure"]
    spent = cost[cost["scope"] == "student"].groupby(keys, sort=False)[["alone_wh", "energy_wh"]].mean()
    whole = main[(main["collection"] == ALL) & (main["measure"] == measure)]
    charts = []
    for domain in spec["domains"]:
        means = whole[whole["domain"] == domain["name"]].groupby(keys, sort=False)[["mean", "ci_low", "ci_high"]].mean()
        rows = means.join(spent).dropna().reset_index()
        labels = ("energy of a student bought alone, Wh", measure)
        x, y = _box(rows["alone_wh"], [*rows["ci_low"], *rows["ci_high"]], labels, (True, False))
        for student in spec["students"]:
            marks = [_cost_mark(row, x, y, spec) for row in rows[rows["student"] == student].itertuples()]
            charts.append(Chart(f"{domain['name']}, {student}", WIDTH, HEIGHT, x, y, marks))
    return charts


def _cost_mark(row: tuple, x: Axis, y: Axis, spec: Mapping) -> Mark:
    return _mark(
        (spec["samplers"], row.sampler),
        (x.at(row.alone_wh), y.at(row.mean)),
        f"{row.student} · {row.loss} · {row.sampler}",
        [
            f"{spec['measure']} {row.mean:.4f} ({row.ci_low:.4f} to {row.ci_high:.4f})",
            f"{row.alone_wh:.3g} Wh alone, {row.energy_wh:.3g} Wh with the pools made for all samplers",
        ],
        low=y.at(row.ci_low),
        high=y.at(row.ci_high),
    )


def score_lines(profiles: pd.DataFrame, students: Sequence[str], domain: Mapping) -> Chart:
    """Mean score against rank ratio on a domain, both logarithmic: the teacher, and each student over its cells."""
    (parsed,) = parse_domains([domain])
    rows = profiles[profiles["collection"].isin(parsed.collections)]
    places = {TEACHER: None} | {name: place for place, name in enumerate(students)}
    curves = {name: rows[rows["student"] == name].groupby("rank_ratio")["score"].mean() for name in places}
    curves = {name: curve for name, curve in curves.items() if len(curve)}
    every = pd.concat(curves.values())
    labels = ("rank as a share of the candidates", "mean score, scaled to 0 to 1")
    x, y = _box(every.index.to_numpy(), every[every > 1e-3].to_numpy(), labels, (True, True))
    lines = [
        Line(polyline(x, y, curve.index.to_numpy(), np.maximum(curve.to_numpy(), 0)), places[name], name)
        for name, curve in curves.items()
    ]
    return Chart(f"Score by rank, {domain['name']}", WIDTH, HEIGHT, x, y, lines=lines)


def training_lines(curves: pd.DataFrame, samplers: Sequence[str]) -> list[Chart]:
    """A picture for each student and loss: training loss by documents seen, a line a sampler."""
    charts = []
    for (student, loss), rows in curves.groupby(["student", "loss"], sort=False):
        x, y = _box(rows["documents"], rows["training_loss"], ("documents seen", "training loss"), (False, False))
        lines = [
            Line(
                polyline(x, y, own["documents"].to_numpy(), own["training_loss"].to_numpy()), samplers.index(name), name
            )
            for name, own in rows.groupby("sampler", sort=False)
            if name in samplers
        ]
        charts.append(Chart(f"{student}, {loss}", WIDTH, HEIGHT, x, y, lines=lines))
    return charts


def _mark(
    sampler: tuple[Sequence[str], str], at: tuple[float, float], title: str, details: Sequence[str], **more: Any
) -> Mark:
    """A dot in the colour and the shape of a sampler, given as all samplers and its name."""
    place = sampler[0].index(sampler[1])
    return Mark(*at, place, title, details, marker=MARKERS[place % len(MARKERS)], **more)
