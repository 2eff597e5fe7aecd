"""What one GPU makes of the project: the CPU's results, speed beside peers and the card's peak, a small distillation.

Needs torch, transformers, numpy; neither Java nor a network. Each section is a process of its own, which writes every
row when it is there and has its share of what time is left: ``gpu_checks.csv`` says what agrees with the CPU and what
failed, ``gpu.csv`` holds the speeds (``make plan`` reads them; columns: ``bench/gpu_speed.py``). Where
sentence-transformers is installed, its ``predict`` is measured too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch

from bench.gpu_section import (
    CHECK_COLUMNS,
    CHECK_TABLE,
    CHECKS,
    COLUMNS,
    INPUTS,
    SPEED_TABLE,
    Failure,
    Rows,
    Section,
    failed,
    read_rows,
)
from bench.gpu_speed import PARTS
from bench.inputs import Shape
from workflow_scripts.storage.command import end_in_one_line

ROOT = Path(__file__).parents[1]
BERT = Shape(12, 768, 12, 3072, pairs=32768, steps=64)
MINI = Shape(6, 384, 12, 1536, pairs=32768, steps=64)
SMALL = Shape(4, 256, 4, 1024, pairs=512, steps=8)  # of the checks beside the CPU
TINY = Shape(2, 32, 2, 64, pairs=64, steps=2)
SECONDS = {"equality": 90, "attention": 25, "distillation": 45, "scoring": 60, "training": 80, "encoding": 30}
"""How the time is shared out between sections, of which those of speed come once a shape."""
ALL_SECONDS = 460  # eight minutes, less what starts before them
INPUTS_SECONDS = 60  # that the speeds wait for their texts and models
END_SECONDS = 10  # that a killed process has to end: one that hangs in the driver does not
OVERTIME = 1.5
"""A section that has not ended after so many of its shares is ended."""
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""Variables of the environment that keep the libraries from the network and from bars."""


def run_sections(options: argparse.Namespace, folder: Path) -> list[str]:
    """Run the sections in turn, the dearest to know first; returns what failed, a line each.

    A section that fails does not stop those after it: minutes on a card are dear.
    """
    end = time.time() + options.seconds
    shapes = [TINY] if options.smoke else [BERT, MINI]
    if options.pairs:
        shapes = [replace(shape, pairs=options.pairs) for shape in shapes]
    small = TINY if options.smoke else SMALL
    plan = [(name, small) for name in CHECKS] + [(name, shape) for shape in shapes for name in PARTS]
    output = Path(options.output).absolute()
    for table, columns in ((CHECK_TABLE, CHECK_COLUMNS), (SPEED_TABLE, COLUMNS)):
        Rows(output / table, columns).replace([])

    def section(name: str, *shapes: Shape, until: float = end) -> Section:
        groups = [2] if options.smoke else options.groups
        device = "cpu" if options.smoke else "cuda"
        return Section(name, shapes, str(folder), str(output), device, options.rounds, groups, until)

    background = _start(section(INPUTS, *shapes))
    try:
        for place, (name, shape) in enumerate(plan):
            if name in PARTS:
                _wait(background, INPUTS_SECONDS)
                _end(background)  # what it has not made a section makes itself
            left = end - time.time()
            share = left * SECONDS[name] / sum(SECONDS[other] for other, _ in plan[place:])
            _run(section(name, shape, until=time.time() + share), min(left, OVERTIME * share))
    finally:
        _end(background)
    return [_line(row) for row in read_rows(output / CHECK_TABLE) if row["passed"] != "True"]


def _run(section: Section, seconds: float) -> None:
    """Run one section, for so many seconds at most; of what ended it before its time a row says so."""
    start = time.time()
    process = _start(section)
    try:
        _wait(process, seconds)
        status = process.poll()
    finally:
        _end(process)
    if status != 0:
        reason = f"was ended after {seconds:.0f} s" if status is None else f"ended with status {status}"
        checks = Rows(Path(section.output) / CHECK_TABLE, CHECK_COLUMNS)
        checks.add([failed(section, Failure("its process", reason))])
    print(f"{section.title}: {time.time() - start:.0f} s", flush=True)


def _start(section: Section) -> subprocess.Popen:
    return subprocess.Popen(_command(section), cwd=ROOT, env=os.environ | QUIET)


def _command(section: Section) -> list[str]:
    return [sys.executable, "-m", "bench.gpu_section", json.dumps(asdict(section))]


def _wait(process: subprocess.Popen, seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(seconds, 0))


def _end(process: subprocess.Popen) -> None:
    process.kill()
    _wait(process, END_SECONDS)


def _line(row: dict[str, str]) -> str:
    """What failed, for the terminal."""
    measured = "" if row["found"] == "nan" else f" is {float(row['found']):.3g}, the limit {float(row['limit']):.3g}"
    return f"{row['section']}: {row['name']}{measured}"


def main(argv: list[str] | None = None) -> None:
    """Command line: run all sections; exit status 1 names what failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="tiny models on the CPU: does it run?")
    parser.add_argument("--seconds", type=float, default=ALL_SECONDS, help="for all sections together")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each method at most, after one to warm up")
    parser.add_argument("--groups", type=int, nargs="+", default=[8, 32], help="groups a training step")
    parser.add_argument("--pairs", type=int, help="pairs that a round of scoring takes")
    parser.add_argument("--output", default=ROOT / "results/bench", help="folder to write")
    options = parser.parse_args(argv)
    if not options.smoke and not torch.cuda.is_available():
        print("there is no CUDA device here: nothing measured (--smoke tries the script on the CPU)")
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        failed = run_sections(options, Path(folder))
    for line in failed:
        print(f"FAILED {line}", file=sys.stderr)
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    end_in_one_line(main)
