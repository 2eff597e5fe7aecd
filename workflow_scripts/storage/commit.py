"""The git commit of the code that runs."""

from __future__ import annotations

import subprocess

from workflow_scripts.storage.code import ROOT


def git_commit() -> str | None:
    """The code's git commit, with ``-dirty`` where the code differs from it; None where the project is no checkout.

    A file that git does not know counts where it may run: in the folders of the code and of the rules.
    """
    try:
        commit = _git("describe", "--always", "--abbrev=40", "--dirty", "--exclude=*")
        unknown = _git("ls-files", "--others", "--exclude-standard", "--", "workflow_scripts", "rules")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit.removesuffix('-dirty')}-dirty" if unknown else commit


def _git(*arguments: str) -> str:
    # Git would take a repository that the project only lies in.
    command = ["git", "--git-dir", str(ROOT / ".git"), "--work-tree", str(ROOT), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", errors="replace", check=True)
    return done.stdout.strip()
