"""Layout of the cost table: stages, then samplers, what a contrastive loss and what a distilling one waits for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import text_table

HEADERS = [
    ("", ["jobs"]),
    ("seconds", ["wall", "CPU", "GPU"]),
    ("memory", ["MB"]),
    ("energy (estimate)", ["Wh", "Wh alone", "x cheapest"]),
]


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """Students are in the CSV alone."""
    lines = [("", (row.stage, "", ""), _texts(row)) for row in numbers[numbers["scope"] == "stage"].itertuples()]
    for row in numbers[numbers["scope"] == "sampler"].sort_values("stage", kind="stable").itertuples():
        lines.append((row.stage, (f"before training: {row.stage}", row.sampler, row.teacher), _texts(row)))
    table = text_table(("stage", "sampler", "teacher"), HEADERS, lines)
    values = {name: f"{spec[name]:g}" for name in ("watts_per_core", "watts_per_gpu")}
    return Layout({"": table}, ["shown", "energy"], numbers.drop(columns="times_cheapest"), values)


def _texts(row: object) -> list[str]:
    values = [f"{row.jobs:.0f}", *(f"{value:,.1f}" for value in (row.wall_s, row.cpu_s, row.gpu_s))]
    alone = ["", ""] if np.isnan(row.times_cheapest) else [f"{row.alone_wh:.3g}", f"{row.times_cheapest:.1f}"]
    return [*values, f"{row.peak_rss_mb:,.0f}", f"{row.energy_wh:.3g}", *alone]
