"""Compute the cost table: every stage, each student, and what each sampler needs before its first training step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.analysis.measures import KEYS
from workflow_scripts.report.lineage import Lineage, stages
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_numbers

JOULES_PER_WH = 3600
CONTRASTIVE, DISTILLED = "groups", "groups and labels"


COSTS = ("jobs", "wall_s", "cpu_s", "gpu_s", "peak_rss_mb", "peak_gpu_mb", "energy_wh")
"""Cost of one or more jobs.

jobs         how many
wall_s       seconds from start to end, added up as if one job ran after the other
cpu_s        processor seconds of all their threads and children
gpu_s        wall seconds of the jobs that computed on a GPU
peak_rss_mb  largest resident memory of any, MB (2^20 bytes)
peak_gpu_mb  largest GPU memory of any, MB; 0 where none used one
energy_wh    watt-hours: cpu_s x watts of a core, and of a GPU what was measured, else gpu_s x its watts
"""
COLUMNS = ["scope", "stage", *KEYS[:4], *COSTS]


def make_cost_table(*, spec: Mapping, metrics: Sequence[Path], also: Sequence[Path] = (), output: Path) -> None:
    """Write the numbers: columns COLUMNS and ``times_cheapest``, a sampler's energy over the least of its kind.

    ``metrics``: manifests of every ranker's metrics, whose lineage is walked through the manifests' recorded inputs;
    ``also``: manifests of what these were not made from (retrieval's metrics, embeddings), for the stages alone.
    ``spec``: ``watts_per_core`` and ``watts_per_gpu``. Rows by ``scope``:

    - ``stage``: all artifacts of a stage behind ``metrics`` and ``also``;
    - ``sampler``: all that stands behind a sampler's groups, and behind its groups and labels, for one seed (mean over
      seeds): what a contrastive loss and a distilling one wait for;
    - ``student``: all that stands behind one trained model and its training, evaluation apart (mean over seeds).

    Each artifact counts once in a row, so what samplers share (corpus, ranking, teacher) is in each one's row.
    """
    lineage = Lineage()
    everything = stages(lineage.behind([*metrics, *also]))
    rows = [{"scope": "stage", "stage": name, **total_cost(each, spec)} for name, each in everything.items()]
    detailed = pd.DataFrame(_student_rows(lineage, metrics, spec), columns=["seed", *COLUMNS])
    if detailed.empty:
        raise InputError("no metrics of a trained student were given: name the rankers to cost")
    over_seeds = detailed.groupby(COLUMNS[:6], sort=False, dropna=False)[list(COSTS)].mean().reset_index()
    table = pd.concat([pd.DataFrame(rows), over_seeds], ignore_index=True)[COLUMNS]
    table[COLUMNS[1:6]] = table[COLUMNS[1:6]].fillna("")
    samplers = table[table["scope"] == "sampler"]
    least = samplers.groupby("stage")["energy_wh"].transform("min")
    write_numbers(output, table.assign(times_cheapest=samplers["energy_wh"] / least), spec)


def total_cost(artifacts: Iterable[Artifact], power: Mapping) -> dict[str, float]:
    """COSTS of the artifacts together, each counted once however many were made from it; peaks are maxima.

    ``power``: ``watts_per_core`` and ``watts_per_gpu``, of a busy core and of a GPU while a job holds it. A manifest
    whose cost has ``gpu_energy_wh`` (measured) is not estimated for its GPU. Raises :class:`InputError` for a manifest
    without its cost.
    """
    costs = [_job_cost(artifact, power) for artifact in artifacts]
    total = {}
    for name in COSTS:
        values = [cost[name] for cost in costs]
        total[name] = max(values, default=0.0) if name.startswith("peak") else sum(values)
    return total


def _job_cost(artifact: Artifact, power: Mapping) -> dict[str, float]:
    try:
        cost, device = artifact.manifest["cost"], artifact.manifest["device"]
        wall_s, cpu_s, memory = cost["wall_s"], cost["cpu_s"], cost["peak_rss_mb"]
    except KeyError as error:
        raise InputError(f"{artifact.manifest_path} does not say its {error}: build the artifact again") from None
    gpu_s = 0.0 if device == "cpu" else wall_s
    gpu_wh = cost.get("gpu_energy_wh", gpu_s * power["watts_per_gpu"] / JOULES_PER_WH)
    energy = cpu_s * power["watts_per_core"] / JOULES_PER_WH + gpu_wh
    costs = (1, wall_s, cpu_s, gpu_s, memory, cost.get("peak_gpu_mb", 0.0), energy)
    return dict(zip(COSTS, costs, strict=True))


def _student_rows(lineage: Lineage, metrics: Sequence[Path], power: Mapping) -> Iterator[dict]:
    """Costs of each student and, once for each of its groups and labels, of what they need; one row a seed."""
    seen: set[tuple] = set()
    for manifest in metrics:
        keys = lineage.artifact(manifest).spec["keys"]
        if not keys["sampler"]:
            continue  # BM25 and teachers are no students
        student = lineage.model(manifest)
        yield {"scope": "student", "stage": "", **keys, **_cost_behind(lineage, [student], power)}
        by_kind = {lineage.artifact(path).kind: path for path in lineage.parents(student)}
        needed = [by_kind[kind] for kind in ("groups", "labels") if kind in by_kind]
        # An entropy cut of groups reads the labels whatever the loss.
        starts = {CONTRASTIVE: needed if "cut" in lineage.artifact(student).spec else needed[:1]}
        if "labels" in by_kind:
            starts[DISTILLED] = needed
        shared = {"student": "", "loss": "", **{name: keys[name] for name in ("sampler", "teacher", "seed")}}
        for name, paths in starts.items():
            key = (name, keys["sampler"], *paths)
            if key not in seen:
                seen.add(key)
                yield {"scope": "sampler", "stage": name, **shared, **_cost_behind(lineage, paths, power)}


def _cost_behind(lineage: Lineage, paths: Sequence[str], power: Mapping) -> dict[str, float]:
    return total_cost(lineage.behind(paths).values(), power)


if __name__ == "__main__":
    run(make_cost_table)
