"""The bill of an experiment before anything runs: GPU-hours by stage, the longest chain of jobs, disk, energy.

``python -m workflow_scripts.plan.bill --configfile config/paper.yaml`` needs neither data nor a network. Jobs are
those of Snakemake's own dry run, so what is built already is not billed. What each costs:
:mod:`workflow_scripts.plan.costs`; GPU-hours are arithmetic over speed: :mod:`workflow_scripts.plan.throughput`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from workflow_scripts.experiment.archives import archives_of, families
from workflow_scripts.experiment.dry_run import dry_run
from workflow_scripts.experiment.experiment import Experiment, unique
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.experiment.places import Places
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.plan.costs import Cost, Costs, UnknownSize
from workflow_scripts.plan.jobs import Job, read_jobs
from workflow_scripts.plan.schedule import Schedule
from workflow_scripts.plan.throughput import FIGURES, Speed, read_figures, speeds
from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.tables import read_numbers

HOUR = 3600
STARTING, IDLE, FEEDING = "starting GPU jobs", "idle: look-ups on one core", "feeding the GPU"
GPUS = (1, 2, 4, 8, 16, 32, 64)
SHOWN = 0.01  # of the longest chain: what takes less of it is not named


class Bill:
    """What jobs cost, and sums of it; ``unknown``: what could not be counted, so that sums are lower bounds."""

    def __init__(
        self, experiment: Experiment, jobs: Sequence[Job], speed: Mapping[str, Speed], figures: Mapping
    ) -> None:
        costs, rows, unknown = Costs(experiment, figures), [], []
        for job in jobs:
            try:
                rows.append(costs.of(job))
            except UnknownSize as error:
                rows.append(Cost())
                unknown.append(str(error))
        self.figures, self.unknown, self.start_s = figures, unique(unknown), figures["device"]["start_s"]
        table = pd.DataFrame(jobs, columns=Job._fields).join(pd.DataFrame(rows, columns=Cost._fields))
        table["job"], table["on_gpu"] = [str(job) for job in jobs], table["kind"] != ""
        flops_s = table["kind"].map({kind: each.flops for kind, each in speed.items()})
        table["gpu_s"] = (table["flops"] / flops_s).fillna(0)
        held_s = self.start_s + table["core_s"] + table["gpu_s"]
        table["hours"] = held_s.where(table["on_gpu"], table["core_s"] / table["threads"]) / HOUR
        self.jobs = table
        """A job a row: what it asks for, what it costs, the seconds for which its GPU computes, its hours in all."""

    def gpu(self) -> pd.DataFrame:
        """GPU stage to its texts, flops, jobs, hours, and the hours of the longest job."""
        jobs = self.jobs[self.jobs["on_gpu"]]
        parts = (
            jobs[["stage", "texts", "flops"]].assign(seconds=jobs["gpu_s"]),
            jobs[[]].assign(stage=STARTING, seconds=self.start_s),
            jobs.loc[jobs["core_s"] > 0, []].assign(stage=IDLE, seconds=jobs["core_s"]),
        )
        stages = pd.concat(parts).groupby("stage")
        sums, seconds = stages[["texts", "flops"]].sum(), stages["seconds"]
        found = sums.assign(jobs=seconds.size(), hours=seconds.sum() / HOUR, longest=seconds.max() / HOUR)
        order = [*(row["stage"] for row in self.figures["rules"].values()), STARTING, IDLE]
        return found.sort_index(key=lambda names: names.map(order.index))

    def cpu(self) -> pd.Series:
        """CPU stage to its core-hours."""
        jobs = self.jobs[~self.jobs["on_gpu"] & (self.jobs["stage"] != "")]
        feeding = self.gpu()["hours"].sum() * self.figures["cpu"]["cores_a_gpu"]
        return pd.concat([jobs.groupby("stage")["core_s"].sum() / HOUR, pd.Series({FEEDING: feeding})])

    def disk(self) -> pd.Series:
        """Kind of files to their bytes."""
        return self.jobs[self.jobs["files"] != ""].groupby("files")["size"].sum()


def print_bill(bill: Bill, experiment: Experiment, device: str, options: argparse.Namespace) -> Iterator[str]:
    """Lines of the printed bill."""
    gpu, cpu, least = bill.gpu(), bill.cpu(), "at least " if bill.unknown else ""
    gpu_hours, cpu_hours = gpu["hours"].sum(), cpu.sum()
    yield f"The bill of {experiment.name}: {len(bill.jobs):,} jobs still to do, on {device}"
    lines = [
        (stage, f"{jobs:,}", f"{texts:,.0f}" if texts else "", _petaflops(flops), _amount(hours), _amount(longest))
        for stage, texts, flops, jobs, hours, longest in gpu.itertuples()
    ]
    headers = ("GPU", "jobs", "texts", "PFLOP", "hours", "longest")
    yield _table(headers, [*lines, ("all", "", "", "", _amount(gpu_hours), "")])
    yield _parts(("CPU", "core-hours"), cpu)
    yield _parts(("disk", "GB"), bill.disk() / 1e9)
    checkpoint = max(bill.jobs["checkpoint"], default=0)
    yield f"and {_amount(checkpoint / 1e9)} GB for the checkpoint of each model in training"
    yield from _downloads(experiment)
    yield from _times(bill.jobs, options.cores)
    watts = experiment.config["analysis"]["cost"]
    kwh = gpu_hours * watts["watts_per_gpu"] / 1000, cpu_hours * watts["watts_per_core"] / 1000
    yield (
        f"\nenergy: {least}{_amount(sum(kwh))} kWh: GPU {_amount(kwh[0])} at {watts['watts_per_gpu']} W, CPU "
        f"{_amount(kwh[1])} at {watts['watts_per_core']} W, as the config's analysis.cost has them"
    )
    if options.price is not None:
        yield f"price: {least}{gpu_hours * options.price:,.2f} at {options.price:g} a GPU-hour"
    core_hours = gpu["flops"].sum() / (bill.figures["cpu"]["gflops"] * 1e9) / HOUR
    yield f"without a GPU: {_amount(core_hours)} core-hours in the place of its hours, starting jobs apart"


def _times(jobs: pd.DataFrame, cores: int) -> Iterator[str]:
    """Hours on the clock by GPUs, and the jobs that bound them."""
    schedule = Schedule(jobs)
    ends = {gpus: schedule.makespan(gpus, gpus * cores) for gpus in GPUS}
    worth = [gpus for gpus in GPUS if gpus == 1 or ends[gpus] < 0.99 * ends[gpus // 2]]
    headers = [f"GPUs, {cores} cores beside each", *map(str, worth)]
    yield _table(headers, [["hours on the clock", *(_amount(ends[gpus]) for gpus in worth)]])
    chain = jobs.iloc[schedule.longest_chain()]
    total = chain["hours"].sum()
    yield f"no GPUs end it before the longest chain of jobs, {_amount(total)} hours:"
    for each in chain[chain["hours"] >= SHOWN * total].query("hours > 0").itertuples():
        yield f"  {_amount(each.hours):>6}  {each.job}"
    if len(jobs):
        longest = jobs.loc[jobs["hours"].idxmax()]
        yield f"the longest job: {_amount(longest['hours'])} hours, {longest['job']}"
        yield from _limits(jobs)


def _limits(jobs: pd.DataFrame) -> Iterator[str]:
    """What breaks first: of each rule the job that asks for the largest share of what the config gives it."""
    hours = jobs.assign(unit="hours", needed=jobs["hours"], given=jobs["minutes"] / 60)
    memory = jobs.assign(unit="GB", needed=jobs["memory"] / 1e9, given=jobs["megabytes"] / 1e3)
    asked = pd.concat([hours, memory]).assign(share=lambda asked: asked["needed"] / asked["given"])
    worst = asked.sort_values(["share", "job"], ascending=False).drop_duplicates(["rule", "unit"])
    lines = [f"{_amount(each.needed)} of {_amount(each.given)} {each.unit}, {each.job}" for each in worst.itertuples()]
    if over := int((worst["share"] > 1).sum()):
        yield from ("more than resources give:", *(f"  {line}" for line in lines[:over]))
    else:
        yield f"no job takes more than resources give it; the nearest: {lines[0]}"


def _downloads(experiment: Experiment) -> Iterator[str]:
    """The archives of ir_datasets, and the folders that they need room in."""
    parts = [part for datasets in families(experiment.config).values() for part in datasets.items()]
    archives = {each.path: each for name, kinds in parts for kind in kinds for each in archives_of(name, kind)}.values()
    if archives:
        left = [each for each in archives if not each.path.exists()]
        copied = [each for each in archives if not each.in_place]
        sizes = (sum(each.size or 0 for each in some) for some in (archives, left, copied))
        total, coming, copies = (_amount(size / 1e9) for size in sizes)
        home = os.environ.get("IR_DATASETS_HOME", "~/.ir_datasets")
        scratch = os.environ.get("IR_DATASETS_TMP", str(Path(tempfile.gettempdir()) / "ir_datasets"))
        yield (
            f"downloads: archives of {total} GB, {coming} of them still to come, below IR_DATASETS_HOME ({home}), "
            f"beside what is unpacked of them there; while they are read, copies of {copies} GB in IR_DATASETS_TMP "
            f"({scratch})"
        )


def _basis(bill: Bill, speed: Mapping[str, Speed]) -> Iterator[str]:
    """What of it was measured, what is assumed."""
    yield "\nWhat this rests on"
    yield from (f"  {kind}: {each.basis}" for kind, each in speed.items())
    yield "  known: jobs (Snakemake's dry run), arithmetic (the models' shapes), sizes of public collections, budgets"
    yield "  assumed: words of texts, tokens a word, job starts, the CPU's rates, bytes of texts and rankings, watts"
    yield "  upper bounds: pools (as if no pair were in an earlier pool), depths (as if every ranking were full)"
    yield "  not counted: what ir_datasets unpacks, the model hub's downloads, jobs that fail and run again"
    yield from (f"  {line}" for line in bill.unknown)


def designs(config: Mapping, speed: Mapping[str, Speed], figures: Mapping) -> list[tuple[str, int, int, float]]:
    """Main grids of a config as it was read: name, seeds (0: one without controls), trainings of students, GPU-hours.

    As if nothing were built, without what all seeds share.
    """
    found = []
    for name, seeds, change in (("1 seed", 0, {"controls": None}), ("1 seed, controls", 1, {})):
        experiment = Experiment({**config, "seeds": config["seeds"][:1], "studies": {}, **change})
        seconds = Bill(experiment, [*repeated(experiment)], speed, figures).jobs["gpu_s"].sum()
        found.append((name, seeds, len(experiment.rankers), seconds / HOUR))
    *_, trainings, hours = found[0]
    return found + [(f"{seeds} seeds", seeds, seeds * trainings, seeds * hours) for seeds in (3, 5)]


def repeated(experiment: Experiment) -> Iterator[Job]:
    """GPU jobs that every seed repeats."""
    yield from (Job("train_student", {"ranker": path}) for path in experiment.rankers)
    for rule, candidates, rankers in (
        ("rerank_candidates", "bm25", experiment.rankers),
        ("retrieve_documents", "retrieved/", experiment.retrievers),
        ("rerank_dense_candidates", "retrieved/", experiment.dense_rerankers),
    ):
        for name in experiment.sets_of(candidates):
            yield from (Job(rule, {"ranker": path, "set": name}) for path in rankers)
    labels = Rankers(experiment).labels
    for folder in unique(folder for path in experiment.rankers for folder in labels(path)):
        teacher, groups_id, seed = folder.split("/")[1:]
        yield Job("label_groups", {"teacher": teacher, "groups_id": groups_id, "seed": seed.removeprefix("seed")})


def reach(power: Path) -> dict[int, tuple[float, float]]:
    """Seeds to the difference found and the margin within which equivalence is shown in four of five cases.

    ``power``: numbers of a pilot's table ``power``; medians over its families. Empty where there is no such file.
    """
    if not power.exists():
        return {}
    rows = read_numbers(power)[0].query("scope == 'block'")
    found = rows.groupby("seeds")[["difference_family", "margin_family"]].median()
    return {int(seeds): (difference, margin) for seeds, difference, margin in found.itertuples()}


def _seeds(designs: Iterable[tuple[str, int, int, float]], pilot: Path) -> Iterator[str]:
    """What more seeds of the main grid would cost, and could decide."""
    reached = reach(pilot)
    lines = [
        (name, f"{trainings:,}", _amount(hours), *([f"{value:.3f}" for value in reached.get(seeds, ())] or ["", ""]))
        for name, seeds, trainings, hours in designs
    ]
    yield _table(("main grid from nothing", "students", "GPU hours", "finds", "equivalent within"), lines)
    if reached:
        yield f"differences found and margins of equivalence shown in four of five cases, planned from {pilot}"
    else:
        yield f"what each could decide is planned from a pilot's table power, and {pilot} is not there (PILOT=)"


def _parts(headers: tuple[str, str], parts: pd.Series) -> str:
    """A table of parts, the largest first, and their sum."""
    ordered = [*parts.sort_values(ascending=False, kind="stable").items(), ("all", parts.sum())]
    return _table(headers, [(name, _amount(value)) for name, value in ordered])


def _table(headers: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Aligned columns, the first to the left, after an empty line."""
    sides = ["left", *["right"] * (len(headers) - 1)]
    return "\n" + tabulate([headers, *lines], tablefmt="plain", colalign=sides, disable_numparse=True)


def _amount(value: float) -> str:
    """Three digits or so; what is there but rounds to nothing reads "<0.01"."""
    if 0 < value < 0.01:
        return "<0.01"
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _petaflops(flops: float) -> str:
    return f"{flops / 1e15:,.1f}" if flops >= 1e15 else f"{flops / 1e15:.2g}" if flops else ""


def main(argv: list[str] | None = None) -> None:
    """Command line: print the bill."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configfile", required=True, nargs="+", help="an experiment, and overlays of it")
    parser.add_argument("--bench", help="gpu.csv of make gpu-check on the device; speeds are then measured")
    parser.add_argument("--figures", default=FIGURES, help="sizes and speeds to use, a copy of throughput.yaml")
    parser.add_argument("--cores", type=int, default=16, help="beside each GPU")
    parser.add_argument("--price", type=float, help="of a GPU-hour, in any currency")
    parser.add_argument("--pilot", type=Path, help="numbers of a pilot's table power; the experiment's own if left out")
    options = parser.parse_args(argv)
    if options.cores < 1:
        parser.error(f"argument --cores: {options.cores} is not a whole number from 1 up")
    figures, config = read_figures(options.figures), read_config(*options.configfile)
    experiment = Experiment(config)
    device, speed = speeds(figures, options.bench, batch_groups=experiment.config["training"]["batch_groups"])
    bill = Bill(experiment, read_jobs(dry_run(options.configfile)), speed, figures)
    pilot = options.pilot or Path(Places(experiment).numbers("power"))
    print(*print_bill(bill, experiment, device, options), *_basis(bill, speed), sep="\n")
    print(*_seeds(designs(config, speed, figures), pilot), sep="\n")


if __name__ == "__main__":
    end_in_one_line(main)
