"""A warm start of local jobs: one process has loaded the libraries, and each job is a fork of it.

Loading torch takes longer than a small job. While Snakemake runs jobs on its own host, a ``python`` that stands first
on PATH hands each command, ``python -m workflow_scripts.STAGE.RULE ...`` as ever, to the warm process. Its fork takes
over the command's files, folder, environment and arguments, imports the project's own modules anew, and says how it
ended. Where that is not possible (the libraries are still loading, they were loaded with other settings, the warm
process was killed) the command starts an interpreter of its own. Nothing of a job is computed before the fork, so its
bytes are the same either way.

This file runs as a script in the warm process (``serve``), :mod:`~workflow_scripts.experiment.warm_command` in the
command's place, with the standard library alone until the libraries are loaded.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import itertools
import json
import os
import runpy
import select
import shlex
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

PACKAGE = "workflow_scripts"
LIBRARIES = ("numpy", "pandas", "pyarrow.compute", "pyarrow.parquet", "torch", "safetensors.torch", "ir_measures")
"""What most jobs load; of the project itself nothing, so that a job runs the code that is there when it starts."""
SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Variables of the environment that the libraries read when they are loaded."""
ARITHMETIC = "--arithmetic"
FEWEST_JOBS = 12
"""Below these, loading costs more than it saves."""
LONGEST_PATH = 70
"""A socket's path has at most 107 bytes."""
SIZE = struct.Struct("!Q")
COMMAND = Path(__file__).with_name("warm_command.py")
_started: list[subprocess.Popen] = []


def start(jobs: int, arithmetic: str | None = None) -> None:
    """Start the warm process for so many local jobs, and put its ``python`` first on PATH; for few jobs do nothing.

    It ends with this process. ``arithmetic``: what the jobs' command lines ask for.
    """
    if jobs < FEWEST_JOBS or len(os.fsencode(tempfile.gettempdir())) > LONGEST_PATH:
        return
    folder = Path(tempfile.mkdtemp(prefix="distillery-"))  # this user's alone
    python = folder / "python"
    ask = [sys.executable, "-ESP", str(COMMAND), str(folder / "socket"), sys.executable]
    python.write_text(f'#!/bin/sh\nexec {shlex.join(ask)} "$@"\n', encoding="utf-8")
    python.chmod(0o700)
    command = [sys.executable, __file__, "serve", str(folder / "socket")]
    command += [ARITHMETIC, arithmetic] if arithmetic else []
    # What it reads from this process is its end, so the pipe stays open until then.
    _started.append(subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | dict.fromkeys(SETTINGS, "1")))
    os.environ["PATH"] = os.pathsep.join([str(folder), os.environ["PATH"]])


def serve(path: str) -> None:
    """Load the libraries, then fork for each command that connects to the socket ``path``, until stdin ends."""
    # Ctrl-C is for the jobs, and for whoever started this process, whose end ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    own = os.getpid()
    try:
        importlib.import_module(PACKAGE)  # settles the arithmetic, before a library is loaded
        for name in LIBRARIES:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        gc.collect()
        gc.freeze()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended forks are not waited for
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(64)
        while sys.stdin not in (ready := select.select([listener, sys.stdin], [], [])[0]):
            for _ in ready:
                connection = listener.accept()[0]
                if os.fork() == 0:
                    listener.close()
                    run_as_asked(connection)
                connection.close()
    finally:
        if os.getpid() == own:  # a fork leaves the loop to end too
            for each in (Path(path), Path(path).with_name("python")):
                each.unlink(missing_ok=True)
            Path(path).parent.rmdir()


def run_as_asked(connection: socket.socket) -> None:
    """Become the job that the other side describes, and end with it; where it needs other settings, end at once."""
    size, files, *_ = socket.recv_fds(connection, SIZE.size, 3)
    request = json.loads(_received(connection, *SIZE.unpack(size)))
    arguments, environment = request["arguments"], request["environment"]
    if _settings(arguments, environment) != _settings(sys.argv, os.environ):
        os._exit(0)
    for place, descriptor in enumerate(files):
        os.dup2(descriptor, place)
        os.close(descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for each in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)
    os.chdir(request["folder"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments[1:]
    for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
        del sys.modules[name]
    status = 1

    def end() -> None:
        # Called last: what libraries have registered before was for the warm process.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        connection.sendall(f"{status}\n".encode())
        os._exit(status)

    atexit.register(end)
    connection.sendall(f"{os.getpid()}\n".encode())
    try:
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as asked:
        status = asked.code if isinstance(asked.code, int) else int(asked.code is not None)
    except BaseException:
        traceback.print_exc()
    sys.exit(status)


def _received(connection: socket.socket, size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        part = connection.recv(size - len(content))
        if not part:
            os._exit(0)  # whoever asked has ended
        content += part
    return bytes(content)


def _settings(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple:
    """What a process's libraries were, or are to be, loaded with."""
    after = dict(itertools.pairwise(arguments))
    return after.get(ARITHMETIC), *(environment.get(name) for name in SETTINGS)


if __name__ == "__main__":
    serve(sys.argv[2])
