"""A folder that one process writes: locked by the kernel or, where a file system has no locks, by a file there.

A killed Snakemake leaves its jobs running, and the same job, started again, must not write beside the orphan: it waits,
then finds the artifact made. A lock file says who holds it (host, boot, process, start); one of a process that is gone,
or of another host that has not touched it for :data:`SILENCE_S`, is taken over, by one process alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from workflow_scripts.storage.errors import InputError

LOCK, STARTED = ".lock", ".started"
POLL_S, BEAT_S, SILENCE_S = 1.0, 20.0, 600.0
_held: set[Path] = set()
"""Folders that the running job has locked for whoever writes in them."""


@contextlib.contextmanager
def job_lock(folder: Path, terminal: int | None = None) -> Iterator[None]:
    """Hold a folder for this job and the writers in it; where another process has it, say so once and wait for it.

    ``terminal``: a descriptor that the line goes to beside stderr, which may be a log.
    """
    with _locked(folder, wait=True, terminal=terminal):
        _held.add(folder)
        try:
            yield
        finally:
            _held.discard(folder)


@contextlib.contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold a folder, the job's or free; :class:`InputError` where another writer has it."""
    if folder in _held:
        _held.remove(folder)
        try:
            yield
        finally:
            _held.add(folder)
    else:
        with _locked(folder, wait=False):
            yield


@contextlib.contextmanager
def _locked(folder: Path, wait: bool, terminal: int | None = None) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(folder, _starter(folder), wait, terminal)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            with _lock_file(folder, wait, terminal):
                yield
            return
        yield
    finally:
        os.close(descriptor)


def _starter(folder: Path) -> str:
    """The process that :func:`note_started` has noted, in brackets."""
    with contextlib.suppress(OSError):
        return f" ({(folder / STARTED).read_text(encoding='utf-8')})"
    return ""


def note_started(folder: Path) -> None:
    """Mark work that has begun and not ended well, with the process that does it."""
    (folder / STARTED).write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")


def _say(folder: Path, who: str, wait: bool, terminal: int | None) -> None:
    if not wait:
        raise InputError(f"another process{who} is writing {folder}: wait for it or end it, then run this again")
    line = f"another process{who} is writing {folder}: waiting for it"
    print(line, file=sys.stderr, flush=True)
    if terminal is not None:
        os.write(terminal, f"{line}\n".encode())


@contextlib.contextmanager
def _lock_file(folder: Path, wait: bool, terminal: int | None) -> Iterator[None]:
    path, own, said = folder / LOCK, {**_this_process(), "token": secrets.token_hex(8)}, False
    while not (_create(path, own) or _take_over(path, own)):
        if not said:
            holder = _read(path)
            _say(folder, f" (process {holder['pid']} on {holder['host']})" if holder else "", wait, terminal)
            said = True
        time.sleep(POLL_S)
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_S):
            with contextlib.suppress(OSError):
                os.utime(path)

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        if _read(path) == own:
            path.unlink()


def _create(path: Path, own: dict) -> bool:
    """Make the lock file, whole or not at all; False where there is one."""
    temporary = path.with_name(f"{LOCK}.{own['token']}.new")
    temporary.write_text(json.dumps(own), encoding="utf-8")
    try:
        try:
            os.link(temporary, path)  # fails where the name is taken; whoever reads it finds it whole
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            with open(path, "x", encoding="utf-8") as file:
                file.write(json.dumps(own))
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True


def _take_over(path: Path, own: dict) -> bool:
    """Take the place of a holder that is gone; one process alone has the right to, a file with the holder's token."""
    holder = _read(path)
    if holder is None or not _is_gone(holder, path):
        return False
    right = path.with_name(f"{LOCK}.{holder['token']}")
    if not _create(right, own):
        claimant = _read(right)
        if claimant and _is_gone(claimant, right):
            right.unlink(missing_ok=True)
        return False
    try:
        # Another may have taken over, and given the right back, since the holder was judged.
        if _read(path) != holder:
            return False
        temporary = path.with_name(f"{LOCK}.{own['token']}.new")
        temporary.write_text(json.dumps(own), encoding="utf-8")
        os.replace(temporary, path)
        return True
    finally:
        right.unlink(missing_ok=True)


def _is_gone(holder: dict, path: Path) -> bool:
    this = _this_process(holder["pid"])
    if holder["host"] == this["host"]:
        return (holder["boot"], holder["start"]) != (this["boot"], this["start"])
    probe = path.with_name(f"{LOCK}.{secrets.token_hex(8)}.new")
    try:
        probe.touch()  # the file server's clock: this host's may be wrong
        return probe.stat().st_mtime - path.stat().st_mtime > SILENCE_S
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)


def _read(path: Path) -> dict | None:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        return holder if {"host", "boot", "pid", "start", "token"} <= set(holder) else None
    except (OSError, ValueError, TypeError):
        return None


def _this_process(pid: int | None = None) -> dict:
    """Host, its boot, and a process with the time of its start; the time is None where there is no such process."""
    pid = pid or os.getpid()
    boot, start = None, None
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    try:
        # Fields 3 and 22 of proc(5); the name before them may hold blanks and brackets.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        start = fields[19] if fields[0] not in "ZX" else None
    except OSError:
        if boot is None:  # no /proc: a process that is there
            with contextlib.suppress(OSError):
                os.kill(pid, 0)
                start = "running"
    return {"host": socket.gethostname(), "boot": boot, "pid": pid, "start": start}
