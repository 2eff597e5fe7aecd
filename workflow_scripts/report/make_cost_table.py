"""Compute the cost table: every stage, each student, and what each sampler needs before its first training step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.cut_names import RANDOM
from workflow_scripts.analysis.measures import KEYS
from workflow_scripts.report.lineage import Lineage, stages
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_numbers

JOULES_PER_WH = 3600
CONTRASTIVE, DISTILLED = "groups", "groups and labels"
POOLS, SHARDS, LOOKED_UP = "teacher scores", "scored shards", "looked-up labels"
Teacher = tuple[str, ...]
"""Manifests of the models that label for a teacher: one, or one a fold."""

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
COLUMNS = ["scope", "stage", *KEYS[:4], *COSTS, "alone_wh"]


def make_cost_table(*, spec: Mapping, metrics: Sequence[Path], also: Sequence[Path] = (), output: Path) -> None:
    """Write the numbers: columns COLUMNS and ``times_cheapest``, a sampler's ``alone_wh`` over the least of its kind.

    ``metrics``: manifests of every ranker's metrics, whose lineage is walked through the manifests' recorded inputs;
    ``also``: manifests of what these were not made from (retrieval's metrics, embeddings), for the stages alone.
    ``spec``: ``watts_per_core`` and ``watts_per_gpu``. Rows by ``scope``:

    - ``stage``: all artifacts of a stage behind ``metrics`` and ``also``;
    - ``sampler``: all that stands behind a sampler's groups, and behind its groups and labels, for one seed (mean over
      seeds): what a contrastive loss and a distilling one wait for;
    - ``student``: all that stands behind one trained model and its training, evaluation apart (mean over seeds).

    Each artifact counts once in a row, so what samplers share (corpus, ranking, teacher) is in each one's row.
    ``alone_wh`` (not of stages) is the energy of a sampler or student that is bought alone: where ``energy_wh`` holds
    the teacher's whole scored pools, made for all samplers, it holds the pairs needed times :func:`pair_energies`.
    """
    lineage = Lineage()
    everything = stages(lineage.behind([*metrics, *also]))
    pairs = pair_energies(everything.get(SHARDS, []) + everything.get(POOLS, []), spec)
    rows = [{"scope": "stage", "stage": name, **total_cost(each, spec)} for name, each in everything.items()]
    detailed = pd.DataFrame(_student_rows(lineage, metrics, spec, pairs), columns=["seed", *COLUMNS])
    if detailed.empty:
        raise InputError("no metrics of a trained student were given: name the rankers to cost")
    over_seeds = detailed.groupby(COLUMNS[:6], sort=False, dropna=False)[[*COSTS, "alone_wh"]].mean().reset_index()
    table = pd.concat([pd.DataFrame(rows).assign(alone_wh=np.nan), over_seeds], ignore_index=True)[COLUMNS]
    table[COLUMNS[1:6]] = table[COLUMNS[1:6]].fillna("")
    samplers = table[table["scope"] == "sampler"]
    least = samplers.groupby("stage")["alone_wh"].transform("min")
    write_numbers(output, table.assign(times_cheapest=samplers["alone_wh"] / least), spec)


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


def pair_energies(pools: Iterable[Artifact], power: Mapping) -> dict[Teacher, float]:
    """Watt-hours of one pair by teacher: its pools' energy, their shards' with it, over the pairs in the pools."""
    by_teacher: dict[Teacher, list[Artifact]] = {}
    for pool in pools:
        by_teacher.setdefault(_teacher(pool), []).append(pool)
    return {
        teacher: total_cost(own, power)["energy_wh"] / max(sum(pool.counts.get("pairs", 0) for pool in own), 1)
        for teacher, own in by_teacher.items()
    }


def energy_alone(lineage: Lineage, paths: Sequence[str], power: Mapping, pairs: Mapping[Teacher, float]) -> float:
    """Watt-hours behind ``paths`` with, of the pools that groups and labels read, only the pairs that these need."""
    behind = lineage.behind(paths)
    needed = list(_pairs_needed(lineage, behind))
    shared = lineage.behind([pool for _, _, pools in needed for pool in pools])
    shared = {path for path, artifact in shared.items() if artifact.kind in (POOLS, SHARDS)}
    others = (artifact for path, artifact in behind.items() if path not in shared)
    return total_cost(others, power)["energy_wh"] + sum(number * pairs[teacher] for teacher, number, _ in needed)


def _pairs_needed(lineage: Lineage, behind: Mapping[str, Artifact]) -> Iterator[tuple[Teacher, int, list[str]]]:
    """Teacher, pairs and pools of each of the groups ``behind`` that are drawn or labelled by scored pools.

    To draw groups the teacher scores the pairs that the sampler asks for; to label them also the groups' own, less what
    the labelling job scored itself, whose cost is its own.
    """
    labels = {each.manifest["inputs"]["groups"]["path"]: path for path, each in behind.items() if each.kind == "labels"}
    for path, groups in behind.items():
        if groups.kind != "groups":
            continue
        reader = labels.get(path, path)
        parents = lineage.parents(reader)
        # Labels may have been looked up by a job of their own.
        parents += [
            each for parent in parents if lineage.artifact(parent).kind == LOOKED_UP for each in lineage.parents(parent)
        ]
        pools = [parent for parent in parents if lineage.artifact(parent).kind == POOLS]
        if pools:
            needed = groups.counts["pairs_to_draw"]
            if path in labels:
                needed = groups.counts["pairs_to_label"] - lineage.artifact(reader).counts["scored"]
            yield _teacher(lineage.artifact(pools[0])), needed, pools


def _teacher(pool: Artifact) -> Teacher:
    """Manifests of the models that scored a pool."""
    return tuple(model["path"] for model in pool.manifest["inputs"]["models"])


def _student_rows(
    lineage: Lineage, metrics: Sequence[Path], power: Mapping, pairs: Mapping[Teacher, float]
) -> Iterator[dict]:
    """Costs of each student and, once for each of its groups and labels, of what they need; one row a seed."""

    def cost(paths: Sequence[str]) -> dict[str, float]:
        behind = lineage.behind(paths).values()
        return {**total_cost(behind, power), "alone_wh": energy_alone(lineage, paths, power, pairs)}

    seen: set[str | tuple] = set()
    for manifest in metrics:
        keys = lineage.artifact(manifest).spec["keys"]
        if not keys["sampler"]:
            continue  # BM25 and teachers are no students
        student = lineage.model(manifest)
        if student in seen:
            continue  # measured on another evaluation set
        seen.add(student)
        yield {"scope": "student", "stage": "", **keys, **cost([student])}
        by_kind = {lineage.artifact(path).kind: path for path in lineage.parents(student)}
        needed = [by_kind[kind] for kind in ("groups", "labels") if kind in by_kind]
        # An entropy cut of groups reads the labels whatever the loss.
        cut = lineage.artifact(student).spec.get("cut", {}).get("cut")
        starts = {CONTRASTIVE: needed[:1] if cut is None or cut in RANDOM else needed}
        if "labels" in by_kind:
            starts[DISTILLED] = needed
        shared = {"student": "", "loss": "", **{name: keys[name] for name in ("sampler", "teacher", "seed")}}
        for name, paths in starts.items():
            key = (name, keys["sampler"], *paths)
            if key not in seen:
                seen.add(key)
                yield {"scope": "sampler", "stage": name, **shared, **cost(paths)}


if __name__ == "__main__":
    run(make_cost_table)
