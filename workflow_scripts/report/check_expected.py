"""Hold an experiment's main table against the one that ships with the project.

``python -m workflow_scripts.report.check_expected results/demo config/expected/demo.yaml`` says how many cells are the
same to the last of :data:`DIGITS` digits, and ends with status 1 where one is not though it had to be: with portable
arithmetic every processor gives the same bytes. Another arithmetic trains another backbone, teacher and students; then
each cell has to lie within the band in which another pipeline would, if the file holds bands. ``--write`` makes the
file from the table, and the bands from the metrics of ``--pipelines``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml

from workflow_scripts.analysis.bands import retraining_bands
from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.query_values import RANKER, QueryValues
from workflow_scripts.analysis.summaries import weighted_mean, whole_domains
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
    measure, rows = _main(results)
    return measure, {name: round(float(mean), DIGITS) for name, mean in rows["mean"].items()}


def _main(results: Path) -> tuple[str, pd.DataFrame]:
    """The first measure of the main table, and its rows of whole domains by name."""
    main, spec = read_numbers(results / "analysis/main.parquet")
    measure = spec["measures"][0]
    rows = whole_domains(main, measure)
    names = rows[list(RANKER)].agg(lambda row: ".".join(filter(None, row)), axis=1)
    return measure, rows.set_index(names + " " + rows["domain"].astype(str))


def bands(results: Path, others: Sequence[Path]) -> dict[str, list[float]]:
    """Of each cell with a model, the ends between which those of another pipeline would lie, all cells at once.

    ``others``: metrics of experiments that differ from this one by the seeds of backbone, teacher and students alone.
    See :func:`~workflow_scripts.analysis.bands.retraining_bands`; here a seed is a pipeline, by the first of its seeds.
    """
    measure, rows = _main(results)
    rows = rows[rows["teacher"] != ""]
    _, spec = read_numbers(results / "analysis/main.parquet")
    weights = {domain.name: domain.weights for domain in parse_domains(spec["domains"])}
    measured = [QueryValues(path, [measure]) for path in (results / "metrics.parquet", *others)]

    def of_pipelines(row: pd.Series) -> list[float]:
        cell = tuple(row[list(RANKER)])
        return [weighted_mean(of, cell, of.seeds(cell)[0], weights[row["domain"]], measure) for of in measured]

    means = rows.apply(of_pipelines, axis=1, result_type="expand")
    found = {}
    for _, block in means.groupby([rows[name] for name in ("student", "loss", "teacher", "domain")], sort=False):
        halves = retraining_bands(block.to_numpy(), len(rows))
        for name, centre, half in zip(block.index, block.mean(axis=1), halves, strict=True):
            found[name] = [round(float(centre - half), DIGITS), round(float(centre + half), DIGITS)]
    return {name: found[name] for name in rows.index}


def computed_portably(results: Path) -> bool:
    """Whether every student was trained with portable arithmetic, as their manifests say."""
    manifests = sorted(results.glob("students/**/manifest.json"))
    if not manifests:
        raise InputError(f"{results} holds no students: make the experiment first")
    said = [Artifact(path).manifest["arithmetic"] for path in manifests]
    return all(each["setting"] == PORTABLE and "not_portable" not in each for each in said)


def compare(expected: Path, results: Path) -> tuple[list[str], str]:
    """Lines that say what agrees, and what is wrong where not all agrees that had to."""
    shipped = yaml.safe_load(expected.read_text(encoding="utf-8"))
    measure, found = cells(results)
    if measure != shipped["measure"]:
        raise InputError(f"{expected} holds {shipped['measure']}, {results} {measure}: compare the same experiment")
    names = list(shipped["cells"] | found)
    other = [name for name in names if shipped["cells"].get(name) != found.get(name)]
    same = f"{len(names) - len(other)} of {len(names)} cells of {results}"
    lines = [f"{same} are those of {expected} ({measure}, {DIGITS} digits)"]
    if not other:
        return lines, ""
    if computed_portably(results):
        shown = {name: f"shipped {shipped['cells'].get(name)}" for name in other}
        wrong = "with portable arithmetic these are the same on every processor: something else has changed"
    else:
        lines.append("this processor or setting has another arithmetic, which trains other models")
        limits = shipped.get("bands", {})
        if not limits:
            return lines, ""
        ends = {name: limits.get(name, [shipped["cells"].get(name)] * 2) for name in other}
        shown = {
            name: f"band {low} to {high}"
            for name, (low, high) in ends.items()
            if None in (low, found.get(name)) or not low <= found[name] <= high
        }
        wrong = "these are beyond what another backbone and teacher change: something else has changed"
        lines.append(f"{len(names) - len(shown)} of {len(names)} cells lie within the band of other pipelines")
    lines += [f"  {name}: {found.get(name)}, {what}" for name, what in list(shown.items())[:SHOWN]]
    lines += [f"  and {len(shown) - SHOWN} more"] * (len(shown) > SHOWN)
    return lines, wrong if shown else ""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("expected", type=Path)
    parser.add_argument("--write", action="store_true", help="make the file from the table")
    parser.add_argument("--pipelines", type=Path, nargs="*", default=[], help="metrics.parquet of other pipelines")
    options = parser.parse_args()
    if options.write:
        measure, found = cells(options.results)
        text = (
            f"# Means of {options.results}'s main table; bands: where other pipelines' lie. make expected wrote this.\n"
        )
        text += yaml.safe_dump({"measure": measure, "cells": found}, sort_keys=False)
        if options.pipelines:
            ends = {"bands": bands(options.results, options.pipelines)}
            text += yaml.safe_dump(ends, sort_keys=False, default_flow_style=None, width=120)
        options.expected.write_text(text, encoding="utf-8")
        return
    lines, wrong = compare(options.expected, options.results)
    print("\n".join(lines))
    if wrong:
        raise InputError(wrong)


if __name__ == "__main__":
    end_in_one_line(main)
