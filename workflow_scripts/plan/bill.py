"""The bill of an experiment before anything runs: GPU-hours by stage, the longest chain of jobs, disk, energy.

``python -m workflow_scripts.plan.bill --configfile config/paper.yaml`` needs neither data nor a network. Jobs are
those of Snakemake's own dry run, so what is built already is not billed. Counts come from the config and, with speeds
where none was measured, from config/expected/throughput.yaml. GPU-hours are arithmetic over speed; see
:mod:`workflow_scripts.plan.throughput` for the arithmetic.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workflow_scripts.experiment.archives import Archive, archives_of, families
from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.experiment.places import Places
from workflow_scripts.plan.dry_run import Job, plan_jobs
from workflow_scripts.plan.schedule import Timed, critical_path, makespan
from workflow_scripts.plan.seeds import Design, designs, reach
from workflow_scripts.plan.sizes import UnknownSize
from workflow_scripts.plan.throughput import Speed, read_figures, speeds
from workflow_scripts.plan.work import GPU_STAGES, Work
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.command import end_in_one_line

FIGURES = ROOT / "config" / "expected" / "throughput.yaml"
HOUR = 3600
STARTING, IDLE, FEEDING = "starting GPU jobs", "idle: look-ups on one core", "feeding the GPU"
GPUS = (1, 2, 4, 8, 16, 32, 64)
SHOWN = 0.01  # of the longest chain: what takes less of it is not named


@dataclass
class Bill:
    """Sums over the jobs still to do; ``unknown``: what could not be counted, so that the sums are lower bounds."""

    timed: list[Timed] = field(default_factory=list)
    """Each job's hours, in the jobs' order."""
    memory: list[float] = field(default_factory=list)
    """Each job's bytes, 0 where they do not grow with a corpus."""
    gpu: dict[str, Counter] = field(default_factory=lambda: defaultdict(Counter))
    """GPU stage to its jobs, texts, flops, hours, and the hours of the longest of them."""
    cpu_hours: Counter = field(default_factory=Counter)
    disk: Counter = field(default_factory=Counter)
    checkpoint: float = 0
    """Bytes of a checkpoint of the largest model in training."""
    unknown: list[str] = field(default_factory=list)

    def total(self, what: str = "hours") -> float:
        """Sum over the GPU stages."""
        return sum(stage[what] for stage in self.gpu.values())


def make_bill(experiment: Experiment, jobs: Iterable[Job], speed: Mapping[str, Speed], figures: Mapping) -> Bill:
    """Add up ``jobs``, still to do, of an experiment; one of unknown size is left out and named in ``unknown``."""
    work, bill = Work(experiment, figures), Bill()
    for job in jobs:
        hours = memory = 0.0
        try:
            if job.rule in GPU_STAGES:
                hours = _add_gpu(bill, job, work, speed)
            elif job.rule != "all":
                stage, seconds = work.core_s(job)
                bill.cpu_hours[stage] += seconds / HOUR
                hours = seconds / HOUR / job.threads
            memory = work.memory_bytes(job)
            kind, size = work.disk_bytes(job)
            bill.disk[kind] += size
            if job.rule in ("train_teacher", "train_student"):
                bill.checkpoint = max(bill.checkpoint, work.parameters(job) * figures["disk"]["training_parameter"])
        except UnknownSize as error:
            bill.unknown.append(str(error))
        bill.timed.append(Timed(hours, job.rule in GPU_STAGES, job.threads, job.needs))
        bill.memory.append(memory)
    bill.unknown = list(dict.fromkeys(bill.unknown))
    bill.disk.pop("", None)
    bill.cpu_hours[FEEDING] = bill.total() * figures["cpu"]["cores_a_gpu"]
    return bill


def _add_gpu(bill: Bill, job: Job, work: Work, speed: Mapping[str, Speed]) -> float:
    """Count a job of a GPU stage; the hours for which it holds a GPU."""
    load = work.load(job)
    hours = load.flops / speed[load.kind].flops / HOUR
    start, idle = work.figures["device"]["start_s"] / HOUR, work.idle_s(job) / HOUR
    stages = ((GPU_STAGES[job.rule], hours, load.texts, load.flops), (STARTING, start, 0, 0), (IDLE, idle, 0, 0))
    for name, taken, texts, flops in stages:
        if taken or name != IDLE:
            bill.gpu[name].update(jobs=1, texts=texts, flops=flops, hours=taken)
            bill.gpu[name]["longest"] = max(bill.gpu[name]["longest"], taken)
    return hours + start + idle


def print_bill(
    bill: Bill, jobs: Sequence[Job], experiment: Experiment, device: str, options: argparse.Namespace, figures: Mapping
) -> Iterator[str]:
    """Lines of the printed bill."""
    least = "at least " if bill.unknown else ""
    yield f"The bill of {experiment.name}: {sum(job.rule != 'all' for job in jobs):,} jobs still to do, on {device}"
    yield from _gpu_table(bill)
    yield from _table(("CPU", "core-hours"), [(name, _amount(each)) for name, each in _with_sum(bill.cpu_hours)])
    yield from _table(("disk", "GB"), [(name, _amount(size / 1e9)) for name, size in _with_sum(bill.disk)])
    yield f"and {_amount(bill.checkpoint / 1e9)} GB for the checkpoint of each model in training"
    yield from _downloads(experiment)
    yield from _times(bill, jobs, options.cores)
    yield ""
    watts = experiment.config["analysis"]["cost"]
    used = {"GPU": (bill.total(), watts["watts_per_gpu"]), "CPU": (bill.cpu_hours.total(), watts["watts_per_core"])}
    parts = ", ".join(f"{name} {_amount(hours * watt / 1000)} at {watt} W" for name, (hours, watt) in used.items())
    energy = sum(hours * watt / 1000 for hours, watt in used.values())
    yield f"energy: {least}{_amount(energy)} kWh: {parts}, as the config's analysis.cost has them"
    if options.price is not None:
        yield f"price: {least}{bill.total() * options.price:,.2f} at {options.price:g} a GPU-hour"
    core_hours = bill.total("flops") / (figures["cpu"]["gflops"] * 1e9) / HOUR
    yield f"without a GPU: {_amount(core_hours)} core-hours in the place of its hours, starting jobs apart"


def _gpu_table(bill: Bill) -> Iterator[str]:
    lines = []
    for name in dict.fromkeys([*GPU_STAGES.values(), STARTING, IDLE]):
        if stage := bill.gpu.get(name):
            petaflop = stage["flops"] / 1e15
            computed = f"{petaflop:,.1f}" if petaflop >= 1 else f"{petaflop:.2g}" if petaflop else ""
            texts = f"{stage['texts']:,.0f}" if stage["texts"] else ""
            lines.append(
                (name, f"{stage['jobs']:,}", texts, computed, *map(_amount, (stage["hours"], stage["longest"])))
            )
    lines.append(("all", "", "", "", _amount(bill.total()), ""))
    yield from _table(("GPU", "jobs", "texts", "PFLOP", "hours", "longest"), lines)


def _times(bill: Bill, jobs: Sequence[Job], cores: int) -> Iterator[str]:
    """Hours on the clock by GPUs, and the jobs that bound them."""
    path = critical_path(bill.timed)
    chain = sum(bill.timed[place].hours for place in path)
    ends = {gpus: makespan(bill.timed, gpus, gpus * cores) for gpus in GPUS}
    worth = [gpus for gpus in GPUS if gpus == 1 or ends[gpus] < 0.99 * ends[gpus // 2]]
    yield from _table(
        (f"GPUs, {cores} cores beside each", *map(str, worth)),
        [("hours on the clock", *(_amount(ends[gpus]) for gpus in worth))],
    )
    yield f"no GPUs end it before the longest chain of jobs, {_amount(chain)} hours:"
    named = [place for place in path if bill.timed[place].hours >= SHOWN * chain > 0]
    yield from (f"  {_amount(bill.timed[place].hours):>6}  {jobs[place]}" for place in named)
    if bill.timed:
        place = max(range(len(bill.timed)), key=lambda place: bill.timed[place].hours)
        yield f"the longest job: {_amount(bill.timed[place].hours)} hours, {jobs[place]}"
        yield from _limits(bill, jobs)


def _limits(bill: Bill, jobs: Sequence[Job]) -> Iterator[str]:
    """What breaks first: of each rule the job that asks for the largest share of what the config gives it."""
    worst: dict[tuple[str, str], tuple[float, str]] = {}
    for job, timed, memory in zip(jobs, bill.timed, bill.memory, strict=True):
        for unit, needed, given in (
            ("hours", timed.hours, job.minutes / 60),
            ("GB", memory / 1e9, job.megabytes / 1e3),
        ):
            line = f"{_amount(needed)} of {_amount(given)} {unit}, {job}"
            worst[job.rule, unit] = max(worst.get((job.rule, unit), (0.0, "")), (needed / given, line))
    ordered = sorted(worst.values(), reverse=True)
    over = [line for share, line in ordered if share > 1]
    if over or not ordered:
        yield from ("more than resources give:" * bool(over), *(f"  {line}" for line in over))
    else:
        yield f"no job takes more than resources give it; the nearest: {ordered[0][1]}"


def _downloads(experiment: Experiment) -> Iterator[str]:
    """The archives of ir_datasets, and the folders that they need room in."""
    archives: dict[Path, Archive] = {}
    for datasets in families(experiment.config).values():
        for name, parts in datasets.items():
            archives |= {archive.path: archive for part in parts for archive in archives_of(name, part)}
    if archives:
        total = sum(archive.size or 0 for archive in archives.values())
        left = sum(archive.size or 0 for path, archive in archives.items() if not path.exists())
        copied = sum(archive.size or 0 for archive in archives.values() if not archive.in_place)
        home = os.environ.get("IR_DATASETS_HOME", "~/.ir_datasets")
        scratch = os.environ.get("IR_DATASETS_TMP", str(Path(tempfile.gettempdir()) / "ir_datasets"))
        yield (
            f"downloads: archives of {_amount(total / 1e9)} GB, {_amount(left / 1e9)} of them still to come, below "
            f"IR_DATASETS_HOME ({home}), beside what is unpacked of them there; while they are read, copies of "
            f"{_amount(copied / 1e9)} GB in IR_DATASETS_TMP ({scratch})"
        )


def _basis(bill: Bill, speed: Mapping[str, Speed]) -> Iterator[str]:
    """What of it was measured, what is assumed."""
    yield "What this rests on"
    yield from (f"  {kind}: {each.basis}" for kind, each in speed.items())
    yield "  known: jobs (Snakemake's dry run), arithmetic (the models' shapes), sizes of public collections, budgets"
    yield "  assumed: words of texts, tokens a word, job starts, the CPU's rates, bytes of texts and rankings, watts"
    yield "  upper bounds: pools (as if no pair were in an earlier pool), depths (as if every ranking were full)"
    yield "  not counted: what ir_datasets unpacks, the model hub's downloads, jobs that fail and run again"
    yield from (f"  {line}" for line in bill.unknown)


def _seeds(designs: Iterable[Design], pilot: Path) -> Iterator[str]:
    """What more seeds of the main grid would cost, from nothing, without what all seeds share, and could decide."""
    reached = reach(pilot)
    lines = []
    for each in designs:
        decides = [f"{value:.3f}" for value in reached.get(each.seeds, ())] or ["", ""]
        lines.append((each.name, f"{each.trainings:,}", _amount(each.hours), *decides))
    yield from _table(("main grid from nothing", "students", "GPU hours", "finds", "equivalent within"), lines)
    if reached:
        yield f"differences found and margins of equivalence shown in four of five cases, planned from {pilot}"
    else:
        yield f"what each could decide is planned from a pilot's table power, and {pilot} is not there (PILOT=)"


def _with_sum(parts: Counter) -> list[tuple[str, float]]:
    """The largest first, and the sum."""
    return [*parts.most_common(), ("all", parts.total())]


def _amount(value: float) -> str:
    """Three digits or so; what is there but rounds to nothing reads "<0.01"."""
    if 0 < value < 0.01:
        return "<0.01"
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _table(headers: tuple[str, ...], lines: list[tuple[str, ...]]) -> Iterator[str]:
    """Aligned columns, the first to the left, after an empty line."""
    widths = [max(map(len, column)) for column in zip(headers, *lines, strict=True)]
    yield ""
    for first, *others in (headers, *lines):
        aligned = [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *aligned]).rstrip()


def main(argv: list[str] | None = None) -> None:
    """Command line: print the bill."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configfile", required=True, nargs="+", help="an experiment, and overlays of it")
    parser.add_argument("--bench", help="gpu.csv of make gpu-check on the device; speeds are then measured")
    parser.add_argument("--figures", default=FIGURES, help="sizes and speeds to use, a copy of throughput.yaml")
    parser.add_argument("--cores", type=_positive, default=16, help="beside each GPU")
    parser.add_argument("--price", type=float, help="of a GPU-hour, in any currency")
    parser.add_argument("--pilot", type=Path, help="numbers of a pilot's table power; the experiment's own if left out")
    options = parser.parse_args(argv)
    figures, config = read_figures(options.figures), read_config(*options.configfile)
    experiment = Experiment(config)
    device, speed = speeds(figures, options.bench, batch_groups=experiment.config["training"]["batch_groups"])
    jobs = plan_jobs(options.configfile)
    bill = make_bill(experiment, jobs, speed, figures)
    print("\n".join(print_bill(bill, jobs, experiment, device, options, figures)))
    print("\n".join(["", *_basis(bill, speed)]))
    pilot = options.pilot or Path(Places(experiment).numbers("power"))
    print("\n".join(_seeds(designs(config, speed, figures), pilot)))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 up")
    return number


if __name__ == "__main__":
    end_in_one_line(main)
