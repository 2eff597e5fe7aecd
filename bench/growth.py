"""How a study grows with its seeds: ``growth.csv`` and ``growth.md``. Planning, check and tables over made-up metrics.

No job of the study runs: its artifacts are made up from a dry run's commands (:mod:`bench.made_study`), with metrics of
as many queries as the collections have. What reads more than metrics, manifests and other tables' numbers (runs,
groups, texts) is timed with ``--finished``: an experiment that was made, with so many of its seeds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from itertools import chain
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from bench.dag import mark_as_made, runs_of
from bench.machine import commit, processor, today
from bench.made_study import Job, planned, write_study
from bench.stages import ROOT
from workflow_scripts.analysis.measures import METRICS_FILE
from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.plan.costs import Costs
from workflow_scripts.plan.throughput import read_figures
from workflow_scripts.storage.artifacts import atomic_path
from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.errors import InputError

TIMED = (
    *("collect_metrics", "make_equivalence_table", "make_main_table", "make_variance_table", "make_power_table"),
    *("make_per_collection_table", "make_controls_table", "make_retrieval_table", "make_published_table"),
    *("make_cost_table", "make_configuration_table", "make_advice_table"),
)
"""Scripts that read metrics, manifests and numbers alone, each after those that it reads."""
CHILD = (
    "import os, subprocess, sys, time; began = time.perf_counter(); done = subprocess.run(sys.argv[1:]); "
    "seconds = time.perf_counter() - began; import resource; used = resource.getrusage(resource.RUSAGE_CHILDREN); "
    "print('\\n', seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024); sys.exit(done.returncode)"
)
"""Starts a command from a small process, whose own memory would else count as the command's, and prints its cost."""
CAPTION = """# Growth

`{config}` with {seeds} seeds, {collections} collections; {share}. Snakemake {snakemake}; {processor}; {date},
commit {commit}. {beside}

Seconds of processor time of the whole command (on the clock in brackets), and its peak memory in MB; one run each.
*growth*: processor seconds times as many as with the seeds before, over rows times as many.

"""


def measure_growth(
    *,
    config: Sequence[Path],
    seeds: Sequence[int],
    share: float,
    output: str | Path,
    finished: bool = False,
    scratch: str | Path | None = None,
    beside: str = "",
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Time the steps at each number of ``seeds``, with a ``share`` of each collection's queries; write both files.

    ``finished``: the experiment was made, so time what analyses it and the report; of its results nothing is written.
    ``scratch``: where the study lies meanwhile, some 15 bytes a row of metrics; ``beside``: what else the machine did.
    """
    if not seeds or sorted(set(seeds)) != list(seeds) or seeds[0] < 1 or not 0 < share <= 1:
        raise InputError("give numbers of seeds in ascending order, from 1 up, and a share of the queries up to 1")
    config, rows = [Path(path).resolve() for path in config], []
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    for number in seeds:
        with tempfile.TemporaryDirectory(prefix="growth-", dir=scratch) as folder:
            experiment = Experiment({**read_config(*config), "seeds": list(range(number))})
            steps = (
                _analyses(Path(folder), config, experiment)
                if finished
                else _steps(Path(folder), config, experiment, share)
            )
            for row in steps:
                say("{what}, {seeds} seeds: {cpu_s:.1f} s, {peak_mb:,.0f} MB".format(**row))
                rows.append(row)
                table = _with_growth(pd.DataFrame(rows))
                with atomic_path(output / "growth.csv") as path:
                    table.to_csv(path, index=False, float_format="%.4g", lineterminator="\n")
        about = {"config": " ".join(path.name for path in config), "seeds": ", ".join(map(str, seeds))}
        about |= {"share": f"{share:.0%} of their queries", "beside": beside, "date": today(), "commit": commit()}
        about |= {"snakemake": metadata.version("snakemake"), "processor": processor()}
        with atomic_path(output / "growth.md") as path:
            caption = CAPTION.format(**about, collections=len(experiment.test_collections))
            path.write_text(
                caption + _shown(table).to_markdown(index=False, disable_numparse=True) + "\n", encoding="utf-8"
            )
    return table


def _snakemake(config: Sequence[Path], experiment: Experiment) -> tuple[str, ...]:
    """Its command up to the directory that it is to work in."""
    return (
        *(sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")),
        *("--configfile", *map(str, config), "--profile", str(ROOT / "config/profiles/local")),
        *("--config", f"seeds={experiment.config['seeds']}", "--cores", "2", "--directory"),
    )


def _steps(folder: Path, config: Sequence[Path], experiment: Experiment, share: float) -> Iterator[dict]:
    """A row for each step at one number of seeds."""
    known = Costs(experiment, read_figures())
    queries = {
        name: max(int(known.texts("collections", name).number * share), 2) for name in experiment.test_collections
    }
    snakemake = _snakemake(config, experiment)
    touched, made = folder / "touched", folder / "made"
    made.mkdir()
    jobs, outputs = planned(_run([*snakemake, str(made), "-n", "-p", "--quiet", "progress"], made)[0])
    about = {"seeds": len(experiment.config["seeds"]), "rows": write_study(made, jobs, queries)}

    def timed(what: str, command: Sequence[str], prints: str = "") -> dict:
        printed, cost = _run(command, made)
        if prints not in printed:
            raise AssertionError(f"{what} does not say {prints!r}: {printed[-600:]}")
        return {"what": what, **about, **cost}

    yield timed("dry run, nothing made", [*snakemake, f"{folder}/new", "-n", "--quiet"])
    mark_as_made([*snakemake, str(touched)], touched, [*outputs, *runs_of(experiment)])
    yield timed("dry run, everything made", [*snakemake, str(touched), "-n"], prints="Nothing to be done")
    yield timed("verify", [sys.executable, "-m", "workflow_scripts.daily.verify", f"results/{experiment.name}"])
    for job in sorted((job for job in jobs if job.script in TIMED), key=lambda job: TIMED.index(job.script)):
        yield timed(_name(job), _command(job))


def _analyses(folder: Path, config: Sequence[Path], experiment: Experiment) -> Iterator[dict]:
    """A row for each job that analyses a finished experiment with its first seeds, and its report; all is written in
    ``folder``, and what is made there is read there.
    """
    here = Path.cwd()
    dry_run = [*_snakemake(config, experiment), str(here), "-n", "-p", "--forceall", "--quiet", "progress"]
    jobs, outputs = planned(_run(dry_run, here)[0])
    written = {path: str(folder / path) for path in outputs if _is_analysis(Path(path))}
    todo = [job for job in jobs if job.output in written]
    todo.sort(key=lambda job: Path(job.output).name != METRICS_FILE)  # whose rows the others are held against
    while todo:
        left = {job.output for job in todo}
        job = next(job for job in todo if not left & (set(chain(*job.options.values())) - {job.output}))
        todo.remove(job)
        for path in filter(written.__contains__, chain(*job.options.values())):
            Path(written[path]).parent.mkdir(parents=True, exist_ok=True)
        _, cost = _run([written.get(word, word) for word in _command(job)], here)
        if Path(job.output).name == METRICS_FILE:
            rows = pq.read_metadata(written[job.output]).num_rows
        yield {"what": _name(job), "seeds": len(experiment.config["seeds"]), "rows": rows, **cost}


def _is_analysis(path: Path) -> bool:
    """Is it numbers of tables, metrics of all rankers, or the report (``results/NAME/...``)?"""
    return path.parts[2] in ("analysis", METRICS_FILE, "retrieval.parquet", "report.html")


def _name(job: Job) -> str:
    name = Path(job.output).stem
    kind = {"collect_metrics": "collect ", "make_report": ""}.get(job.script, "table ")
    return f"{kind}{name}"


def _command(job: Job) -> list[str]:
    options = [word for name, values in job.options.items() if name != "log" for word in (f"--{name}", *values)]
    return [sys.executable, *job.command.split()[1:3], *options]


def _run(command: Sequence[str], folder: Path) -> tuple[str, dict]:
    """What a command prints, and its seconds on the clock and of the processor and its peak in MB."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *command], cwd=folder, capture_output=True, encoding="utf-8", env=environment
    )
    printed, _, cost = done.stdout.rstrip().rpartition("\n")
    if done.returncode:
        raise InputError(f"{' '.join(command[1:4])} ended with {done.returncode}: {(printed + done.stderr)[-600:]}")
    return printed, dict(zip(("wall_s", "cpu_s", "peak_mb"), map(float, cost.split()), strict=True))


def _with_growth(table: pd.DataFrame) -> pd.DataFrame:
    """``growth``: the factor of processor seconds from the seeds before over the factor of rows; NaN for the first."""
    factors = table.groupby("what", sort=False)[["cpu_s", "rows"]].transform(lambda column: column / column.shift())
    return table.assign(growth=factors["cpu_s"] / factors["rows"])


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """A row a step, columns by seeds; empty for a step that there is not with so many seeds."""
    columns = []
    for number, part in table.groupby("seeds"):
        part = part.set_index("what")
        head = f"seeds {number}, {part['rows'].iloc[0] / 1e6:.1f} M rows: s"
        texts = {head: [f"{row.cpu_s:.1f} ({row.wall_s:.1f})" for row in part.itertuples()]}
        texts[f"seeds {number}: MB"] = [f"{peak:,.0f}" for peak in part["peak_mb"]]
        if part["growth"].notna().any():
            texts[f"seeds {number}: growth"] = [f"{growth:.2f}" for growth in part["growth"]]
        columns.append(pd.DataFrame(texts, index=part.index))
    return pd.concat(columns, axis=1).fillna("").rename_axis("what").reset_index()


def main(argv: list[str] | None = None) -> None:
    """Command line of :func:`measure_growth`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, nargs="+", default=[ROOT / "config/paper.yaml"], help="and overlays")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--share", type=float, default=1.0, help="of each collection's queries")
    parser.add_argument("--finished", action="store_true", help="time the analyses of an experiment that was made")
    parser.add_argument("--output", default=ROOT / "results/bench", help="folder to write")
    parser.add_argument("--scratch", help="folder for the made-up study")
    parser.add_argument("--beside", default="", help="a sentence on what else the machine did, for the table")
    print(_shown(measure_growth(**vars(parser.parse_args(argv)))).to_string(index=False))


if __name__ == "__main__":
    end_in_one_line(main)
