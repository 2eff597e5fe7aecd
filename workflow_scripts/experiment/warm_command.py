"""A job's command, handed to the warm process (:mod:`~workflow_scripts.experiment.warm_start`), whose fork becomes it.

This file runs as a script in the place of every local job: it loads few modules, of the standard library alone.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys

KILLED = 137


def ask(path: str, python: str, arguments: list[str]) -> int:
    """Let the warm process run a command; its exit status. Where it cannot, this process becomes an interpreter."""
    try:
        if arguments[:1] != ["-m"]:
            raise ValueError(arguments)
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        os.umask(umask := os.umask(0))
        about = {"arguments": arguments, "folder": os.getcwd(), "umask": umask, "environment": dict(os.environ)}
        request = json.dumps(about).encode()
        # Eight bytes for the size, as warm_start.SIZE reads them.
        socket.send_fds(connection, [len(request).to_bytes(8, "big")], [0, 1, 2])
        connection.sendall(request)
        answer = connection.makefile("r")
        job = int(answer.readline())
    except (OSError, ValueError):
        os.execv(python, [python, *arguments])
    # Ctrl-C reaches the job itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(job, signal.SIGTERM))
    return int(answer.readline() or KILLED)


if __name__ == "__main__":
    sys.exit(ask(sys.argv[1], sys.argv[2], sys.argv[3:]))
