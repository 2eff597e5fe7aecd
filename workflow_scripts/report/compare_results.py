"""Compare an experiment's results with those that someone else made: ``make compare-results A=demo B=../results/demo``.

``python -m workflow_scripts.report.compare_results A B`` says by stage which artifacts have the same bytes, where the
first differences arose and what was otherwise there, and of every cell whether it is the same bytes, within the band in
which one more training lies (from the variance table: by controls or seeds), or beyond it. It reads manifests, whose
checksums ``make verify`` holds the files to. Exit status 1 where a cell of A is beyond its band or B lacks it; with
``--exact`` where anything of A but an index and the tables of costs has other bytes or is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import re
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.bands import retraining_band_of_table
from workflow_scripts.archive.container import unpack
from workflow_scripts.report.lineage import STAGES, inputs
from workflow_scripts.storage.checked import files_named
from workflow_scripts.storage.circumstances import circumstances
from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.ids import NO_TEACHER
from workflow_scripts.storage.provenance import MANIFEST, part_checksum, place
from workflow_scripts.storage.results import results_folder
from workflow_scripts.storage.tables import read_numbers

SAME, OTHER, ONLY_A, ONLY_B = "same bytes", "other bytes", "only in A", "only in B"
WITHIN, BEYOND, NO_BAND = "within the band", "beyond the band", "no band is known"
VARY = {"indexes"}
"""Kinds whose bytes are others each time: Lucene draws an id for each segment."""
CLOCKED = {"cost", "advice", "configuration"}
"""Tables that hold times and commits."""
SHOWN = 10


@dataclass(frozen=True)
class Cell:
    """A cell ``student.loss.sampler.teacher.seedN.domain``; of the main measure, values and band or NaN."""

    name: str
    verdict: str
    a: float = np.nan
    b: float = np.nan
    band: float = np.nan

    @property
    def metrics(self) -> str:
        """Folder of its metrics, below which each evaluation set has a place."""
        student, loss, sampler, teacher, seed, _ = self.name.split(".")
        return f"metrics/{student}/{loss}.{sampler}.{teacher}/{seed}"


class Comparison:
    """Two results folders and what the manifests in them say, by an artifact's place below its folder."""

    def __init__(self, a: Path, b: Path) -> None:
        self.folders = (a, b)
        self.a, self.b = _manifests(a), _manifests(b)
        self.artifacts = {at: self._compared(at) for at in sorted(self.a | self.b)}
        """Place to SAME, OTHER, ONLY_A or ONLY_B."""
        self._first: dict[str, frozenset[str]] = {}
        self._measured: dict[str, list[str]] = {}
        for at in self.artifacts:
            self._measured.setdefault(at.rpartition("/")[0], []).append(at)

    def _compared(self, at: str) -> str:
        if at not in self.a or at not in self.b:
            return ONLY_A if at in self.a else ONLY_B
        a, b = (part_checksum(each[at], "folder") for each in (self.a, self.b))
        return SAME if a == b else OTHER

    def first_differences(self, at: str) -> frozenset[str]:
        """Places where an artifact's difference arose: those behind it that differ and were made from what does not."""
        if self.artifacts.get(at, SAME) == SAME:
            return frozenset()
        if at not in self._first:
            behind = map(self.first_differences, _parents(self.a.get(at) or self.b[at]))
            self._first[at] = frozenset().union(*behind) or frozenset([at])
        return self._first[at]

    def behind(self, cell: Cell) -> frozenset[str]:
        """:meth:`first_differences` of a cell's metrics."""
        return frozenset().union(*map(self.first_differences, self._measured.get(cell.metrics, ())))

    def why(self, at: str) -> str:
        """What was otherwise when a differing artifact was made from the same, as its manifests say."""
        if self.artifacts[at] != OTHER:
            return self.artifacts[at]
        a, b = self.a[at], self.b[at]
        found = [f"spec {_differing(a['spec'], b['spec'])}"] if a["spec"] != b["spec"] else []
        sources = [_sources(a), _sources(b)]
        files = sorted({name for name, _ in sources[0].items() ^ sources[1].items()})
        found += [f"file {name}" for name in files]
        made_by = [circumstances(each) for each in (a, b)]
        found += [_differing(*made_by)] if made_by[0] != made_by[1] else []
        return "; ".join(found) or "nothing that the manifests record"

    def cells(self) -> Iterator[Cell]:
        """Every cell of either folder, by name."""
        a, b = ({path.stem: path for path in (each / "cells").glob("*.csv")} for each in self.folders)
        for name in sorted(a | b):
            if name not in a or name not in b:
                yield Cell(name, ONLY_A if name in a else ONLY_B)
            elif a[name].read_bytes() == b[name].read_bytes():
                yield Cell(name, SAME)
            else:
                yield self._judged(name, a[name], b[name])

    def _judged(self, name: str, a: Path, b: Path) -> Cell:
        rows, spec = self._variance
        student, loss, sampler, teacher, _, domain = name.split(".")
        tables = [pd.read_csv(path, index_col="measure")["value"] for path in (a, b)]
        measure = next(iter(spec.get("measures", tables[0].index)), None)
        values = [float(table.get(measure, np.nan)) for table in tables]
        of_student = rows[(rows["student"] == student) & (rows["domain"] == domain) & (rows["measure"] == measure)]
        own = of_student[(of_student["loss"] == loss) & (of_student["sampler"] == sampler)]
        # A student without a teacher stands at the places of all of them.
        own = own[own["teacher"] == teacher] if teacher != NO_TEACHER else own
        band = retraining_band_of_table(of_student, own, self.confidence)
        within = abs(values[0] - values[1]) <= band
        return Cell(name, NO_BAND if np.isnan(band) else WITHIN if within else BEYOND, *values, band)

    @functools.cached_property
    def _variance(self) -> tuple[pd.DataFrame, dict]:
        """Cells trained again, of A's variance table or else of B's, and their spec."""
        columns = ["student", "loss", "sampler", "teacher", "domain", "measure", "sd", "sd_noise", "degrees", "basis"]
        for folder in self.folders:
            if (path := folder / "analysis/variance.parquet").is_file():
                table, spec = read_numbers(path)
                return table[table["scope"] == "cell"], spec
        return pd.DataFrame(columns=columns), {}

    @property
    def confidence(self) -> float:
        """Of the bands."""
        return self._variance[1].get("confidence", 0.95)

    def tables(self) -> tuple[int, list[str]]:
        """How many of A's tables have the same bytes in B, and which have not; those that hold times are left out."""
        names = sorted(path.name for path in (self.folders[0] / "tables").glob("*.csv") if path.stem not in CLOCKED)
        a, b = ([_content(folder / "tables" / name) for name in names] for folder in self.folders)
        other = [name for name, one, another in zip(names, a, b, strict=True) if one != another]
        return len(names) - len(other), other


def _manifests(folder: Path) -> dict[str, dict]:
    found = {}
    for path in sorted(files_named(MANIFEST, folder)):
        try:
            found[str(path.parent.relative_to(folder))] = made = json.loads(path.read_text(encoding="utf-8"))
            part_checksum(made, "folder")
            circumstances(made)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(f"{path} is not an artifact's manifest: delete it and build the artifact again") from None
    if not found:
        raise InputError(f"{folder} holds no artifacts: name an experiment's results")
    return found


def _parents(made: Mapping) -> list[str]:
    """Places of the artifacts that an artifact was made from."""
    return [at for each in inputs(made) if "identity" in each and (at := place(Path(each["path"])))]


def _sources(made: Mapping) -> dict[str, str]:
    """Name of each source file that an artifact was made from, to its checksum."""
    return {Path(each["path"]).name: each["sha256"] for each in inputs(made) if "sha256" in each}


def _differing(a: Mapping, b: Mapping) -> str:
    """Keys whose values differ, with both."""
    keys = [key for key in sorted({*a, *b}) if a.get(key) != b.get(key)]
    return ", ".join(f"{key} {_short(a.get(key))} / {_short(b.get(key))}" for key in keys)


def _short(value: object) -> str:
    text = str(value)
    return text[:10] if re.fullmatch("[0-9a-f]{64}", text) else textwrap.shorten(text, 40)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def lines(found: Comparison, cells: Sequence[Cell]) -> Iterator[str]:
    """What a reader is told: stage by stage, where the cells' differences arose, the cells, the tables."""
    kinds = {at: (found.a.get(at) or found.b[at])["kind"] for at in found.artifacts}
    order = {kind: number for number, kind in enumerate(dict.fromkeys([*STAGES, *sorted(kinds.values())]))}
    verdicts = (SAME, OTHER, ONLY_A, ONLY_B)
    yield f"{'artifacts':18}" + "".join(f"{verdict:>13}" for verdict in verdicts)
    for kind in sorted(set(kinds.values()), key=order.__getitem__):
        counts = Counter(verdict for at, verdict in found.artifacts.items() if kinds[at] == kind)
        yield f"{kind:18}" + "".join(f"{counts[verdict]:>13,}" for verdict in verdicts)
    first = Counter(at for cell in cells if cell.verdict not in (SAME, ONLY_A, ONLY_B) for at in found.behind(cell))
    if first:
        yield "where the cells' differences arose, and what was otherwise there (A / B):"
        named = [
            f"  {at} ({count} cell{'s' * (count > 1)}): {found.why(at)}"
            for at, count in sorted(first.items(), key=lambda pair: (order[kinds[pair[0]]], pair[0]))
        ]
        yield from _at_most(named)
    counts = Counter(cell.verdict for cell in cells)
    yield f"{len(cells):,} cells: " + ", ".join(f"{count:,} {verdict}" for verdict, count in counts.most_common())
    if counts[WITHIN] + counts[BEYOND]:
        chance = 1 - found.confidence
        yield f"  one more training on the same groups and labels is beyond its band in {100 * chance:.0f}% of cases"
    apart = sorted(
        (cell for cell in cells if cell.verdict in (BEYOND, NO_BAND)), key=lambda cell: -abs(cell.a - cell.b)
    )
    yield from _at_most([f"  {cell.name}: {cell.a:.4f} / {cell.b:.4f}, {_band(cell)}" for cell in apart])
    same, other = found.tables()
    yield f"{same + len(other)} tables: {same} same bytes" + (f", not {', '.join(other)}" if other else "")


def _band(cell: Cell) -> str:
    return NO_BAND if np.isnan(cell.band) else f"band {cell.band:.4f}"


def _at_most(texts: Sequence[str]) -> list[str]:
    return [*texts[:SHOWN], *[f"  and {len(texts) - SHOWN} more"] * (len(texts) > SHOWN)]


def is_reproduced(found: Comparison, cells: Sequence[Cell], exact: bool) -> bool:
    """Whether B has all cells of A, within their bands or, if ``exact``, every byte that does not vary by itself."""
    if exact:
        lacking = [at for at, verdict in found.artifacts.items() if verdict in (OTHER, ONLY_A)]
        every_cell = all(cell.verdict in (SAME, ONLY_B) for cell in cells)
        return every_cell and not found.tables()[1] and all(found.a[at]["kind"] in VARY for at in lacking)
    return all(cell.verdict in (SAME, WITHIN, ONLY_B) for cell in cells)


@contextlib.contextmanager
def results_of(given: str) -> Iterator[Path]:
    """:func:`~workflow_scripts.storage.results.results_folder`, or an archive's results while they are read."""
    if not Path(given).is_file():
        yield results_folder(given)
        return
    with tempfile.TemporaryDirectory() as folder:
        about = unpack(Path(given), Path(folder, "unpacked"))
        yield Path(folder, "unpacked", "results", about["experiment"])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("a", help="results: an experiment's name, a path with a slash, or an archive")
    parser.add_argument("b", help="results that someone else made of the same experiment")
    parser.add_argument("--exact", action="store_true", help="ask for the same bytes")
    options = parser.parse_args()
    with results_of(options.a) as a, results_of(options.b) as b:
        found = Comparison(a, b)
        cells = list(found.cells())
        print("\n".join(lines(found, cells)))
        if not is_reproduced(found, cells, options.exact):
            sys.exit(1)


if __name__ == "__main__":
    end_in_one_line(main)
