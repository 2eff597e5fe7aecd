"""Workers of the comparison: one process a group of methods, told over a pipe what to do next, one at a time.

Only the standard library, since both environments import it. A request is one line ``{"method": ..., ...}``, the answer
one line ``{"seconds": wall, "process_seconds": CPU time of all threads, ...}``.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]


class Stopwatch:
    """Seconds on the clock and of this process' CPU time, from the start or the last :meth:`restart`."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Count from now."""
        self._wall, self._process = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """The seconds so far."""
        return {
            "seconds": time.perf_counter() - self._wall,
            "process_seconds": time.process_time() - self._process,
        }


class Worker:
    """A worker process, seen from the driver."""

    def __init__(
        self,
        python: str | Path,
        module: str,
        folder: Path,
        precision: str,
        threads: int,
        log: str | Path,
        options: Sequence[str] = (),
    ) -> None:
        self.name, self.log = module, log
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "RAYON_NUM_THREADS": str(threads),
            "TOKENIZERS_PARALLELISM": "false" if threads == 1 else "true",
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "TRANSFORMERS_VERBOSITY": "error",
            "TQDM_DISABLE": "1",
            "CUDA_VISIBLE_DEVICES": "",
        }
        with open(log, "a") as errors:
            self._process = subprocess.Popen(
                [str(Path(python).absolute()), "-m", module, str(folder.absolute()), precision, str(threads), *options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=ROOT,
                env=environment,
            )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *problem: object) -> None:
        self._process.stdin.close()
        self._process.wait()

    def ask(self, method: str, **options: object) -> dict:
        """Run one method and wait for its answer; RuntimeError with the worker's words where it failed."""
        try:
            self._process.stdin.write(json.dumps({"method": method, **options}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise RuntimeError(f"{self.name} has ended: see {self.log}") from None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended while it ran {method}: see {self.log}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{self.name} failed in {method}: {answer['error']}")
        return answer


class Positions:
    """Counts the positions that a linear layer (a module of torch) computes, padding and all."""

    def __init__(self, layer: object) -> None:
        self.rows = 0
        self._handle = layer.register_forward_hook(self._count)

    def _count(self, module: object, inputs: tuple, output: object) -> None:
        self.rows += inputs[0].shape[:-1].numel()

    def read(self) -> int:
        """Positions so far; counting ends."""
        self._handle.remove()
        return self.rows


def _give_back() -> None:
    """Return memory to the system: another process runs next, and a padded step of 12 layers takes 15 GB of it."""
    gc.collect()  # a trainer holds itself in a circle, and with it a model and its optimiser's state
    with contextlib.suppress(OSError, AttributeError):  # where the C library is not glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def serve(methods: object) -> None:
    """Answer requests by the public methods of ``methods`` until the pipe closes; other output goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(methods, request.pop("method"))(**request)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        _give_back()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
