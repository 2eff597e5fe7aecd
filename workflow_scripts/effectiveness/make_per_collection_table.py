"""Compute a student's table of collections: its effectiveness on every test collection, beside the references'."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import read_numbers, write_numbers

KEYS = ["student", "loss", "sampler", "teacher", "domain", "collection"]


def make_per_collection_table(*, spec: Mapping, main: Path, output: Path) -> None:
    """Write the numbers: those rows of the main table's that are of the student, a reference and a member of a domain.

    A set of collections (CQADupStack) is one member. ``spec``: the lists of the grid with one student, ``domains``,
    ``measure``. ``main``: numbers of the main table.
    """
    grid = Grid.of(spec)
    columns = [(domain.name, member) for domain in parse_domains(spec["domains"]) for member, _ in domain.members]
    rows, _ = read_numbers(main)
    rows = rows[rows["measure"] == spec["measure"]].set_index(KEYS)
    wanted = [(*ranker, *column) for ranker in [*grid.references, *grid.trained] for column in columns]
    write_numbers(output, rows.loc[wanted, ["mean", "std_seed", "noise_band"]].reset_index(), spec)


if __name__ == "__main__":
    run(make_per_collection_table)
