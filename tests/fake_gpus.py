"""A host with two GPUs, for tests of which card a job takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workflow_scripts.storage import gpus


def two_gpus(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for nvidia-smi, first on PATH; its path. The cards' locks lie in ``folder``."""
    fake = folder / "bin" / "nvidia-smi"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\nfor g in a b; do echo "GPU 0: NVIDIA H200 (UUID: GPU-$g)"; done\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    return fake
