"""Hold an experiment's main table against the one that ships with the project.

``python -m workflow_scripts.report.check_expected results/demo config/expected/demo.yaml`` says how many cells are the
same to the last of :data:`DIGITS` digits, and ends with status 1 where one is not though it had to be: with portable
arithmetic every processor gives the same bytes. ``--write`` makes the file from the table.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import yaml

from workflow_scripts.analysis.domains import ALL
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.processor import PORTABLE
from workflow_scripts.storage.tables import read_numbers

DIGITS = 6
SHOWN = 5
"""Differing cells that are named."""


def cells(results: Path) -> tuple[str, dict[str, float]]:
    """The main table's first measure, and its means by cell, ``{student}.{loss}.{sampler}.{teacher} {domain}``."""
    main, spec = read_numbers(results / "analysis/main.parquet")
    measure = spec["measures"][0]
    rows = main[(main["collection"] == ALL) & (main["measure"] == measure)]
    names = rows[["student", "loss", "sampler", "teacher"]].agg(lambda row: ".".join(filter(None, row)), axis=1)
    found = zip(names + " " + rows["domain"].astype(str), rows["mean"], strict=True)
    return measure, {name: round(float(mean), DIGITS) for name, mean in found}


def computed_portably(results: Path) -> bool:
    """Whether every student was trained with portable arithmetic, as their manifests say."""
    manifests = sorted(results.glob("students/**/manifest.json"))
    if not manifests:
        raise InputError(f"{results} holds no students: make the experiment first")
    said = [Artifact(path).manifest["arithmetic"] for path in manifests]
    return all(each["setting"] == PORTABLE and "not_portable" not in each for each in said)


def compare(expected: Path, results: Path) -> tuple[list[str], bool]:
    """Lines that say what agrees, and whether all that had to agree does."""
    shipped = yaml.safe_load(expected.read_text(encoding="utf-8"))
    measure, found = cells(results)
    if measure != shipped["measure"]:
        raise InputError(f"{expected} holds {shipped['measure']}, {results} {measure}: compare the same experiment")
    other = sorted(name for name in shipped["cells"].keys() | found if shipped["cells"].get(name) != found.get(name))
    total, portable = len(shipped["cells"]), computed_portably(results)
    lines = [f"{total - len(other)} of {total} cells of {results} are those of {expected} ({measure}, {DIGITS} digits)"]
    lines += [f"  {name}: {found.get(name)}, shipped {shipped['cells'].get(name)}" for name in other[:SHOWN]]
    lines += [f"  and {len(other) - SHOWN} more"] * (len(other) > SHOWN)
    if other and not portable:
        lines.append("this processor or setting has another arithmetic, which trains other models")
    return lines, not other or not portable


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("expected", type=Path)
    parser.add_argument("--write", action="store_true", help="make the file from the table")
    options = parser.parse_args()
    if options.write:
        measure, found = cells(options.results)
        text = (
            "# Means of the main table, as `make demo` made them; workflow_scripts.report.check_expected wrote this.\n"
        )
        options.expected.write_text(
            text + yaml.safe_dump({"measure": measure, "cells": found}, sort_keys=False), encoding="utf-8"
        )
        return
    lines, fine = compare(options.expected, options.results)
    print("\n".join(lines))
    if not fine:
        raise InputError("with portable arithmetic these are the same on every processor: something else has changed")


if __name__ == "__main__":
    end_in_one_line(main)
