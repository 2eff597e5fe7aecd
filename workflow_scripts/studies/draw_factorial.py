"""Draw the factorial study: each cell's mean, share of near negatives across, the teacher's temperature down."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workflow_scripts.analysis.measure_names import EXCESS_RISK
from workflow_scripts.presentation.plots import PAGE, new_figure, save_figure
from workflow_scripts.presentation.table_formats import format_value
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = "cividis"
"""Perceptually uniform, and read alike with and without red-green blindness."""


def draw_factorial(*, spec: Mapping, cells: Path, png: Path, pdf: Path) -> None:
    """Write the figure twice.

    ``cells``: the numbers of the factorial study's cells. ``spec``: ``students``, ``teachers``, ``domain``,
    ``measures`` (a row each, under every teacher; "excess risk" is left out where the domain has none), ``locality``
    ([sampler, share], ...) and ``entropy`` ([loss, temperature], ...). A panel is a student, teacher and measure with
    colours of its own, brighter is better: look whether a row's steps are the same in every row. A cell shows its mean
    over seeds ± their standard deviation. Raises :class:`InputError` for a cell that is missing.
    """
    table, _ = read_numbers(cells)
    table = table[table["domain"] == spec["domain"]]
    measures = [name for name in spec["measures"] if name != EXCESS_RISK or (table["measure"] == name).any()]
    students, rows = spec["students"], list(product(spec["teachers"], measures))
    # A cell must hold its number, however few the panels.
    width = min(PAGE, 0.6 + len(students) * (0.75 + 0.75 * len(spec["locality"])))
    height = 0.3 + len(rows) * (0.65 + 0.4 * len(spec["entropy"]))
    figure, axes = new_figure(width, height, len(rows), len(students))
    for row, (teacher, measure) in zip(axes, rows, strict=True):
        for panel, student in zip(row, students, strict=True):
            chosen = (table["student"] == student) & (table["teacher"] == teacher) & (table["measure"] == measure)
            _draw_panel(panel, *_grid(table[chosen], spec, f"{measure} of {student} under {teacher}"), measure)
            panel.set_title(", ".join([student, *([teacher] if len(spec["teachers"]) > 1 else []), spec["domain"]]))
            _label_axes(panel, spec)
    for panel in axes[-1]:
        panel.set_xlabel("locality: share of near negatives")
    for panel in axes[:, 0]:
        panel.set_ylabel("entropy:\nteacher's temperature")
    save_figure(figure, png, pdf)


def _grid(rows: pd.DataFrame, spec: Mapping, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Means and the cells' texts  # (entropies, localities)."""
    found = rows.set_index(["loss", "sampler"])[["mean", "std_seed"]].T.to_dict("list")
    means = np.empty((len(spec["entropy"]), len(spec["locality"])))
    texts = np.empty(means.shape, dtype=object)
    for (row, (loss, _)), (column, (sampler, _)) in product(enumerate(spec["entropy"]), enumerate(spec["locality"])):
        if (loss, sampler) not in found:
            raise InputError(
                f"the cells lack {name}, {loss} with {sampler}, on {spec['domain']}: make that table again"
            )
        mean, spread = found[loss, sampler]
        means[row, column], texts[row, column] = mean, format_value(mean, spread).replace(" ± ", "\n± ")
    return means, texts


def _draw_panel(panel: Axes, means: np.ndarray, texts: np.ndarray, measure: str) -> None:
    # Risk is a loss: its colours are turned round, so that bright is good in every panel.
    image = panel.imshow(means, cmap=f"{COLOURS}_r" if measure == EXCESS_RISK else COLOURS, aspect="auto")
    for (row, column), text in np.ndenumerate(texts):
        red, green, blue, _ = image.cmap(image.norm(means[row, column]))
        dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5
        panel.text(column, row, text, ha="center", va="center", fontsize=6.5, color="white" if dark else "black")
    bar = panel.figure.colorbar(image, ax=panel, pad=0.02, aspect=14)
    bar.set_label(f"{measure} (lower is better)" if measure == EXCESS_RISK else measure)
    bar.outline.set_visible(False)
    bar.locator.set_params(nbins=4)
    bar.update_ticks()


def _label_axes(panel: Axes, spec: Mapping) -> None:
    shares, temperatures = ([f"{level:g}" for _, level in spec[dial]] for dial in ("locality", "entropy"))
    panel.set_xticks(range(len(shares)), shares)
    panel.set_yticks(range(len(temperatures)), temperatures)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)


if __name__ == "__main__":
    run(draw_factorial)
