"""What the DAG itself costs: ``dag.csv`` and ``dag.md``. Dry runs of a whole study, and the start of a cell's jobs.

Every output is made as an empty file and marked as done by Snakemake (``--touch``), so nothing is computed.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path

import pandas as pd

from bench.machine import processor
from bench.stages import ROOT, run_stage
from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.experiment.places import Places
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.storage.artifacts import atomic_path
from workflow_scripts.storage.code import closure, script_of
from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.errors import InputError

CELL = ("mine_negatives", "train_ranker", "rerank_candidates", "measure_runs", "make_main_table")
CAPTION = """# The DAG

`{config}` with the seeds {seeds}, {files:,} files to make; Snakemake {snakemake}; {processor}.
Seconds on the clock, medians of {rounds} runs. The start of a job is Python and all that its script imports, at once or
later.

"""


def measure_dag(
    *, config: Path, seeds: int, rounds: int, output: str | Path, say: Callable[[str], None] = print
) -> pd.DataFrame:
    """Time dry runs of ``config`` with so many seeds, nothing made and everything made, and starts of a cell's jobs."""
    if min(seeds, rounds) < 1:
        raise InputError("seeds and rounds are whole numbers from 1 up")
    config, rows = Path(config).resolve(), []
    with tempfile.TemporaryDirectory(prefix="dag-") as folder:
        snakemake = (
            *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", folder),
            *("--profile", str(ROOT / "config/profiles/local"), "--configfile", str(config)),
            *("--config", f"seeds={list(range(seeds))}", "--cores", "2"),
        )
        rows.append(_time("dry run, nothing made", [*snakemake, "-n"], rounds, say))
        experiment = Experiment({**read_config(config), "seeds": list(range(seeds))})
        paths = [*_outputs(run_stage([*snakemake, "--summary"])), *runs_of(experiment)]
        mark_as_made(snakemake, Path(folder), paths)
        say(f"{len(paths):,} files are marked as made")
        if "Nothing to be done" not in run_stage([*snakemake, "-n"]):
            raise AssertionError("everything is made and yet there is something to do")
        rows.append(_time("dry run, everything made", [*snakemake, "-n"], rounds, say))
    for script in CELL:
        modules = [".".join(path.with_suffix("").parts) for path in closure([script_of(script)])]
        rows.append(_time(f"start of {script}", [sys.executable, "-c", f"import {', '.join(modules)}"], rounds, say))
    table = pd.DataFrame(rows)
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    with atomic_path(output / "dag.csv") as path:
        table.to_csv(path, index=False, float_format="%.4g", lineterminator="\n")
    with atomic_path(output / "dag.md") as path:
        about = {"config": config.name, "seeds": list(range(seeds)), "files": len(paths), "rounds": rounds}
        caption = CAPTION.format(**about, snakemake=metadata.version("snakemake"), processor=processor())
        path.write_text(caption + table.to_markdown(index=False, floatfmt=".1f") + "\n")
    return table


def mark_as_made(snakemake: Sequence[str], folder: Path, paths: Sequence[str]) -> None:
    """Make ``paths`` below the working directory of a ``snakemake`` command as empty files that it takes for made."""
    for path in (folder / name for name in paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    # Snakemake waits a tenth of a second for each job that it touches.
    script = (
        "from snakemake import cli; from snakemake.executors import touch; touch.Executor.SLEEPING_TIME = 0; cli.main()"
    )
    run_stage([sys.executable, "-c", script, *snakemake[3:], "--touch", "--forceall"])


def _time(what: str, command: list[str], rounds: int, say: Callable[[str], None]) -> dict[str, str | float]:
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        run_stage(command)
        seconds.append(time.perf_counter() - began)
    say(f"{what}: {statistics.median(seconds):.1f} s")
    return {"what": what, "seconds": statistics.median(seconds), "shortest": min(seconds), "longest": max(seconds)}


def _outputs(summary: str) -> Iterator[str]:
    """Paths in what ``snakemake --summary`` prints, a table under its head."""
    lines = summary[summary.index("output_file\t") :].splitlines()
    return (row["output_file"] for row in csv.DictReader(lines, delimiter="\t"))


def runs_of(experiment: Experiment) -> Iterator[str]:
    """Paths of all runs: their manifests alone are outputs, and yet a run that is missing is made again."""
    places, retrieved = (
        Places(experiment),
        map("retrieved/{}".format, [*experiment.retrievers, *experiment.dense_rerankers]),
    )
    for ranker in [*Rankers(experiment).all, *retrieved]:
        for name in experiment.sets_of(ranker):
            yield from places.runs(ranker, name)


def main(argv: list[str] | None = None) -> None:
    """Command line of :func:`measure_dag`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, default=ROOT / "config/paper.yaml")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", default=ROOT / "results/bench", help="folder to write")
    print(measure_dag(**vars(parser.parse_args(argv))).to_string(index=False, float_format="%.1f"))


if __name__ == "__main__":
    end_in_one_line(main)
