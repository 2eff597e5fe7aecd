"""The bill of an experiment before anything runs: jobs, GPU-hours, CPU-hours, disk, energy.

``python -m workflow_scripts.plan.bill --configfile config/paper.yaml`` needs neither data nor a network. Jobs are
those of Snakemake's own dry run, so what is built already is not billed. Counts come from the config and, with speeds
where none was measured, from config/expected/throughput.yaml. GPU-hours are arithmetic over speed; see
:mod:`workflow_scripts.plan.throughput` for the arithmetic.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from workflow_scripts.experiment.archives import Archive, archives_of, families
from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.experiment.places import Places
from workflow_scripts.plan.dry_run import plan_jobs
from workflow_scripts.plan.estimate import FEEDING, GIGABYTE, WATTS, Bill, Stage, make_bill, rows
from workflow_scripts.plan.seeds import designs, reach
from workflow_scripts.plan.throughput import BENCH_ROWS, Throughput, read_figures
from workflow_scripts.storage.artifacts import atomic_path
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.command import end_in_one_line

FIGURES = ROOT / "config" / "expected" / "throughput.yaml"
DAY = 24
NARROW = 512  # hidden size below which a GPU's matrix units are mostly idle


def tell(
    bill: Bill, aimed: Bill, experiment: Experiment, throughput: Throughput, options: argparse.Namespace
) -> Iterator[str]:
    """Lines of the printed bill; ``aimed`` is the same at the shares of the peak that the project aims at."""
    total, todo = (sum(counts[place] for counts in bill.jobs.values()) for place in (0, 1))
    yield f"The bill of {experiment.name}: {todo:,} of {total:,} jobs still to do, on {throughput.device}"
    yield from _table(("jobs", "in all", "to do"), [(rule, *map(str, counts)) for rule, counts in bill.jobs.items()])
    yield from _tell_gpu(bill)
    least = "at least " if bill.unknown else ""
    yield from _table(
        ("CPU", "core-hours"), [(name, _amount(hours)) for name, hours in _with_sum(bill.cpu_hours).items()]
    )
    yield from _table(("disk", "GB"), [(name, _gigabytes(size)) for name, size in _with_sum(bill.disk).items()])
    yield f"and {_gigabytes(bill.checkpoint)} GB for the checkpoint of each model in training"
    yield from _tell_downloads(experiment)
    yield ""
    watts = experiment.config["analysis"]["cost"]
    energy = bill.energy(watts)
    parts = ", ".join(f"{name} {_amount(energy[name])} at {watts[key]} W" for name, key in WATTS.items())
    yield f"energy: {least}{_amount(sum(energy.values()))} kWh: {parts}, as the config's analysis.cost has them"
    if options.price is not None:
        yield f"price: {least}{bill.gpu_hours * options.price:,.2f} at {options.price:g} a GPU-hour"
    hours = bill.cpu_hours.total() - bill.cpu_hours[FEEDING]
    yield (
        f"time: {least}{_amount(bill.gpu_hours / options.gpus)} hours on {options.gpus} GPU(s), and "
        f"{_amount(hours / options.cores)} hours of the CPU's stages on {options.cores} cores, were each kept busy"
    )
    yield f"without a GPU: {_amount(bill.cpu_instead)} core-hours in the place of its hours, starting jobs apart"
    yield from _tell_day(bill, aimed, throughput)
    yield ""
    yield from _tell_basis(bill, throughput)
    if bill.narrowest < NARROW:
        yield f"  a backbone here is {bill.narrowest} wide: below {NARROW} a GPU reaches less than these speeds"


def _tell_downloads(experiment: Experiment) -> Iterator[str]:
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
            f"downloads: archives of {_gigabytes(total)} GB, {_gigabytes(left)} of them still to come, below "
            f"IR_DATASETS_HOME ({home}), beside what is unpacked of them there; while they are read, copies of "
            f"{_gigabytes(copied)} GB in IR_DATASETS_TMP ({scratch})"
        )


def _tell_gpu(bill: Bill) -> Iterator[str]:
    lines = []
    for name, stage in bill.stages:
        counts = (_count(stage.jobs), _count(stage.texts), _petaflop(stage))
        lines.append((name, *counts, *map(_amount, (stage.hours, stage.grid_hours, stage.study_hours))))
    total = (bill.gpu_hours, bill.grid_hours, bill.gpu_hours - bill.grid_hours)
    lines.append(("all", "", "", "", *map(_amount, total)))
    yield from _table(("GPU", "jobs", "texts", "PFLOP", "hours", "main grid", "controls, studies"), lines)


def _tell_day(bill: Bill, aimed: Bill, throughput: Throughput) -> Iterator[str]:
    """Whether the main grid fits one day of one GPU, the aim; if not, at which speed of training it would."""
    students, studies = bill.students
    trained = bill.gpu["student training"].grid_hours if "student training" in bill.gpu else 0.0
    yield (
        f"main grid: {'at least ' if bill.unknown else ''}{_amount(bill.grid_hours)} hours ({students} students "
        f"{_amount(trained)}, all that they need and their evaluation {_amount(bill.grid_hours - trained)}): "
        f"{_fits(bill)} one day of one GPU"
    )
    if bill.grid_hours - trained < DAY < bill.grid_hours:
        faster = trained / (DAY - (bill.grid_hours - trained))
        speed = throughput.speed("CE training").flops / 1e12
        yield f"  it would with training {faster:.2f} times as fast ({speed * faster:,.0f} TFLOP/s), the rest as it is"
    yield f"  at the shares of the peak that the project aims at: {_amount(aimed.grid_hours)} hours, {_fits(aimed)}"
    if studies:
        yield f"controls and studies: {studies} students more than those that they share with the main grid"


def _tell_seeds(config: Mapping, throughput: Throughput, figures: Mapping, pilot: Path) -> Iterator[str]:
    """What more seeds of the main grid would cost, from nothing, without what all seeds share, and could decide."""
    reached = reach(pilot)
    lines = []
    for each in designs(config, throughput, figures):
        decides = [f"{value:.3f}" for value in reached[each.seeds]] if each.seeds in reached else ["", ""]
        lines.append((each.name, f"{each.trainings:,}", _amount(each.hours), *decides))
    yield from _table(("main grid from nothing", "students", "GPU hours", "finds", "equivalent within"), lines)
    if reached:
        yield f"differences found and margins of equivalence shown in four of five cases, planned from {pilot}"
    else:
        yield f"what each could decide is planned from a pilot's table power, and {pilot} is not there (PILOT=)"


def _fits(bill: Bill) -> str:
    return "fits" if bill.grid_hours <= DAY else "does not fit"


def _tell_basis(bill: Bill, throughput: Throughput) -> Iterator[str]:
    """What of it was measured, what is assumed."""
    yield "What this rests on"
    for kind in BENCH_ROWS:
        yield f"  {kind}: {throughput.speed(kind).basis}"
    yield "  known: jobs (Snakemake's dry run), arithmetic (the models' shapes), sizes of public collections, budgets"
    yield "  assumed: words of texts, tokens a word, job starts, the CPU's rates, bytes of texts and rankings, watts"
    yield "  upper bounds: pools (as if no pair were in an earlier pool), depths (as if every ranking were full)"
    yield "  not counted: what ir_datasets unpacks, the model hub's downloads, jobs that fail and run again"
    for line in bill.unknown:
        yield f"  {line}"


def _with_sum(parts: Mapping[str, float]) -> dict[str, float]:
    return {**parts, "all": sum(parts.values())}


def _count(number: float) -> str:
    return f"{number:,.0f}" if number else ""


def _petaflop(stage: Stage) -> str:
    petaflop = stage.flops / 1e15
    return f"{petaflop:,.1f}" if petaflop >= 1 else f"{petaflop:.2g}" if petaflop else ""


def _amount(value: float) -> str:
    """Three digits or so; what is there but rounds to nothing reads "<0.01"."""
    if 0 < value < 0.01:
        return "<0.01"
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _gigabytes(size: float) -> str:
    return _amount(size / GIGABYTE)


def _table(headers: tuple[str, ...], lines: list[tuple[str, ...]]) -> Iterator[str]:
    """Aligned columns, the first to the left, after an empty line."""
    widths = [max(map(len, column)) for column in zip(headers, *lines, strict=True)]
    yield ""
    for line in (headers, *lines):
        first, *others = (text.rjust(width) for text, width in zip(line, widths, strict=True))
        yield "  ".join([line[0].ljust(widths[0]), *others]).rstrip() if others else first


def main(argv: list[str] | None = None) -> None:
    """Command line: print the bill and, where asked, write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configfile", required=True, nargs="+", help="an experiment, and overlays of it")
    parser.add_argument("--bench", help="CSV of a bench on the device, results/bench/gpu.csv; speeds are then measured")
    parser.add_argument("--figures", default=FIGURES, help="sizes and speeds to use, a copy of throughput.yaml")
    parser.add_argument("--gpus", type=_positive, default=1)
    parser.add_argument("--cores", type=_positive, default=16)
    parser.add_argument("--price", type=float, help="of a GPU-hour, in any currency")
    parser.add_argument("--pilot", type=Path, help="numbers of a pilot's table power; the experiment's own if left out")
    parser.add_argument("--csv", help="file to write the bill to as well")
    options = parser.parse_args(argv)
    figures, config = read_figures(options.figures), read_config(*options.configfile)
    experiment = Experiment(config)
    throughput = Throughput(figures, options.bench, batch_groups=experiment.config["training"]["batch_groups"])
    jobs, total = plan_jobs(options.configfile, experiment.name)
    bill = make_bill(experiment, jobs, total, throughput, figures)
    aimed = make_bill(experiment, jobs, total, Throughput(figures, shares="aims"), figures)
    print("\n".join(tell(bill, aimed, experiment, throughput, options)))
    pilot = options.pilot or Path(Places(experiment).numbers("power"))
    print("\n".join(_tell_seeds(config, throughput, figures, pilot)))
    if options.csv:
        with atomic_path(options.csv) as path, open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("section", "item", "unit", "value"))
            writer.writerows(rows(bill, experiment.config["analysis"]["cost"], options.price))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 up")
    return number


if __name__ == "__main__":
    end_in_one_line(main)
