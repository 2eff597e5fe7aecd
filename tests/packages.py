"""Programs of Debian's packages that some tests need."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def program(name: str, *packages: str) -> str:
    """Path of a program; a CI machine (``CI`` in the environment) installs its packages, where it may and can.

    The test is skipped, with the reason, where there is none.
    """
    if (found := shutil.which(name)) is None and os.environ.get("CI") and os.geteuid() == 0:
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
        for command in (["apt-get", "update", "-qq"], install):
            subprocess.run(command, check=False, env=quiet)
        found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name} (Debian: {', '.join(packages)})")
    return found
