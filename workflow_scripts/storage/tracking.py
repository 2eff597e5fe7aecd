"""Curves of a job for TensorBoard, Weights & Biases or MLflow, where their own variables of the environment ask for it.

``TENSORBOARD_LOGGING_DIR`` (a folder), ``WANDB_PROJECT``, ``MLFLOW_TRACKING_URI``; each library's other variables hold
too. Off where none is set. The libraries are the user's to install, are imported only then, and write where they write:
into no artifact and no digest.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from workflow_scripts.storage.errors import InputError, one_line
from workflow_scripts.storage.provenance import current_job

MODULES = {
    "TENSORBOARD_LOGGING_DIR": ("torch.utils.tensorboard", "tensorboard"),
    "WANDB_PROJECT": ("wandb", "wandb"),
    "MLFLOW_TRACKING_URI": ("mlflow", "mlflow"),
}
"""Variable to the module that takes the curves and the package that it comes with."""
NUMBER = re.compile(r"([a-z][a-z ]*) (-?\d[\d.]*(?:e[+-]?\d+)?)")
Log = Callable[[dict[str, float], int], object]
End = Callable[[], object]


class Tracker:
    """Hands on the numbers of a job's progress, such as "step 50, loss 0.31", to whatever is asked for."""

    def __init__(self) -> None:
        self._open: list[tuple[Log, End]] = []
        if job := current_job():
            libraries = {variable: _library(variable) for variable in MODULES if os.environ.get(variable)}
            for variable, library in libraries.items():
                with _reported():
                    self._open.append(_start(variable, library, job.label, job.spec))

    def log(self, note: str, done: float) -> None:
        """Log the numbers in ``note``, by its own ``step`` or else by what is done; one that fails is left out."""
        if self._open and (values := {name: float(value) for name, value in NUMBER.findall(note)}):
            step, well = int(values.pop("step", done)), []
            for log, end in self._open:
                with _reported():
                    log(values, step)
                    well.append((log, end))
            self._open = well

    def close(self) -> None:
        """Let the trackers write what they hold."""
        for _, end in self._open:
            with _reported():
                end()
        self._open = []


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    """Report what goes wrong in a tracker: it ends its curves, not the job."""
    try:
        yield
    except Exception as error:
        print(f"a tracker failed, and is left out: {one_line(error)}", file=sys.stderr, flush=True)


def _library(variable: str) -> Any:
    module, package = MODULES[variable]
    try:
        return importlib.import_module(module)
    except ImportError:
        fix = f"install it (.venv/bin/pip install {package}) or unset the variable"
        raise InputError(f"{variable} is set, and {package} is not installed: {fix}") from None


def _start(variable: str, library: Any, name: str, spec: Mapping) -> tuple[Log, End]:
    if variable == "TENSORBOARD_LOGGING_DIR":
        writer = library.SummaryWriter(os.path.join(os.environ[variable], name))
        return lambda values, step: [writer.add_scalar(key, values[key], step) for key in values], writer.close
    if variable == "WANDB_PROJECT":
        run = library.init(name=name, config=dict(spec))
        return lambda values, step: run.log(values, step=step), run.finish
    library.start_run(run_name=name)
    return lambda values, step: library.log_metrics(values, step=step), library.end_run
