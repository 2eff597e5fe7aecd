"""Remove a cell, so that the next build makes it again: ``make clean CELL=ce.kl.bm25.base.seed0 EXPERIMENT=demo``.

``python -m workflow_scripts.daily.clean_cell CELL --configfile FILES`` removes its student, runs, metrics and values,
asks nothing and says what it removed: nothing while a job writes one of them. What several cells share (groups,
scores, tables) stays.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import shutil
from pathlib import Path

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.experiment.places import Places
from workflow_scripts.storage.checked import files_named
from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.locks import STARTED, writer_lock
from workflow_scripts.storage.provenance import MANIFEST


def parts(experiment: Experiment, cell: str) -> list[Path]:
    """Folders and files of a cell alone that are there; :class:`InputError` for what is none."""
    places, ranker = Places(experiment), experiment.ranker(cell)
    made = [f"{kind}/{path}" for kind in ("runs", "metrics") for path in (ranker.path, f"retrieved/{ranker.path}")]
    folders = [Path(places.results, folder) for folder in (f"students/{ranker.path}", *made)]
    files = map(Path, places.cells(ranker.cell, experiment.config["domains"]))
    return [path for path in (*folders, *files) if path.exists()]


def main() -> None:
    """Remove the parts of a cell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cell", help="such as ce.kl.bm25.base.seed0")
    parser.add_argument("--configfile", required=True, nargs="+", help="its experiment, and overlays of it")
    options = parser.parse_args()
    found = parts(Experiment(read_config(*options.configfile)), options.cell)
    names = itertools.product((MANIFEST, STARTED), found)
    with contextlib.ExitStack() as locks:
        for folder in {path.parent for each in names for path in files_named(*each)}:
            locks.enter_context(writer_lock(folder))
        for path in found:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            print(f"removed {path}")
    if not found:
        print(f"nothing of {options.cell} is there")


if __name__ == "__main__":
    end_in_one_line(main)
