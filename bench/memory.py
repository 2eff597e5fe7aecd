"""How much memory every stage needs as the collection grows: ``memory.csv`` and ``memory.md``.

Each stage runs as its own process, as in a study, and its manifest says its peak. This process imports nothing large:
Linux counts the memory of the process that starts another towards the other's peak.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.stages import ROOT, list_stages, run_stage
from workflow_scripts.storage.artifacts import atomic_path
from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.errors import InputError

COLUMNS = ("stage", "documents", "peak_rss_mb", "bytes_per_document")
CAPTION = """# Memory of every stage as the collection grows

Peak resident memory in MB of each stage's own process ({queries} queries of each role, a model of 2 layers, one thread,
Java's heap bounded to 1024 MB), and the bytes a further document adds between one size and the next. Resident memory
counts the pages of mapped files (token stores, the Lucene index) while the system keeps them: these it may drop, so
they are no need. "Generated" is the demo's source; the other stages read the same language from files.

"""


def measure_memory(
    *,
    documents: Sequence[int],
    queries: int,
    output: str | Path,
    scratch: str | Path | None = None,
    say: Callable[[str], None] = print,
) -> list[dict]:
    """Run every stage at each number of ``documents`` and write both files; returns the rows of ``memory.csv``.

    ``scratch``: where the stages' files lie meanwhile (some 3 kB a document). Raises :class:`InputError` with the end
    of a stage's output where it fails.
    """
    if sorted(set(documents)) != list(documents) or documents[0] < 32:
        raise InputError("give the numbers of documents in ascending order, from 32 up")
    output, rows = Path(output), []
    for number in documents:
        say(f"{number:,} documents")
        with tempfile.TemporaryDirectory(prefix="memory-", dir=scratch) as folder:
            size = ("--documents", str(number), "--queries", str(queries))
            run_stage([sys.executable, "-m", "bench.documents", *size, "--output", f"{folder}/files"])
            for stage in list_stages(Path(folder), number, queries):
                run_stage(stage.command(sys.executable), OMP_NUM_THREADS="1")
                peak = json.loads(stage.output.read_text())["cost"]["peak_rss_mb"]
                rows.append({"stage": stage.name, "documents": number, "peak_rss_mb": peak})
                say(f"  {stage.name}: {peak:,.0f} MB")
        _add_growth(rows)
        _write(rows, output, queries)
    return rows


def _add_growth(rows: list[dict]) -> None:
    """Bytes a document adds from one size to the next; None for the first size."""
    before: dict[str, dict] = {}
    for row in rows:
        last = before.get(row["stage"])
        row["bytes_per_document"] = None if last is None else growth(last, row)
        before[row["stage"]] = row


def growth(last: dict, row: dict) -> float:
    """(peak - last peak) in bytes / (documents - last documents)."""
    return (row["peak_rss_mb"] - last["peak_rss_mb"]) * 2**20 / (row["documents"] - last["documents"])


def _write(rows: list[dict], output: Path, queries: int) -> None:
    output.mkdir(parents=True, exist_ok=True)
    with atomic_path(output / "memory.csv") as path, open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {"bytes_per_document": _text(row["bytes_per_document"], "{:.1f}")} for row in rows)
    sizes = sorted({row["documents"] for row in rows})
    headers = ["stage", *(f"{size:,}" for size in sizes), *(f"bytes a document to {size:,}" for size in sizes[1:])]
    lines = ["| " + " | ".join(headers) + " |", "|:--" + "|--:" * (len(headers) - 1) + "|"]
    for name in dict.fromkeys(row["stage"] for row in rows):
        own = {row["documents"]: row for row in rows if row["stage"] == name}
        peaks = [f"{own[size]['peak_rss_mb']:,.0f}" if size in own else "" for size in sizes]
        grown = [_text(own[size]["bytes_per_document"], "{:,.0f}") if size in own else "" for size in sizes[1:]]
        lines.append("| " + " | ".join([name, *peaks, *grown]) + " |")
    with atomic_path(output / "memory.md") as path:
        path.write_text(CAPTION.format(queries=queries) + "\n".join(lines) + "\n")


def _text(value: float | None, pattern: str) -> str:
    return "" if value is None else pattern.format(value)


def main(argv: list[str] | None = None) -> None:
    """Command line of :func:`measure_memory`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--output", default=ROOT / "results/bench", help="folder to write")
    parser.add_argument("--scratch", help="folder for the stages' files, some 3 kB a document; the system's own else")
    measure_memory(**vars(parser.parse_args(argv)))


if __name__ == "__main__":
    end_in_one_line(main)
