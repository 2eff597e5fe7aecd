"""Shared fixtures: a tiny experiment, built once with real Lucene and real training."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from project import Project

from workflow_scripts.storage import processor

# One thread a process: tests share few cores with Snakemake's jobs.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# As experiment.archives.ir_datasets has it, whichever test imports the library first.
os.environ.setdefault("IR_DATASETS_SMALL_FILE_SIZE", "0")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny experiment, built from raw data. Tests that change anything duplicate it first."""
    project = Project.fresh(tmp_path_factory.mktemp("tiny"))
    project.build()
    return project


@pytest.fixture(autouse=True)
def without_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """``auto`` is fp32 in the tests' own process on any processor; those of bf16 ask for it."""
    monkeypatch.setattr(processor, "multiplies_bf16", lambda: False)
