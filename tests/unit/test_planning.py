"""The experiment and the closure of a script's code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from workflow_scripts.planning.code import ROOT, closure
from workflow_scripts.planning.experiment import Experiment

CONFIGS = sorted((ROOT / "config").glob("*.yaml"))


def names(*modules: str) -> set[str]:
    return {str(path.relative_to("workflow_scripts")) for path in closure(modules)}


def test_code_is_what_a_script_really_imports() -> None:
    """Second implementation: what Python has loaded after importing the script."""
    for script in ("collect_metrics", "mine_negatives", "train_student"):
        probe = (
            f"import sys, workflow_scripts.{script}\n"
            "print(*sorted(m.__file__ for n, m in sys.modules.items() if n.startswith('workflow_scripts')))"
        )
        done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
        loaded = {str(Path(path).relative_to(ROOT / "workflow_scripts")) for path in done.stdout.split()}
        # The closure also sees imports inside functions.
        assert loaded <= names(f"workflow_scripts.{script}")


def test_code_names_the_chosen_loss_only() -> None:
    base = names("workflow_scripts.train_student")
    with_kl = names("workflow_scripts.train_student", "workflow_scripts.ranking.losses.kl")
    assert with_kl - base == {"ranking/losses/kl.py"}
    assert not any(path.startswith("ranking/losses/") and path != "ranking/losses/__init__.py" for path in base)


def test_gpu_stages_import_no_java_and_tables_no_torch() -> None:
    for script in ("train_student", "train_teacher", "score_pool", "label_groups", "rerank_candidates"):
        assert not any("java" in path or "indexing" in path for path in names(f"workflow_scripts.{script}"))
    for script in ("mine_negatives", "measure_runs", "write_cell", "collect_metrics", "make_main_table"):
        for path in closure([f"workflow_scripts.{script}"]):
            assert "import torch" not in (ROOT / path).read_text(), f"{script} reaches torch through {path}"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_experiment_is_valid(path: Path) -> None:
    if path.stem != "schema":
        experiment = Experiment(yaml.safe_load(path.read_text()))
        assert len(experiment.rankers) == 32
        teacher = next(iter(experiment.config["teachers"]))
        assert experiment.ranker(f"ce.kl.random.{teacher}.seed0") in experiment.rankers.values()


def test_defaults_come_from_the_schema() -> None:
    config = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    filled = Experiment(config).config
    assert filled["evaluation"]["bootstrap"] == {"samples": 1000, "seed": 0, "confidence": 0.95}
    assert filled["training"]["warmup"] == 0.1 and filled["samplers"]["random"]["reads_teacher"] is False
    # The caller's own mapping is left as it was.
    assert "bootstrap" not in config["evaluation"]
