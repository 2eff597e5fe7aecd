"""How batch search uses the cores: ``search.csv`` and ``search.md``. Whole jobs of ``search_index``, start and all."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from bench.machine import processor
from bench.stages import BM25, ROOT, list_stages, run_stage
from workflow_scripts.storage.artifacts import Artifact, atomic_path
from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.errors import InputError

PREPARED = ("corpus", "train", "index")
CAPTION = """# Batch search by threads

{queries:,} queries of three words over {documents:,} generated documents, BM25, {depth} documents a query, by the time
of whole `search_index` jobs (start of Java, reading queries, writing the ranking). {processor}.
*cores busy*: processor time over the clock's.

"""


def measure_search(
    *,
    documents: int,
    queries: int,
    depth: int,
    threads: Sequence[int],
    rounds: int,
    output: str | Path,
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Search with each number of ``threads`` in turn, ``rounds`` times; medians, one row a number of threads."""
    if min(documents, queries, depth, rounds, *threads) < 1:
        raise InputError("documents, queries, depth, threads and rounds are whole numbers from 1 up")
    output, costs = Path(output), []
    with tempfile.TemporaryDirectory(prefix="search-") as folder:
        size = ("--documents", str(documents), "--queries", str(queries))
        run_stage([sys.executable, "-m", "bench.documents", *size, "--output", f"{folder}/files"])
        for stage in list_stages(Path(folder), documents, queries):
            if stage.output.parent.name in PREPARED:
                run_stage(stage.command(sys.executable))
        for number in range(1, rounds + 1):
            for count in threads:
                costs.append({"threads": count} | _search(Path(folder), depth, count))
                say(f"round {number}, {count} threads: {costs[-1]['wall_s']:.0f} s")
    medians = pd.DataFrame(costs).groupby("threads", as_index=False).median()
    table = pd.DataFrame(
        {
            "threads": medians["threads"],
            "queries_per_second": queries / medians["wall_s"],
            "speedup": medians["wall_s"].iloc[0] / medians["wall_s"],
            "cores_busy": medians["cpu_s"] / medians["wall_s"],
        }
    )
    output.mkdir(parents=True, exist_ok=True)
    with atomic_path(output / "search.csv") as path:
        table.to_csv(path, index=False, float_format="%.4g", lineterminator="\n")
    caption = CAPTION.format(documents=documents, queries=queries, depth=depth, processor=processor())
    with atomic_path(output / "search.md") as path:
        text = table.astype({"threads": str}).to_markdown(index=False, floatfmt=("d", ".0f", ".2f", ".2f"))
        path.write_text(caption + text + "\n")
    return table


def _search(folder: Path, depth: int, threads: int) -> dict[str, float]:
    """One job's cost."""
    output, spec = folder / "ranking" / "manifest.json", json.dumps(BM25 | {"depth": depth})
    inputs = ("--index", str(folder / "index/manifest.json"), "--collection", str(folder / "train/manifest.json"))
    options = ("--threads", str(threads), "--memory-mb", "1536", "--output", str(output))
    run_stage([sys.executable, "-m", "workflow_scripts.index.search_index", "--spec", spec, *inputs, *options])
    return {name: Artifact(output).manifest["cost"][name] for name in ("wall_s", "cpu_s")}


def main(argv: list[str] | None = None) -> None:
    """Command line of :func:`measure_search`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=4_000)
    parser.add_argument("--depth", type=int, default=1_000)
    parser.add_argument("--threads", type=int, nargs="+", default=list(range(1, (os.cpu_count() or 1) + 1)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", default=ROOT / "results/bench", help="folder to write")
    print(measure_search(**vars(parser.parse_args(argv))).to_string(index=False, float_format="%.4g"))


if __name__ == "__main__":
    end_in_one_line(main)
