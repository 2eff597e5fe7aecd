"""Make the cost table: every stage, and what each sampler needs before its first training step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import pandas as pd

from workflow_scripts.analysis.measures import KEYS
from workflow_scripts.presentation.table_files import write_tables
from workflow_scripts.presentation.table_formats import Cell, TextTable
from workflow_scripts.report.costs import Cost, Power, total_cost
from workflow_scripts.report.lineage import Lineage, stages
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError

COSTS = [field.name for field in fields(Cost)]
COLUMNS = ["scope", "stage", *KEYS[:4], *COSTS]
CONTRASTIVE, DISTILLED = "groups", "groups and labels"


def make_cost_table(
    *,
    spec: Mapping,
    metrics: Sequence[Path],
    also: Sequence[Path] = (),
    csv: Path,
    md: Path,
    tex: Path,
) -> pd.DataFrame:
    """Write the table three times and return its rows (all of them in the CSV, students left out of the others).

    ``metrics``: manifests of every ranker's metrics, whose lineage is walked through the manifests' recorded inputs;
    ``also``: manifests of what these were not made from (retrieval's metrics, embeddings), for the stages alone.
    ``spec``: ``watts_per_core`` and ``watts_per_gpu``. Rows by ``scope``:

    - ``stage``: all artifacts of a stage behind ``metrics`` and ``also``;
    - ``sampler``: all that stands behind a sampler's groups, and behind its groups and labels, for one seed (mean over
      seeds): what a contrastive loss and a distilling one wait for;
    - ``student``: all that stands behind one trained model and its training, evaluation apart (mean over seeds).

    Each artifact counts once in a row, so what samplers share (corpus, ranking, teacher) is in each one's row.
    """
    power = Power(**spec)
    lineage = Lineage()
    everything = lineage.behind([*metrics, *also])
    rows = [
        {"scope": "stage", "stage": name, **asdict(total_cost(members, power))}
        for name, members in stages(everything).items()
    ]
    detailed = pd.DataFrame(_student_rows(lineage, metrics, power), columns=["seed", *COLUMNS])
    if detailed.empty:
        raise InputError("no metrics of a trained student were given: name the rankers to cost")
    over_seeds = detailed.groupby(COLUMNS[:6], sort=False, dropna=False)[COSTS].mean().reset_index()
    table = pd.concat([pd.DataFrame(rows), over_seeds])[COLUMNS]
    table[["stage", *KEYS[:4]]] = table[["stage", *KEYS[:4]]].fillna("")
    write_tables(table, _text_table(table), _caption(spec), csv=csv, md=md, tex=tex)
    return table


def _student_rows(lineage: Lineage, metrics: Sequence[str | Path], power: Power) -> Iterator[dict]:
    """Costs of each student and, once for each of its groups and labels, of what they need; one row a seed."""
    told: set[tuple] = set()
    for manifest in metrics:
        keys = lineage.artifact(manifest).spec["keys"]
        if not keys["sampler"]:
            continue  # BM25 and teachers are no students
        student = lineage.model(manifest)
        yield {"scope": "student", "stage": "", **keys, **asdict(_cost(lineage, [student], power))}
        by_stage = {lineage.artifact(path).kind: path for path in lineage.parents(student)}
        needed = [by_stage[kind] for kind in ("groups", "labels") if kind in by_stage]
        # An entropy cut of groups reads the labels whatever the loss.
        starts = {CONTRASTIVE: needed if "cut" in lineage.artifact(student).spec else needed[:1]}
        if "labels" in by_stage:
            starts[DISTILLED] = needed
        for name, paths in starts.items():
            key = (name, keys["sampler"], *paths)
            if key not in told:
                told.add(key)
                shared = {"student": "", "loss": "", **{name: keys[name] for name in ("sampler", "teacher", "seed")}}
                yield {"scope": "sampler", "stage": name, **shared, **asdict(_cost(lineage, paths, power))}


def _cost(lineage: Lineage, paths: Sequence[str], power: Power) -> Cost:
    return total_cost(lineage.behind(paths).values(), power)


def _text_table(table: pd.DataFrame) -> TextTable:
    """Stages, then samplers: contrastive and distilled, beside the cheapest of the same kind."""
    headers = [
        ("", ["jobs"]),
        ("seconds", ["wall", "CPU", "GPU"]),
        ("memory", ["MB"]),
        ("energy (estimate)", ["Wh", "x cheapest"]),
    ]
    sections = []
    of_stages = table[table["scope"] == "stage"]
    sections.append([((row.stage, "", ""), _cells(row, None)) for row in of_stages.itertuples()])
    for name in (CONTRASTIVE, DISTILLED):
        part = table[(table["scope"] == "sampler") & (table["stage"] == name)]
        least = part["energy_wh"].min()
        if len(part):
            rows = [((f"before training: {name}", row.sampler, row.teacher), row) for row in part.itertuples()]
            sections.append([(labels, _cells(row, least)) for labels, row in rows])
    return TextTable(("stage", "sampler", "teacher"), headers, sections)


def _cells(row: object, least: float | None) -> list[Cell]:
    values = [f"{row.jobs:.0f}", *(f"{value:,.1f}" for value in (row.wall_s, row.cpu_s, row.gpu_s))]
    relative = f"{row.energy_wh / least:.1f}" if least else ""
    return [Cell(text) for text in [*values, f"{row.peak_rss_mb:,.0f}", f"{row.energy_wh:.3g}", relative]]


def _caption(spec: Mapping) -> str:
    return (
        "From the manifests of all artifacts, each once; tables and figures have none and are left out. Wall time is "
        "as if one job ran after the other, memory the largest of any "
        f"job. Energy is an estimate, not a measurement: {spec['watts_per_core']:g} W a CPU core-second and "
        f"{spec['watts_per_gpu']:g} W a GPU second, save where a manifest holds a GPU's measured energy. Before "
        "training: all that a sampler needs from raw data to its first training step, for one seed; what samplers "
        "share counts in each.\n"
    )


if __name__ == "__main__":
    run(make_cost_table)
