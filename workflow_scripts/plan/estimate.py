"""Sums over the jobs of an experiment that are still to do: GPU-hours, core-hours, bytes, energy."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.plan.dry_run import Job
from workflow_scripts.plan.footprint import CPU_STAGES, FILES, OTHER_JOBS, Footprint
from workflow_scripts.plan.sizes import Sizes, UnknownSize
from workflow_scripts.plan.throughput import Throughput
from workflow_scripts.plan.workload import STAGES, Workload

HOUR, GIGABYTE = 3600, 1e9
FEEDING, STARTING = "feeding the GPU", "starting GPU jobs"
GPU_STAGES = [*dict.fromkeys(STAGES.values()), STARTING]
ORDER = list(dict.fromkeys([*FILES, *CPU_STAGES, *STAGES]))
WATTS = {"GPU": "watts_per_gpu", "CPU": "watts_per_core"}


@dataclass
class Stage:
    """What the GPU jobs of a stage come to; hours of the main grid's jobs, and of those for controls and studies."""

    jobs: int = 0
    texts: float = 0
    flops: float = 0
    grid_hours: float = 0
    study_hours: float = 0

    @property
    def hours(self) -> float:
        """Hours of one GPU."""
        return self.grid_hours + self.study_hours


@dataclass
class Bill:
    """Sums over the jobs still to do; ``unknown``: what could not be counted, so that the sums are lower bounds."""

    jobs: Mapping[str, tuple[int, int]]
    """Rule to its jobs in all and those still to do."""
    gpu: dict[str, Stage] = field(default_factory=lambda: defaultdict(Stage))
    cpu_hours: Counter = field(default_factory=Counter)
    disk: Counter = field(default_factory=Counter)
    students: tuple[int, int] = (0, 0)
    """Still to train: of the main grid, and of controls and studies alone."""
    cpu_instead: float = 0
    """Core-hours of the GPU stages' arithmetic on a CPU."""
    checkpoint: float = 0
    """Bytes of a checkpoint of the largest model in training."""
    narrowest: int = 0
    """Hidden size of the narrowest backbone."""
    unknown: list[str] = field(default_factory=list)

    @property
    def gpu_hours(self) -> float:
        """Hours of one GPU, all stages."""
        return sum(stage.hours for stage in self.gpu.values())

    @property
    def stages(self) -> list[tuple[str, Stage]]:
        """GPU stages with work to do, in the order of the workflow."""
        return [(name, self.gpu[name]) for name in GPU_STAGES if name in self.gpu]

    def energy(self, watts: Mapping[str, float]) -> dict[str, float]:
        """Kilowatt-hours of the GPU and the CPU at the watts that the config assumes."""
        hours = {"GPU": self.gpu_hours, "CPU": self.cpu_hours.total()}
        return {name: hours[name] * watts[key] / 1000 for name, key in WATTS.items()}

    @property
    def grid_hours(self) -> float:
        """Those that the main grid needs."""
        return sum(stage.grid_hours for stage in self.gpu.values())


def make_bill(
    experiment: Experiment, jobs: list[Job], total: Mapping[str, int], throughput: Throughput, figures: Mapping
) -> Bill:
    """Add up ``jobs``, still to do, of an experiment; ``total``: jobs of each rule, done or not.

    Upper bounds are taken where a count hangs on the data: pools as if they had no pair in common, rankings as if full.
    A job whose size is unknown is left out and named in ``unknown``.
    """
    sizes = Sizes(experiment, figures)
    workload = Workload(experiment, sizes, figures)
    footprint = Footprint(experiment, sizes, workload, figures)
    todo = Counter(job.rule for job in jobs)
    rules = sorted(total, key=lambda rule: (ORDER.index(rule) if rule in ORDER else len(ORDER), rule))
    bill = Bill({rule: (max(total[rule], todo[rule]), todo[rule]) for rule in rules if rule != "all"})
    bill.narrowest = min(workload.shape(name).hidden for name in experiment.config["backbones"])
    trained = [workload.in_grid(job) for job in jobs if job.rule == "train_student"]
    bill.students = sum(trained), len(trained) - sum(trained)
    for job in jobs:
        if job.rule == "all":
            continue
        try:
            if job.rule in STAGES:
                _add_gpu(bill, job, workload, throughput, figures)
            else:
                bill.cpu_hours[CPU_STAGES.get(job.rule, OTHER_JOBS)] += footprint.core_s(job) / HOUR
            if job.rule in FILES:
                bill.disk[FILES[job.rule]] += footprint.disk_bytes(job)
            if job.rule in ("train_teacher", "train_student"):
                moments = workload.trained_shape(job).parameters * figures["disk"]["training_parameter"]
                bill.checkpoint = max(bill.checkpoint, moments)
        except UnknownSize as error:
            bill.unknown.append(str(error))
    bill.unknown = list(dict.fromkeys(bill.unknown))
    arithmetic = sum(stage.flops for stage in bill.gpu.values())
    bill.cpu_instead = arithmetic / (figures["cpu"]["gflops"] * 1e9) / HOUR
    bill.cpu_hours[FEEDING] = bill.gpu_hours * figures["cpu"]["cores_a_gpu"]
    return bill


def _add_gpu(bill: Bill, job: Job, workload: Workload, throughput: Throughput, figures: Mapping) -> None:
    load = workload.load(job)
    hours = load.flops / throughput.speed(load.kind).flops / HOUR
    for name, part, texts, flops in (
        (STAGES[job.rule], hours, load.texts, load.flops),
        (STARTING, figures["device"]["start_s"] / HOUR, 0, 0),
    ):
        stage = bill.gpu[name]
        stage.jobs, stage.texts, stage.flops = stage.jobs + 1, stage.texts + texts, stage.flops + flops
        if workload.in_grid(job):
            stage.grid_hours += part
        else:
            stage.study_hours += part


def rows(bill: Bill, watts: Mapping[str, float], price: float | None) -> list[tuple[str, str, str, float]]:
    """The bill as (section, item, unit, value), in the order of the printed table."""
    found: list[tuple[str, str, str, float]] = []
    for rule, (total, todo) in bill.jobs.items():
        found += [("jobs", rule, "jobs", total), ("jobs", rule, "still to do", todo)]
    for name, stage in bill.stages:
        values = {"jobs": stage.jobs, "texts": stage.texts, "PFLOP": stage.flops / 1e15, "hours": stage.hours}
        values |= {"hours of the main grid": stage.grid_hours, "hours of controls and studies": stage.study_hours}
        found += [("gpu", name, unit, value) for unit, value in values.items()]
    found += [("cpu", name, "core-hours", hours) for name, hours in bill.cpu_hours.items()]
    found += [("disk", name, "GB", size / GIGABYTE) for name, size in bill.disk.items()]
    found.append(("disk", "checkpoint of a model in training", "GB", bill.checkpoint / GIGABYTE))
    found += [("energy", name, "kWh", value) for name, value in bill.energy(watts).items()]
    if price is not None:
        found.append(("price", "GPU", "at the price given", bill.gpu_hours * price))
    return found
