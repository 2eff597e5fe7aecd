"""The command that makes an experiment, as a reader types it in the project's folder once ``make venv`` has run."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

PYTHON = ".venv/bin/python"
"""Nobody need activate the environment, and ``snakemake`` alone is on no PATH."""


def snakemake_command(
    configfiles: Iterable[str | Path], *words: str, config: Mapping[str, object] | None = None, python: str = PYTHON
) -> str:
    """Snakemake with the experiment's files, what ``--config`` gave over them (``config``), then ``words``."""
    changes = [f"{key}={_flow(value)}" for key, value in (config or {}).items()]
    given = ["--config", *changes] if changes else []
    return shlex.join([python, "-m", "snakemake", "--configfile", *map(str, configfiles), *given, *words])


def _flow(value: object) -> str:
    """A value as ``--config`` reads it, in YAML's short form."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_flow(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    text = "" if value is None else str(value)
    return text if re.fullmatch(r"[\w.+/-]*", text) else json.dumps(text, ensure_ascii=False)
