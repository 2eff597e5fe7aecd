"""All of config/paper.yaml on stand-ins for its downloads, twice: ``python -m tests.standin [FOLDER]``.

Every job of the study runs, on tiny models and archives; the second run has nothing to do. FOLDER (a temporary one
without it) keeps the copy of the project, and a run that was broken off goes on there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.standin import world


def main(folder: Path) -> int:
    """Make the stand-ins in ``folder`` where they are not there, and run; the exit status."""
    project = world.opened(folder)
    if not (project.folder / world.OVERLAY).exists():
        world.make(folder)
    started = time.monotonic()
    with world.environment(folder):
        command = [project.python, "-m", "snakemake", "--configfile", "config/paper.yaml", world.OVERLAY]
        command += ["--cores", str(os.cpu_count()), "--keep-going", "--logger", "distillery"]
        status = subprocess.run(command, cwd=project.folder).returncode
        if status == 0 and (again := project.planned(config=f"config/paper.yaml {world.OVERLAY}")):
            print(f"not finished: a second run would do {again}", file=sys.stderr)
            status = 1
    print(f"{'done' if status == 0 else 'FAILED'} after {(time.monotonic() - started) / 60:.1f} minutes: {folder}")
    return status


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(Path(sys.argv[1]).resolve()))
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(main(Path(scratch)))
