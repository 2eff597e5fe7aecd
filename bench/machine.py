"""What a measurement was made on and with: the processor, the commit, the date."""

from __future__ import annotations

import datetime
import platform
import subprocess
from pathlib import Path

from workflow_scripts.storage.processor import BF16, has

ROOT = Path(__file__).parents[1]


def today() -> str:
    """The date, as a table has it."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def commit() -> str:
    """The code's commit in short, with ``-dirty`` where the working tree differs; "unknown" outside a checkout."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def processor() -> str:
    """The processor's name and, where told, which of its instructions multiply bf16 matrices."""
    fields = _cpuinfo()
    if not fields:
        return platform.processor() or platform.machine()
    name, units = fields.get("model name", platform.machine()), filter(has, BF16)
    # A virtual machine hides the model's number; family and model tell it all the same.
    number = f" (family {fields.get('cpu family', '?')}, model {fields.get('model', '?')})"
    return f"{name}{number}, {' and '.join(units) or 'no bf16 unit'}"


def _cpuinfo() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    fields = (line.split(":", 1) for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, value in fields}
