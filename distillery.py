"""An experiment's results as pandas frames, from the project's folder: ``distillery.load("results/demo").metrics``."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.checked import files_named, output_fault
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.groups import GROUPS_FILE, LABELS_FILE
from workflow_scripts.storage.provenance import MANIFEST, how_to_remake
from workflow_scripts.storage.runs import run_on
from workflow_scripts.storage.tables import read_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Results", "load"]


def load(folder: str | Path) -> Results:
    """The results in a folder such as ``results/demo``; raises :class:`InputError` where it holds none."""
    results = Results(Path(folder))
    if not any((results.folder / part).exists() for part in ("analysis", "metrics", "runs", "groups")):
        raise InputError(f"{folder} holds no results: name an experiment's folder, such as results/demo")
    return results


@dataclass(frozen=True)
class Results:
    """What was made so far. A file is compared with its checksum when it is read; one that differs, or is missing, is
    an InputError.

    A ranker is named as its folder below ``runs``: ``be/kl.bm25.base/seed0``, ``teacher/base``, ``bm25``, or
    ``retrieved/`` and a student.
    """

    folder: Path

    @functools.cached_property
    def metrics(self) -> pd.DataFrame:
        """student, loss, sampler, teacher, seed, collection, query_id, measure, value: a row a query and measure."""
        path = self.folder / "metrics.parquet"
        if not path.is_file():
            raise InputError(f"{path} is missing: make the experiment first")
        return _read_noted(path)

    @property
    def rankers(self) -> list[str]:
        """Every ranker that has runs."""
        runs = self.folder / "runs"
        return sorted({path.parents[1].relative_to(runs).as_posix() for path in files_named(MANIFEST, runs)})

    def run(self, ranker: str, collection: str) -> pd.DataFrame:
        """A ranker's run on a collection: query_id, doc_id, rank, score."""
        if ranker not in self.rankers:
            raise InputError(f"{self.folder} has no runs of {ranker!r}: it has {', '.join(self.rankers) or 'none yet'}")
        return run_on(collection, sorted(self.folder.glob(f"runs/{ranker}/*/{MANIFEST}")))

    @property
    def groups_ids(self) -> list[str]:
        """Every set of training groups: ``{sampler}`` or ``{sampler}.{teacher}``, then ``/seed{n}``."""
        return sorted(
            path.parent.relative_to(self.folder / "groups").as_posix()
            for path in self.folder.glob(f"groups/*/*/{MANIFEST}")
        )

    def groups(self, groups_id: str, teacher: str | None = None) -> pd.DataFrame:
        """Training groups: query_id, position (0 is the positive), doc_id, source, rank, score, probability.

        ``score`` is the ranking system's. A ``teacher`` adds ``teacher_score`` and each group's ``entropy`` in bits.
        """
        frame = read_table(Artifact(self.folder / "groups" / groups_id / MANIFEST).file(GROUPS_FILE))
        if teacher is None:
            return frame
        labels = read_table(Artifact(self.folder / "labels" / teacher / groups_id / MANIFEST).file(LABELS_FILE))
        keys = ["query_id", "position", "doc_id"]
        return frame.merge(labels.rename(columns={"score": "teacher_score"}), on=keys, validate="one_to_one")

    @property
    def tables(self) -> list[str]:
        """Every table and figure whose numbers are there."""
        return sorted(path.stem for path in self.folder.glob("analysis/*.parquet"))

    def table(self, name: str) -> pd.DataFrame:
        """A table's numbers in full precision; docs/tables.md says what its columns mean."""
        if name not in self.tables:
            raise InputError(f"{self.folder} has no table {name!r}: it has {', '.join(self.tables) or 'none yet'}")
        return _read_noted(self.folder / "analysis" / f"{name}.parquet")


def _read_noted(path: Path) -> pd.DataFrame:
    """A table without a manifest, if it is as its job noted it."""
    if fault := output_fault(path):
        raise InputError(f"{path} {fault}; {how_to_remake(path)}")
    return read_table(path)
