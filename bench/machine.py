"""What a measurement was made on and with: the processor, the commit, the date."""

from __future__ import annotations

import datetime
import platform
import subprocess
from pathlib import Path

from workflow_scripts.storage.processor import BF16, cpuinfo, has, model

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
    if not Path("/proc/cpuinfo").exists():
        return platform.processor() or platform.machine()
    # A virtual machine hides the model's number; family and model tell it all the same.
    family, number = (" ".join(cpuinfo(field)) or "?" for field in ("cpu family", "model"))
    return f"{model()} (family {family}, model {number}), {' and '.join(filter(has, BF16)) or 'no bf16 unit'}"
