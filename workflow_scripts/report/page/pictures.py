"""The page's other pictures: locality against entropy, cost against effectiveness, scores by rank, training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.summaries import TEACHER, whole_domains
from workflow_scripts.report.page.charts import MARKERS, Axis, Chart, Line, Mark, polyline
from workflow_scripts.report.rank_curves import POWER, STRETCHED, curve_at

WIDTH, HEIGHT = 420, 280
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 14, 46
SMALLEST = 4
FITTED = (POWER, STRETCHED)


def _box(
    xs: Sequence[float], ys: Sequence[float], labels: tuple[str, str], log: tuple[bool, bool]
) -> tuple[Axis, Axis]:
    x = Axis.around(xs, LEFT, WIDTH - RIGHT, log=log[0], label=labels[0])
    return x, Axis.around(ys, HEIGHT - BOTTOM, TOP, log=log[1], label=labels[1])


def locality_map(locality: pd.DataFrame, main: pd.DataFrame, spec: Mapping) -> Chart:
    """Diameter across, teacher entropy up, a dot a sampler and teacher, its size by the effectiveness of its students.

    That is their mean over students and losses in the first domain.
    """
    samplers, measure, domain = spec["samplers"], spec["measure"], spec["domains"][0]["name"]
    table = locality.pivot_table("value", ["sampler", "teacher"], "quantity", sort=False)
    rows = table[["diameter", "entropy"]].dropna().reset_index()
    rows = rows[rows["sampler"].isin(samplers)]
    whole = whole_domains(main, measure)
    means = whole[whole["domain"] == domain].groupby(["sampler", "teacher"])["mean"].mean()
    reached = means.reindex(pd.MultiIndex.from_frame(rows[["sampler", "teacher"]])).to_numpy()
    low, high = np.nanmin(reached), np.nanmax(reached)
    labels = ("essential diameter of a group", "teacher entropy of a group, bits")
    x, y = _box(rows["diameter"], rows["entropy"], labels, (False, False))
    marks = [
        _mark(
            (samplers, row.sampler),
            (x.at(row.diameter), y.at(row.entropy)),
            f"{row.sampler}, teacher {row.teacher}",
            [
                f"diameter {row.diameter:.4f}",
                f"entropy {row.entropy:.4f} bits",
                "no student of the grid" if np.isnan(mean) else f"mean {measure} of its students {mean:.4f}",
            ],
            label=f"{row.sampler} ({row.teacher})",
            size=SMALLEST if np.isnan(mean) else round(SMALLEST + 5 * (mean - low) / (high - low or 1), 1),
            hollow=bool(np.isnan(mean)),
        )
        for row, mean in zip(rows.itertuples(), reached, strict=True)
    ]
    hollow = "; hollow: no student of the grid" if np.isnan(reached).any() else ""
    note = f"Size: mean {measure} {domain} of all students of a sampler, {low:.3f} (smallest) to {high:.3f}{hollow}."
    return Chart("Locality against entropy", WIDTH, HEIGHT, x, y, marks, note=note)


def cost_maps(cost: pd.DataFrame, main: pd.DataFrame, spec: Mapping) -> list[Chart]:
    """For each domain and student: energy bought alone across, effectiveness up, a dot a loss and sampler.

    The students of a domain share their axes; a dot's text has the shared pools too.
    """
    keys, measure = ["student", "loss", "sampler"], spec["measure"]
    spent = cost[cost["scope"] == "student"].groupby(keys, sort=False)[["alone_wh", "energy_wh"]].mean()
    whole = whole_domains(main, measure)
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


def score_lines(profiles: pd.DataFrame, fits: tuple[pd.DataFrame, Mapping] | None, spec: Mapping) -> Chart:
    """Mean score against rank ratio on the first domain, both logarithmic: the teacher, each student over its cells.

    ``fits``: the curves that are fitted to them, and the settings of these fits; those :data:`FITTED` are drawn.
    """
    domain = spec["domains"][0]
    (parsed,) = parse_domains([domain])
    rows = profiles[profiles["collection"].isin(parsed.collections)]
    places = {TEACHER: None} | {name: place for place, name in enumerate(spec["students"])}
    curves = {name: rows[rows["student"] == name].groupby("rank_ratio")["score"].mean() for name in places}
    curves = {name: curve for name, curve in curves.items() if len(curve)}
    every = pd.concat(curves.values())
    labels = ("rank as a share of the candidates", "mean score, scaled to 0 to 1")
    x, y = _box(every.index.to_numpy(), every[every > 1e-3].to_numpy(), labels, (True, True))
    lines = [
        Line(polyline(x, y, curve.index.to_numpy(), np.maximum(curve.to_numpy(), 0)), places[name], name)
        for name, curve in curves.items()
    ]
    drawn, note = [], ""
    if fits is not None:
        found, (low, high) = fits[0][fits[0]["domain"] == domain["name"]], fits[1]["fit_range"]
        inside = {name: curve.index[(curve.index >= low) & (curve.index <= high)] for name, curve in curves.items()}
        drawn = _fitted(found, inside, places, x, y)
        note = f"Thin: {FITTED[0]} in dashes and {FITTED[1]} in dots, fitted from {low:g} to {high:g} and drawn there."
    return Chart(f"Score by rank, {domain['name']}", WIDTH, HEIGHT, x, y, lines=[*lines, *drawn], note=note)


def _fitted(
    fits: pd.DataFrame, inside: Mapping[str, pd.Index], places: Mapping[str, int | None], x: Axis, y: Axis
) -> list[Line]:
    """The curves of the forms :data:`FITTED` at the rank ratios that they are fitted to."""
    lines = []
    for row in fits[fits["form"].isin(FITTED) & fits["ranker"].isin([*inside])].itertuples():
        ratios = inside[row.ranker].to_numpy()
        scores = curve_at(row.form, row.scale, row.rate, row.stretch, ratios)
        points = polyline(x, y, ratios, np.where((scores >= y.low) & (scores <= y.high), scores, np.nan))
        lines.append(Line(points, places[row.ranker], f"{row.ranker}: {row.form}", 1 + FITTED.index(row.form)))
    return lines


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
