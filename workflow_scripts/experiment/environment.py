"""The environment that Snakemake's jobs run in."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def prepare_environment(root: Path) -> None:
    """Let jobs run ``python -m workflow_scripts.<rule>`` with this Python, from any working directory.

    ``.venv/bin/snakemake`` is called without activating the environment, so its folder goes first on PATH.
    """
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    os.environ["PYTHONPATH"] = str(root)
    # Jobs fill the cores; the tokenizers' own threads would fight them, where a script does not ask for its share.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
