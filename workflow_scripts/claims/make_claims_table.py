"""Compute the claims table: what was found for every claim, and the verdict on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.claims.cell_claims import CellClaims
from workflow_scripts.claims.measured_claims import curve_rows, group_rows, read_trainings, run_rows
from workflow_scripts.claims.verdicts import Row, judge_claim, what_would_decide
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import read_numbers, read_table, write_numbers

COLUMNS = (
    *("claim", "sentence", "source", "teacher", "student", "domain", "number", "part", "predicted", "estimate"),
    *("ci_low", "ci_high", "p", "p_opposite", "p_opposite_holm", "basis", "counts", "seeds_needed", "verdict"),
    "decided_by",
)


def make_claims_table(
    *,
    spec: Mapping,
    metrics: Path,
    cost: Path,
    locality: Path,
    quantities: Path,
    curves: Path,
    students: Sequence[Path] = (),
    output: Path,
) -> None:
    """Write the numbers, a row for each part of each row of each claim, columns :data:`COLUMNS`.

    ``spec``: ``claims`` (id to the claim as the config has it), what
    :class:`~workflow_scripts.claims.cell_claims.CellClaims` reads, ``domains``, ``warmup`` and ``trainings``
    ([student, loss, sampler, teacher, seed], as many as the manifests ``students`` and in their order). ``cost``,
    ``locality`` and ``curves`` (the fits of score against rank): numbers of these tables; ``quantities``: each query's
    diameter and entropy, as the locality table's script writes them. How a verdict is reached:
    :func:`~workflow_scripts.claims.verdicts.judge_claim`.
    """
    values = QueryValues(metrics, [spec["measure"]])
    energies = _energies(read_numbers(cost)[0])
    cells = CellClaims(spec, values, parse_domains(spec["domains"]), energies)
    of_groups, of_samplers = read_table(quantities), read_numbers(locality)[0]
    trainings = read_trainings(spec["trainings"], students, spec["warmup"])
    alpha, frames = spec["rule"]["difference_alpha"], []
    for name, claim in spec["claims"].items():
        rows = {
            "cells": lambda claim=claim: cells.rows(claim),
            "factorial": cells.factorial_rows,
            "groups": lambda claim=claim: group_rows(claim, of_groups, spec),
            "runs": lambda claim=claim: run_rows(claim, trainings, of_samplers, spec),
            "curves": lambda: curve_rows(read_numbers(curves)[0]),
        }[claim["test"]]()
        judged = pd.DataFrame(_judged(list(rows), claim["test"], alpha))
        frames.append(judged.assign(claim=name, sentence=claim["sentence"], source=claim["source"]))
    write_numbers(output, pd.concat(frames, ignore_index=True)[list(COLUMNS)], spec)


def _judged(rows: Sequence[Row], test: str, alpha: float) -> Iterator[dict]:
    verdicts, corrected = judge_claim(rows, alpha, by_majority=test == "curves")
    opposite, opposites = iter(corrected), int(np.isfinite(corrected).sum())
    for row, verdict in zip(rows, verdicts, strict=True):
        decided_by = what_would_decide(row, verdict, test, alpha, opposites)
        for found in row.findings:
            yield {
                **{"teacher": row.teacher, "student": row.student, "domain": row.domain, "number": found.number},
                **{"part": found.part, "predicted": found.predicted},
                **{"estimate": found.estimate, "ci_low": found.low, "ci_high": found.high, "p": found.p},
                **{"p_opposite": found.p_opposite, "p_opposite_holm": next(opposite), "basis": found.basis},
                **{"counts": found.counts, "seeds_needed": found.seeds, "verdict": verdict, "decided_by": decided_by},
            }


def _energies(costs: pd.DataFrame) -> dict[tuple, float]:
    """Watt-hours of each student bought alone, by its ranker's key."""
    rows = costs[costs["scope"] == "student"]
    keys = rows[["student", "loss", "sampler", "teacher"]].itertuples(index=False, name=None)
    return dict(zip(keys, rows["alone_wh"], strict=True))


if __name__ == "__main__":
    run(make_claims_table)
