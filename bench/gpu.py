"""Speed on one GPU: scoring and training at BERT-base's shape, as shares of what its matrix units give.

Needs torch, transformers, numpy; neither Java nor a network. Where sentence-transformers is installed, its ``predict``
is measured too. Arithmetic of a forward pass over n tokens in sequences of lengths L, per layer (h hidden, f
feed-forward): linear layers 2 n (4 h^2 + 2 h f), attention 4 h sum(L^2). *Computed* leaves out what the project does
not compute, the last layer beyond [CLS]; backward counts twice a forward. Padding counts for nobody.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from bench.inputs import Shape, make_inputs
from workflow_scripts.storage.artifacts import atomic_path
from workflow_scripts.storage.command import end_in_one_line

try:
    import workflow_scripts.storage.tables  # noqa: F401
except ImportError:
    # Without pandas and pyarrow: the loops measured here read no table, only their modules import the reader.
    sys.modules["workflow_scripts.storage.tables"] = types.SimpleNamespace(read_arrow=None, write_table=None)

from bench.gpu_peers import padded_scoring, padded_training, predict
from bench.ours import Ours

ROOT = Path(__file__).parents[1]
BERT = Shape(12, 768, 12, 3072, pairs=32768, steps=64)
TINY = Shape(2, 32, 2, 64, pairs=64, steps=2)
COLUMNS = (
    *("name", "device", "shape", "items_a_second", "tflops", "tflops_computed"),
    *("peak_tflops", "share", "share_computed", "pad_share"),
)


def forward_flops(shape: Shape, lengths: np.ndarray) -> float:
    """Arithmetic of every layer at every position: linear layers and attention."""
    linear = 2 * lengths.sum() * (4 * shape.hidden**2 + 2 * shape.hidden * shape.feed_forward)
    return float(shape.layers * (linear + 4 * shape.hidden * np.square(lengths, dtype=np.float64).sum()))


def computed_flops(shape: Shape, lengths: np.ndarray) -> float:
    """As :func:`forward_flops` with the last layer for one position a sequence: keys and values are of all."""
    square, count = shape.hidden**2, len(lengths)
    last = 2 * (lengths.sum() * 2 * square + count * (2 * square + 2 * shape.hidden * shape.feed_forward))
    last += 4 * shape.hidden * lengths.sum()
    return forward_flops(shape, lengths) * (shape.layers - 1) / shape.layers + float(last)


def matmul_peak(device: torch.device, dtype: torch.dtype, size: int, repeats: int = 20) -> float:
    """TFLOP/s of the best of ``repeats`` products of two (size, size) matrices."""
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best = min(_seconds(lambda: left @ right, device) for _ in range(repeats))
    return 2 * size**3 / best / 1e12


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of ``work`` with all that it put on the device's queue."""
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure(*, shape: Shape, device: torch.device, rounds: int, groups: list[int], folder: Path) -> Iterator[dict]:
    """Rows of ``gpu.csv``; methods take turns, the first round is dropped, medians are kept.

    Scoring is bounded by the matrix products where the device is full, else by the kernels' launches; so is training.
    The token store is made before the project's clock starts: a study makes it once.
    """
    make_inputs(folder, shape)
    on_gpu = device.type == "cuda"
    named = torch.cuda.get_device_name(device) if on_gpu else device.type
    dtype = torch.bfloat16 if on_gpu else torch.float32
    peak = matmul_peak(device, dtype, 8192 if on_gpu else 256)
    ours = Ours(folder, "bf16" if on_gpu else "fp32", device)
    methods = _methods(ours, folder, device, dtype, groups)
    times: dict[str, list[float]] = {name: [] for name in methods}
    answers: dict[str, dict] = {}
    for _ in range(rounds + 1):
        for name, method in methods.items():
            answers[name] = method()
            times[name].append(answers[name]["loop"])
    for name, answer in answers.items():
        seconds, lengths = float(np.median(times[name][1:])), np.array(answer["lengths"])
        passes = 3 if "training" in name else 1
        own = "pad_share" in answer
        model = passes * forward_flops(shape, lengths) / seconds / 1e12
        # A bi-encoder's and a cross-encoder's last layer alike: [CLS] alone is computed.
        computed = passes * computed_flops(shape, lengths) / seconds / 1e12 if own else model
        padding = answer["pad_share"] if own else 1 - lengths.sum() / answer["positions"]
        values = (answer["items"] / seconds, model, computed, peak, model / peak, computed / peak, padding)
        yield dict(zip(COLUMNS, (name, named, shape.name, *values), strict=True))


def _methods(
    ours: Ours, folder: Path, device: torch.device, dtype: torch.dtype, groups: list[int]
) -> dict[str, Callable[[], dict]]:
    """What is measured, by the rows' names."""

    def own(method: Callable[..., dict], *options: object) -> Callable[[], dict]:
        def work() -> dict:
            answer = method(*options)
            loop = answer["seconds"] - answer["tokenising_seconds"]
            return answer | {"loop": loop, "lengths": ours.lengths}

        return work

    def other(method: Callable[[], dict]) -> Callable[[], dict]:
        def work() -> dict:
            answers: list[dict] = []
            loop = _seconds(lambda: answers.append(method()), device)
            return answers[0] | {"loop": loop}

        return work

    padded = "transformers padded, tokenised in the loop"
    methods = {
        "scoring pairs/s": own(ours.score),
        f"scoring pairs/s, {padded}, batch 64": other(padded_scoring(folder, device, dtype)),
        "BE encoding passages/s": own(ours.encode),
    }
    if importlib.util.find_spec("sentence_transformers") is not None:
        methods["scoring pairs/s, sentence-transformers' predict, batch 32"] = other(predict(folder, device, dtype))
    for count in groups:
        for dropout in (0.1, 0.0):
            name = f"CE training groups/s, {count} groups x 16, dropout {dropout:g}"
            methods[name] = own(ours.train, "cross", count, dropout)
        name = f"CE training groups/s, {count} groups x 16, dropout 0.1, {padded}"
        methods[name] = other(padded_training(folder, device, dtype, count))
    return methods


def main(argv: list[str] | None = None) -> None:
    """Command line: print the rows and write ``gpu.csv``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a tiny model on the CPU: does it run?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--groups", type=int, nargs="+", default=[4, 8, 32], help="groups a training step")
    parser.add_argument("--pairs", type=int, help="pairs that a round of scoring takes")
    parser.add_argument("--output", default=ROOT / "results/bench", help="folder to write")
    options = parser.parse_args(argv)
    if not options.smoke and not torch.cuda.is_available():
        print("there is no CUDA device here: nothing measured (--smoke tries the script on the CPU)")
        return
    shape = TINY if options.smoke else BERT
    if options.pairs:
        shape = Shape(**(vars(shape) | {"pairs": options.pairs}))
    device = torch.device("cpu" if options.smoke else "cuda")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        groups = [2] if options.smoke else options.groups
        rows = list(measure(shape=shape, device=device, rounds=options.rounds, groups=groups, folder=Path(folder)))
    print(f"torch {torch.__version__}, medians of {options.rounds} rounds")
    for row in rows:
        print("  ".join(value if isinstance(value, str) else f"{key} {value:.4g}" for key, value in row.items()))
    with atomic_path(Path(options.output) / "gpu.csv") as path, open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    end_in_one_line(main)
