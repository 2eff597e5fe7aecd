"""What one GPU makes of the project: the CPU's results, speed beside peers and the card's peak, a small distillation.

Needs torch, transformers, numpy; neither Java nor a network. Sections of two minutes at most, each written when done:
``gpu_checks.csv`` says what agrees with the CPU, ``gpu.csv`` holds the speeds (``make plan`` reads them). Where
sentence-transformers is installed, its ``predict`` is measured too.

Arithmetic of a forward pass over n tokens in sequences of lengths L, per layer (h hidden, f feed-forward): linear
layers 2 n (4 h^2 + 2 h f), attention 4 h sum(L^2). *Computed* leaves out what the project does not compute, the last
layer beyond [CLS]; backward counts twice a forward. Padding counts for nobody.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Callable, Sequence
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

from bench.gpu_equality import CHECKS
from bench.gpu_peers import padded_scoring, padded_training, predict
from bench.ours import Ours
from bench.products import computed_flops, forward_flops

ROOT = Path(__file__).parents[1]
BERT = Shape(12, 768, 12, 3072, pairs=32768, steps=64)
MINI = Shape(6, 384, 12, 1536, pairs=32768, steps=64)
SMALL = Shape(4, 256, 4, 1024, pairs=512, steps=8)  # of the checks beside the CPU
TINY = Shape(2, 32, 2, 64, pairs=64, steps=2)
SECTION_SECONDS = 110
COLUMNS = (
    *("name", "device", "shape", "items_a_second", "tflops", "tflops_computed"),
    *("peak_tflops", "share", "share_computed", "pad_share", "rounds", "torch"),
)
CHECK_COLUMNS = ("section", "name", "found", "limit", "passed", "device", "torch")


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


Methods = dict[str, Callable[[], dict]]


def measure(
    part: str, *, shape: Shape, device: torch.device, rounds: int, groups: Sequence[int], folder: Path, seconds: float
) -> list[dict]:
    """Rows of ``gpu.csv`` of one :data:`PARTS`; methods take turns, the first round is dropped, medians are kept.

    Rounds end after ``seconds``, but one is always kept. Scoring is bounded by the matrix products where the device is
    full, else by the kernels' launches; so is training. The token store is made before the project's clock starts: a
    study makes it once.
    """
    end = time.perf_counter() + seconds
    on_gpu = device.type == "cuda"
    dtype = torch.bfloat16 if on_gpu else torch.float32
    peak = matmul_peak(device, dtype, 8192 if on_gpu else 256)
    ours = Ours(folder, "bf16" if on_gpu else "fp32", device)
    methods = PARTS[part](ours, folder, dtype, groups)
    times: dict[str, list[float]] = {name: [] for name in methods}
    answers: dict[str, dict] = {}
    for done in range(rounds + 1):
        if done > 1 and time.perf_counter() > end:
            break
        for name, method in methods.items():
            answers[name] = method()
            times[name].append(answers[name]["loop"])
    return [_row(name, shape, device, peak, times[name][1:], answer) for name, answer in answers.items()]


def _row(
    name: str, shape: Shape, device: torch.device, peak: float, times: Sequence[float], answer: dict
) -> dict[str, object]:
    """A method's line: its speed, and the shares of the peak that the model's and the computed arithmetic are."""
    seconds, lengths = float(np.median(times)), np.array(answer["lengths"])
    passes = 3 if "training" in name else 1
    own = "pad_share" in answer
    model = passes * forward_flops(shape, lengths) / seconds / 1e12
    # A bi-encoder's and a cross-encoder's last layer alike: [CLS] alone is computed.
    computed = passes * computed_flops(shape, lengths) / seconds / 1e12 if own else model
    padding = answer["pad_share"] if own else 1 - lengths.sum() / answer["positions"]
    values = (answer["items"] / seconds, model, computed, peak, model / peak, computed / peak, padding)
    about = (name, _device_name(device), shape.name, *values, len(times), torch.__version__)
    return dict(zip(COLUMNS, about, strict=True))


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _own(ours: Ours, method: Callable[..., dict], *options: object) -> Callable[[], dict]:
    """A method of the project, its loop's time without the tokenizer's."""

    def work() -> dict:
        answer = method(*options)
        return answer | {"loop": answer["seconds"] - answer["tokenising_seconds"], "lengths": ours.lengths}

    return work


def _other(device: torch.device, method: Callable[[], dict]) -> Callable[[], dict]:
    """A peer's method, timed whole."""

    def work() -> dict:
        answers: list[dict] = []
        loop = _seconds(lambda: answers.append(method()), device)
        return answers[0] | {"loop": loop}

    return work


PADDED = "transformers padded, tokenised in the loop"


def _scoring(ours: Ours, folder: Path, dtype: torch.dtype, groups: Sequence[int]) -> Methods:
    methods = {
        "scoring pairs/s": _own(ours, ours.score),
        f"scoring pairs/s, {PADDED}, batch 64": _other(ours.device, padded_scoring(folder, ours.device, dtype)),
    }
    if importlib.util.find_spec("sentence_transformers") is not None:
        name = "scoring pairs/s, sentence-transformers' predict, batch 32"
        methods[name] = _other(ours.device, predict(folder, ours.device, dtype))
    return methods


def _encoding(ours: Ours, folder: Path, dtype: torch.dtype, groups: Sequence[int]) -> Methods:
    return {"BE encoding passages/s": _own(ours, ours.encode)}


def _training(ours: Ours, folder: Path, dtype: torch.dtype, groups: Sequence[int]) -> Methods:
    methods = {}
    for count in groups:
        for dropout in (0.1, 0.0):
            name = f"CE training groups/s, {count} groups x 16, dropout {dropout:g}"
            methods[name] = _own(ours, ours.train, "cross", count, dropout)
        name = f"CE training groups/s, {count} groups x 16, dropout 0.1, {PADDED}"
        methods[name] = _other(ours.device, padded_training(folder, ours.device, dtype, count))
    methods[f"BE training groups/s, {groups[-1]} groups x 16, dropout 0"] = _own(
        ours, ours.train, "bi", groups[-1], 0.0
    )
    return methods


PARTS: dict[str, Callable[[Ours, Path, torch.dtype, Sequence[int]], Methods]] = {
    "scoring": _scoring,
    "encoding": _encoding,
    "training": _training,
}


def check(section: str, folder: Path, device: torch.device) -> list[dict]:
    """Rows of ``gpu_checks.csv`` of one section."""
    about = (_device_name(device), torch.__version__)
    rows = []
    for one in CHECKS[section](folder, device):
        values = (section, one.name, one.found, one.limit, one.passed, *about)
        rows.append(dict(zip(CHECK_COLUMNS, values, strict=True)))
    return rows


def run_sections(options: argparse.Namespace, folder: Path) -> list[str]:
    """Run the sections in turn, each written when done; returns what failed, a line each.

    A section that fails does not stop those after it: minutes on a card are dear.
    """
    device = torch.device("cpu" if options.smoke else "cuda")
    shapes = [TINY] if options.smoke else [BERT, MINI]
    groups = [2] if options.smoke else options.groups
    small = TINY if options.smoke else SMALL
    make_inputs(folder / "checks", small)
    speeds, checks, failed = [], [], []
    plan = [("equality", small), *((part, shape) for part in PARTS for shape in shapes), ("distillation", small)]
    seconds = SECTION_SECONDS / len(shapes)
    for section, shape in plan:
        start = time.perf_counter()
        try:
            if section in CHECKS:
                checks += (rows := check(section, folder / "checks", device))
                failed += [f"{section}: {row['name']} is {row['found']:.3g}" for row in rows if not row["passed"]]
            else:
                if options.pairs:
                    shape = Shape(**(vars(shape) | {"pairs": options.pairs}))
                inputs = folder / f"{shape.layers}x{shape.hidden}"
                if not inputs.exists():
                    make_inputs(inputs, shape)
                limits = {"rounds": options.rounds, "groups": groups, "seconds": seconds}
                speeds += (rows := measure(section, shape=shape, device=device, folder=inputs, **limits))
        except Exception as error:
            traceback.print_exc()
            failed.append(f"{section} at {shape.name}: {type(error).__name__}: {error}")
            rows = []
        print(f"{section} at {shape.name}: {time.perf_counter() - start:.0f} s", flush=True)
        for row in rows:
            print("  " + "  ".join(f"{key} {v:.4g}" if isinstance(v, float) else str(v) for key, v in row.items()))
        _write(Path(options.output) / "gpu.csv", COLUMNS, speeds)
        _write(Path(options.output) / "gpu_checks.csv", CHECK_COLUMNS, checks)
    return failed


def _write(path: Path, columns: Sequence[str], rows: Sequence[dict]) -> None:
    with atomic_path(path) as part, open(part, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(argv: list[str] | None = None) -> None:
    """Command line: run all sections; exit status 1 names what failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="tiny models on the CPU: does it run?")
    parser.add_argument("--rounds", type=int, default=5, help="rounds at most; a section ends after two minutes")
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
