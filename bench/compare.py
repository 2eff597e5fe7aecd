"""Speed beside the peers, on this machine's CPU: ``bench.csv`` and its kin in the folder that ``--output`` names.

Scoring, CE training, BE training and encoding are measured one after another, each by fresh processes, the project's
with either arithmetic and the peers', one at a time: what a process has allocated before changes how fast it is.
First the equality gate (fp32, no dropout: scores within 1e-5, gradients within 1e-4), then rounds in which the methods
take turns, the project's and each peer's in every round; the first round is dropped and medians are compared.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd

from bench.inputs import SHAPES, Shape, choose_shapes, make_inputs
from bench.machine import commit, processor, today
from bench.report import append_report, write_report
from bench.workers import Worker
from workflow_scripts.storage.artifacts import atomic_path
from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.processor import multiplies_bf16

ROOT = Path(__file__).parents[1]
COLUMNS = ("name", "shape", "ours", "peer", "ratio", "floor", "aim", "pad_share", "equal")
TOLERANCES = {"scores": 1e-5, "gradients": 1e-4}
LEAST_SPREAD = 1e-3  # scores that hardly differ between pairs would pass any gate


@dataclass(frozen=True)
class Row:
    """A line of the table: a method of ours against a peer's, each with its options, and the gate it must pass.

    ``side``: whose process the peer's method runs in, one of :data:`SIDES`.
    """

    name: str
    ours: str
    peer: str
    model: str | None
    floor: float
    aim: float
    side: str = "peers"
    precisions: Sequence[str] = ("fp32", "bf16")

    @property
    def group(self) -> str:
        """What is measured by the same two processes."""
        return self.ours if self.model is None else f"{self.ours} {self.model}"


SIDES = {
    "ours": ("bench.ours",),
    "portable": ("bench.ours", "--arithmetic", "portable"),
    "peers": ("bench.peers",),
    "openvino": ("bench.openvino",),
}
"""Module and options of each process."""
OPENVINO = "sentence-transformers on OpenVINO"
ST_SCORING = "scoring pairs/s, sentence-transformers' CrossEncoder.predict, batch 32"
STAND_IN = "rankers (stand-in: transformers.Trainer, whole groups padded)"
FP32, BF16 = ("fp32",), ("bf16",)
ROWS = (
    Row("scoring pairs/s, rankers 0.0.6's loop, batch 64", "score", "rankers_score", None, 2.5, 3.3),
    Row(ST_SCORING, "score", "st_score", None, 2.2, 3.0, precisions=FP32),
    Row(ST_SCORING, "score", "st_score", None, 1.6, 2.2, precisions=BF16),
    Row(f"CE training groups/s, {STAND_IN}", "train", "rankers_train", "cross", 2.0, 3.0, precisions=FP32),
    Row("CE training groups/s, sentence-transformers", "train", "st_train", "cross", 2.5, 3.5),
    Row(f"BE training groups/s, {STAND_IN}", "train", "rankers_train", "bi", 1.8, 2.7, precisions=FP32),
    Row("BE training groups/s, sentence-transformers", "train", "st_train", "bi", 2.5, 3.5),
    Row("BE encoding passages/s, SentenceTransformer.encode", "encode", "st_encode", None, 1.1, 1.4),
    Row(f"scoring pairs/s, {OPENVINO}", "score", "st_score", None, 1.2, 1.6, "openvino"),
    Row(f"BE encoding passages/s, {OPENVINO}", "encode", "st_encode", None, 1.15, 1.5, "openvino"),
    Row("scoring pairs/s, our portable arithmetic", "score", "score", None, 0.95, 1.0, "portable", FP32),
    Row("CE training groups/s, our portable arithmetic", "train", "train", "cross", 0.95, 1.0, "portable", FP32),
    Row("BE training groups/s, our portable arithmetic", "train", "train", "bi", 0.95, 1.0, "portable", FP32),
)
# Shares, so less is better: no ratio, floor and aim are upper bounds, and beside ours stands rankers' own share.
PADDING = (
    Row("padding in scoring (share; beside it rankers')", "score", "rankers_score", None, 0.03, 0.005),
    Row(
        "padding in the linear layers of CE training (share; beside it rankers')",
        "train",
        "rankers_train",
        "cross",
        0.13,
        0.0,
        precisions=FP32,
    ),
)


def compare(
    *,
    shapes: Sequence[Shape],
    precisions: Sequence[str],
    rounds: int,
    threads: int,
    pythons: Mapping[str, str | Path],
    output: str | Path,
    only: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Measure every shape in every precision, write the tables after each, and return ``bench.csv``'s rows.

    ``only``: parts of the names of the rows to measure, none for all. ``pythons``: of the environments of the sides
    ``peers`` and ``openvino``. With one thread seconds are the process' own CPU time, which other load on the machine
    hardly moves; with more they are the clock's.
    """
    if rounds < 1 or threads < 1:
        raise InputError("rounds and threads are whole numbers from 1 up")
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    about = _about(threads)
    compared = _choose(only, precisions, pythons)
    rows, times = [], []
    for shape in shapes:
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            make_inputs(scratch, shape)
            differences: dict = {}
            for precision, (group, members) in itertools.product(precisions, _groups(compared).items()):
                members = [row for row in members if precision in row.precisions]
                if not members:
                    continue
                title = f"{shape.name}, {precision}"
                tell = functools.partial(_say, say, f"{title}, {group}")
                tell(f"equality, then {rounds} rounds after one to warm up")
                sides = dict.fromkeys(["ours", *(row.side for row in members)])
                with contextlib.ExitStack() as stack:
                    workers = {
                        side: stack.enter_context(_start(side, Path(scratch), precision, threads, pythons, output))
                        for side in sides
                    }
                    about |= {side: about.get(side) or worker.ask("about") for side, worker in workers.items()}
                    about["clock"] = "process_seconds" if threads == 1 else "seconds"
                    # In fp32 whatever the rounds compute in, so once a shape.
                    unknown = [row for row in members if (row.side, row.peer, row.model) not in differences]
                    if unknown:
                        differences |= _gate(workers, Path(scratch), unknown)
                    # Padding is the same in every precision.
                    chosen = [row for row in members if row in ROWS or precision == precisions[0]]
                    if title not in {line["shape"] for line in about["products"]}:
                        lines = workers["ours"].ask("products")["lines"]
                        about["products"] += [{"shape": title} | line for line in lines]
                    # Written after every round: what was measured outlives a comparison that is stopped.
                    for measured in _rounds(workers, rounds, chosen, tell):
                        own = _rows(measured, title, differences, about["clock"], chosen)
                        about["rounds"][f"{title}, {group}"] = int(measured["round"].max())
                        table = _in_order(rows + own, compared)
                        _write(output, table, pd.concat([*times, measured.assign(shape=title)]), about)
                rows += own
                times.append(measured.assign(shape=title))
    return table[list(COLUMNS)]


def _choose(only: Sequence[str], precisions: Sequence[str], pythons: Mapping[str, str | Path]) -> list[Row]:
    """The rows to measure, whose processes can all be started."""
    rows = [row for row in (*ROWS, *PADDING) if set(precisions) & set(row.precisions)]
    compared = [row for row in rows if not only or any(part in row.name for part in only)]
    if not compared:
        raise InputError(f"no row has {' or '.join(only)} in its name: {', '.join(row.name for row in rows)}")
    for side in {row.side for row in compared} & set(pythons):
        if not Path(pythons[side]).exists():
            raise InputError(f"{pythons[side]} is missing: `make bench` builds the peers' environments")
    return compared


def _say(say: Callable[[str], None], title: str, text: str) -> None:
    say(f"{title}: {text}")


def _groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    return groups


def _in_order(measured: list[dict], compared: Sequence[Row]) -> pd.DataFrame:
    """The rows of a shape and precision in the order that they are declared in, not in that they were measured in."""
    titles = list(dict.fromkeys(row["shape"] for row in measured))
    names = [row.name for row in compared]
    return pd.DataFrame(sorted(measured, key=lambda row: (titles.index(row["shape"]), names.index(row["name"]))))


def _start(
    side: str, folder: Path, precision: str, threads: int, pythons: Mapping[str, str | Path], output: Path
) -> Worker:
    module, *options = SIDES[side]
    return Worker(
        pythons.get(side, sys.executable), module, folder, precision, threads, output / f"{side}.log", options
    )


def _gate(workers: Mapping[str, Worker], folder: Path, rows: Sequence[Row]) -> dict[tuple, float]:
    """Largest difference to each peer's numbers, by side, method and the model trained, for one group's rows."""
    own, model = rows[0].ours, rows[0].model
    differences: dict = {}
    if model is None:
        mine, theirs = str(folder / "ours.npy"), str(folder / "theirs.npy")
        workers["ours"].ask(own, output=mine)
        expected = np.load(mine)
        if expected.std(axis=0).max() < LEAST_SPREAD:
            raise AssertionError(f"{own}: the outputs hardly differ between texts, equality would mean nothing")
    else:
        mine, theirs = str(folder / "ours.npz"), str(folder / "theirs.npz")
        workers["ours"].ask("gradients", name=model, output=mine)
    for side, peer in dict.fromkeys((row.side, row.peer) for row in rows):
        if model is None:
            workers[side].ask(peer, output=theirs)
            differences[side, peer, model] = float(np.abs(np.load(theirs) - expected).max())
        else:
            workers[side].ask(peer.replace("train", "gradients"), name=model, output=theirs)
            differences[side, peer, model] = _largest(mine, theirs)
    return differences


def _largest(mine: str, theirs: str) -> float:
    """Largest difference between two files of named gradients; infinite where the peer lacks one of ours."""
    with np.load(mine) as own, np.load(theirs) as other:
        if set(own.files) - set(other.files):
            return float("inf")
        return max(float(np.abs(own[name] - other[name]).max()) for name in own.files)


def _rounds(
    workers: Mapping[str, Worker], rounds: int, rows: Sequence[Row], say: Callable[[str], None]
) -> Iterator[pd.DataFrame]:
    """After each round one row a method, model and round so far; the first round, which warms up, is left out."""
    methods = []
    for row in rows:
        for side, method in (("ours", row.ours), (row.side, row.peer)):
            if (side, method, row.model) not in methods:
                methods.append((side, method, row.model))
    measured, began = [], time.monotonic()
    for number in range(rounds + 1):
        for side, method, model in methods:
            answer = workers[side].ask(method, **({} if model is None else {"name": model}))
            measured.append({"round": number, "side": side, "method": method, "model": model or ""} | answer)
        spent = time.monotonic() - began
        say(f"round {number} of {rounds} done, about {spent / (number + 1) * (rounds - number):,.0f} s to go")
        if number:
            table = pd.DataFrame(measured)
            yield table[table["round"] > 0].reset_index(drop=True)


def _rows(measured: pd.DataFrame, title: str, differences: Mapping, clock: str, compared: Sequence[Row]) -> list[dict]:
    medians = measured.assign(speed=measured["items"] / measured[clock]).groupby(["side", "method", "model"]).median()
    rows = []
    for row in compared:
        model = row.model or ""
        own, other = medians.loc[("ours", row.ours, model)], medians.loc[(row.side, row.peer, model)]
        difference = differences[row.side, row.peer, row.model]
        limit = TOLERANCES["scores" if row.model is None else "gradients"]
        peer_share = 1 - own["tokens"] / other["positions"]
        speed = row not in PADDING
        rows.append(
            {
                "name": row.name,
                "shape": title,
                "ours": own["speed"] if speed else own["pad_share"],
                "peer": other["speed"] if speed else peer_share,
                "ratio": own["speed"] / other["speed"] if speed else np.nan,
                "floor": row.floor,
                "aim": row.aim,
                "pad_share": own["pad_share"],
                "equal": bool(difference <= limit),
                "peer_pad_share": peer_share,
                "difference": difference,
                "tokenising_share": own[f"tokenising_{clock}"] / own[clock],
                "gflops": own["flops"] / own[clock] / 1e9,
            }
        )
    return rows


def _write(output: Path, table: pd.DataFrame, times: pd.DataFrame, about: dict) -> None:
    with atomic_path(output / "bench.csv") as path:
        table[list(COLUMNS)].to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    with atomic_path(output / "rounds.csv") as path:
        times.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    with atomic_path(output / "versions.json") as path:
        path.write_text(json.dumps(about, indent=2, sort_keys=True) + "\n")
    write_report(table, about, output)


def _about(threads: int) -> dict:
    return {
        "processor": processor(),
        "threads": threads,
        "rounds": {},
        "date": today(),
        "commit": commit(),
        "products": [],
        "project": {name: metadata.version(name) for name in ("torch", "tokenizers", "numpy")},
    }


def main(argv: list[str] | None = None) -> None:
    """Command line of :func:`compare`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", default=["4x256", "12x768"], help=f"of {', '.join(SHAPES)}")
    parser.add_argument(
        "--precisions", nargs="+", choices=("fp32", "bf16"), help="default: fp32, and bf16 where the processor has it"
    )
    parser.add_argument("--only", nargs="+", default=(), metavar="PART", help="rows with one of these in their name")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds, beside the one to warm up")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peers", default=ROOT / ".bench-venv/bin/python", help="Python of the peers' environment")
    parser.add_argument("--openvino", default=ROOT / ".bench-openvino/bin/python", help="the same of OpenVINO's")
    parser.add_argument(
        "--append", type=Path, metavar="FILE", help="a Markdown file that the table is added to as well"
    )
    parser.add_argument("--output", default=ROOT / "results/bench", help="folder to write")
    options = vars(parser.parse_args(argv))
    options["shapes"] = choose_shapes(options["shapes"])
    options["precisions"] = options["precisions"] or ["fp32"] + ["bf16"] * multiplies_bf16()
    appended = options.pop("append")
    options["pythons"] = {side: options.pop(side) for side in ("peers", "openvino")}
    table = compare(**options)
    if appended:
        append_report(options["output"], appended)
    print(table.to_string(index=False, float_format="%.4g"))


if __name__ == "__main__":
    end_in_one_line(main)
