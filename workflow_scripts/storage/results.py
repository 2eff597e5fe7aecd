"""Where an experiment's results lie, by its name or by a path."""

from __future__ import annotations

from pathlib import Path

from workflow_scripts.storage.errors import InputError

LIST = "archive.json"
"""What an archive holds and leaves out: its first member, and beside the results that were restored from it."""
TREES = "DISTILLERY_REUSE"
"""Variable of the environment: a JSON list of the results that jobs may take artifacts from."""


def results_folder(given: str | Path) -> Path:
    """The results of an experiment: ``NAME`` is results/NAME, anything with a slash (``../other/results/NAME``) a path.

    A folder with a project's ``results`` of one experiment stands for these. Raises :class:`InputError` where there are
    no results.
    """
    path = Path(given)
    folder = Path("results", path) if "/" not in str(given) and path.name else path
    inner = sorted(each for each in (folder / "results").glob("*") if each.is_dir())
    if len(inner) > 1:
        raise InputError(f"{given} has the results of {', '.join(each.name for each in inner)}: name one, {inner[0]}")
    folder = inner[0] if inner else folder
    if not folder.is_dir():
        raise InputError(f"there are no results in {folder}: name an experiment of results/, or a path to its results")
    return folder
