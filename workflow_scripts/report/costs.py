"""What artifacts cost, added up from their manifests; energy is an estimate unless it was measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError

JOULES_PER_WH = 3600


@dataclass(frozen=True)
class Power:
    """Watts to assume of a busy CPU core and of a GPU while a job holds it."""

    watts_per_core: float
    watts_per_gpu: float


@dataclass(frozen=True)
class Cost:
    """Cost of one or more jobs.

    jobs         how many
    wall_s       seconds from start to end, added up as if one job ran after the other
    cpu_s        processor seconds of all their threads and children
    gpu_s        wall seconds of the jobs that computed on a GPU
    peak_rss_mb  largest resident memory of any, MB (2^20 bytes)
    peak_gpu_mb  largest GPU memory of any, MB; 0 where none used one
    energy_wh    watt-hours: cpu_s x watts of a core, and of a GPU what was measured, else gpu_s x its watts
    """

    jobs: int
    wall_s: float
    cpu_s: float
    gpu_s: float
    peak_rss_mb: float
    peak_gpu_mb: float
    energy_wh: float


def total_cost(artifacts: Iterable[Artifact], power: Power) -> Cost:
    """Sum over artifacts, each counted once however many things were made from it; peaks are maxima.

    A manifest whose cost has ``gpu_energy_wh`` (measured) is not estimated for its GPU. Raises :class:`InputError`
    for a manifest without its cost.
    """
    costs = [_job_cost(artifact, power) for artifact in artifacts]
    sums = {
        name: sum(getattr(cost, name) for cost in costs) for name in ("jobs", "wall_s", "cpu_s", "gpu_s", "energy_wh")
    }
    peaks = {name: max((getattr(cost, name) for cost in costs), default=0.0) for name in ("peak_rss_mb", "peak_gpu_mb")}
    return Cost(**sums, **peaks)


def _job_cost(artifact: Artifact, power: Power) -> Cost:
    try:
        cost, device = artifact.manifest["cost"], artifact.manifest["device"]
        wall_s, cpu_s, memory = cost["wall_s"], cost["cpu_s"], cost["peak_rss_mb"]
    except KeyError as error:
        raise InputError(f"{artifact.manifest_path} does not say its {error}: build the artifact again") from None
    gpu_s = 0.0 if device == "cpu" else wall_s
    gpu_wh = cost.get("gpu_energy_wh", gpu_s * power.watts_per_gpu / JOULES_PER_WH)
    energy = cpu_s * power.watts_per_core / JOULES_PER_WH + gpu_wh
    return Cost(1, wall_s, cpu_s, gpu_s, memory, cost.get("peak_gpu_mb", 0.0), energy)


def pareto_front(cost: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Indices of the points that no other point reaches (value as high) at as little or less cost, cheapest first.

    ``cost`` and ``value``  # (points,). Of points equal in both the first stays.
    """
    order = np.lexsort((-value, cost))
    best = np.maximum.accumulate(np.concatenate([[-np.inf], value[order][:-1]]))
    return order[value[order] > best]
