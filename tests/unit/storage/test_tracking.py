"""What a tracker gets of a job's progress: only where a variable asks for it, and never at the job's cost."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from workflow_scripts.storage import provenance
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.progress import Progress
from workflow_scripts.storage.tracking import MODULES

CURVE = [({"loss": 0.5}, 10), ({"loss": 2e-05}, 20)]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> dict[str, list]:
    """What stand-ins of the three libraries are given; no variable is set."""
    found: dict[str, list] = {"tensorboard": [], "wandb": [], "mlflow": []}
    for variable, (module, package) in MODULES.items():
        monkeypatch.delenv(variable, raising=False)
        library, log = ModuleType(module), found[package]

        class Writer:
            def __init__(self, folder: str, log: list = log) -> None:
                self.log = log
                log.append(folder)

            def add_scalar(self, key: str, value: float, step: int) -> None:
                self.log.append(({key: value}, step))

            def close(self) -> None:
                self.log.append("closed")

        run = SimpleNamespace(
            log=lambda values, step, log=log: log.append((values, step)), finish=lambda log=log: log.append("closed")
        )
        library.SummaryWriter = Writer
        library.init = lambda name, config, log=log, run=run: log.append((name, config)) or run
        library.start_run = lambda run_name, log=log: log.append(run_name)
        library.log_metrics, library.end_run = run.log, run.finish
        monkeypatch.setitem(sys.modules, module, library)
    return found


@pytest.fixture
def job() -> Iterator[None]:
    paths = {"backbone": Path("results/demo/backbones/mini/manifest.json")}
    with provenance.doing(provenance.Job("workflow_scripts.train.train_ranker", {"name": "be/a"}, paths, {})):
        yield


def train() -> None:
    progress = Progress(20, "documents")
    progress.add(10, "step 10, loss 0.5000")
    progress.add(5)
    progress.add(5, "step 20, loss 2e-05")


def test_each_gets_the_curve_where_its_variable_is_set(
    logged: dict[str, list], job: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    train()
    assert logged == {"tensorboard": [], "wandb": [], "mlflow": []}
    for variable in MODULES:
        monkeypatch.setenv(variable, "elsewhere")
    train()
    assert logged == {
        "tensorboard": ["elsewhere/demo/be/a", *CURVE, "closed"],
        "wandb": [("demo/be/a", {"name": "be/a"}), *CURVE, "closed"],
        "mlflow": ["demo/be/a", *CURVE, "closed"],
    }


def test_a_missing_library_is_named_and_a_failing_one_left_out(
    logged: dict[str, list], job: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def fail(**_: object) -> None:
        raise OSError("no network")

    monkeypatch.setenv("WANDB_PROJECT", "mine")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:runs")
    sys.modules["wandb"].init = fail
    train()
    assert logged["mlflow"] == ["demo/be/a", *CURVE, "closed"]
    assert "a tracker failed, and is left out: no network" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match="WANDB_PROJECT is set, and wandb is not installed: install it"):
        train()
