"""One of this host's GPUs for this process, chosen before CUDA is initialised: then it is the only one that it sees.

Snakemake counts GPUs and knows none by name. Jobs that run side by side therefore hold locks: of a whole card an
exclusive one, of a shared card a shared one and one of its places. The kernel frees them when the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from workflow_scripts.storage.errors import InputError

DEVICE, GPU_SHARE = "DISTILLERY_DEVICE", "DISTILLERY_GPU_SHARE"
"""Variables of the environment that hold a job's options ``--device`` and ``--gpu-share``."""
POLL_S = 1.0
VISIBLE = "CUDA_VISIBLE_DEVICES"
_held: list[int] = []
"""Descriptors of the locks that this process holds until it ends."""


def take_gpu(share: int = 1) -> None:
    """Make a free GPU the only visible one, waiting where all are taken; nothing to do where there is no choice.

    ``share``: how many jobs like this one may run on one GPU; they spread over the cards before they share one.
    """
    names = visible_gpus()
    if len(names) < 2 or _held:
        return
    folder = _lock_folder()
    waiting = False
    while True:
        for place in range(share):
            for name in names:
                if _take(folder / name, place if share > 1 else None):
                    os.environ[VISIBLE] = name
                    print(f"GPU {name}, one of {len(names)}, is taken", file=sys.stderr, flush=True)
                    return
        if not waiting:
            print(f"waiting for one of {len(names)} GPUs", file=sys.stderr, flush=True)
            waiting = True
        time.sleep(POLL_S)


def chosen() -> bool:
    """Whether this process has made one of several GPUs the only one that it sees."""
    return bool(_held)


def visible_gpus() -> list[str]:
    """Names of the GPUs that this process may use, for ``CUDA_VISIBLE_DEVICES``; of a card in parts, the parts."""
    if VISIBLE in os.environ:
        names = [name.strip() for name in os.environ[VISIBLE].split(",")]
        return [name for name in names if name and name != "-1"]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, encoding="utf-8", errors="replace", timeout=60
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    names = re.findall(r"UUID: ((?:GPU|MIG)-[\w/-]+)", listed)
    parts = [name for name in names if name.startswith("MIG-")]
    return parts or names


def _lock_folder() -> Path:
    """Where the locks of this user's jobs lie, open to nobody else: others may write beside it, and know its name."""
    folder = Path(tempfile.gettempdir()) / f"distillery-gpus-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        what = "is a link" if stat.S_ISLNK(found.st_mode) else "is another user's, or no folder"
        raise InputError(f"{folder}, where GPUs are locked, {what}: remove it, or set TMPDIR to a folder of your own")
    folder.chmod(0o700)
    return folder


def _take(path: Path, place: int | None) -> bool:
    """Lock a card, whole or one place of it; False where that is taken."""
    card = _lock(path.with_name(path.name.replace("/", "-")), fcntl.LOCK_EX if place is None else fcntl.LOCK_SH)
    if card is None:
        return False
    if place is not None:
        place_lock = _lock(path.with_name(f"{path.name.replace('/', '-')}.{place}"), fcntl.LOCK_EX)
        if place_lock is None:
            os.close(card)
            return False
        _held.append(place_lock)
    _held.append(card)
    return True


def _lock(path: Path, how: int) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
