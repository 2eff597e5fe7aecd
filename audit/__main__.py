"""Audit an experiment: ``python -m audit results/demo`` says of each table how many of its numbers were found again.

Exit status 1 where a number differs.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pandas as pd

from audit import studies, tables
from audit.advice import advice
from audit.bound import bound
from audit.claims import claims
from audit.configuration import configuration
from audit.contamination import contamination, contamination_pairs
from audit.correlation import correlation
from audit.cost import cost
from audit.curves import score_by_rank
from audit.factorial import factorial, factorial_cells
from audit.locality import locality
from audit.pipelines import pipelines
from audit.power import power
from audit.rows import Near, Recompute
from audit.sources import KEYS, Sources, Values

TABLES: dict[str, Recompute] = {
    "main": tables.main,
    "per_collection": tables.per_collection,
    "published": tables.published,
    "equivalence": tables.equivalence,
    "retrieval": tables.retrieval,
    "controls": tables.controls,
    "variance": tables.variance,
    "risk": tables.risk,
    "power": power,
    "cuts": studies.cuts,
    "teachers": studies.teachers,
    "training_collections": studies.training_collections,
    "pipelines": pipelines,
    "claims": claims,
    "factorial": factorial,
    "factorial_cells": factorial_cells,
    "correlation": correlation,
    "score_by_rank": score_by_rank,
    "locality": locality,
    "bound": bound,
    "advice": advice,
    "configuration": configuration,
    "cost": cost,
    "contamination": contamination,
    "contamination_pairs": contamination_pairs,
}
RELATIVE, ABSOLUTE = 1e-7, 1e-9
"""How far two ways of computing one number may lie apart: the order of sums, and roots of what is nearly 0."""
LABELS = {*KEYS, "domain", "sampler_a", "sampler_b", "scope", "source", "predictor", "method", "basis", "cut", "claim"}
LABELS |= {"training", "training_b", "function", "teacher_b", "quantity", "seeds", "stage", "sentence", "part", "form"}
LABELS |= {"ranker", "question", "budget", "setting", "of", "unit", "beside_basis"}
LABELS |= {"published", "tolerance", "where", "differs", "number", "predicted"}
"""Columns that say what a row is."""
SHOWN = 3


@dataclass
class Tally:
    """How many numbers of a table were found again, the first that were not, and columns that nothing recomputes."""

    table: str
    rows: int
    agree: int = 0
    number: int = 0
    differ: list[str] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)

    def add(self, where: str, written: object, found: object) -> None:
        """Count one number."""
        self.number += 1
        if _same(written, found):
            self.agree += 1
        else:
            self.differ.append(f"{where}: written {written}, found {found}")

    def lines(self) -> Iterator[str]:
        """What to print."""
        nothing = "not recomputed" if self.rows else "no rows"
        yield f"{self.table}: " + (f"{self.agree:,} of {self.number:,} agree" if self.number else nothing)
        yield from (f"  {line}" for line in self.differ[:SHOWN])
        if self.left_out and self.number:
            yield f"  not recomputed: {', '.join(sorted(self.left_out))}"


def _same(written: object, found: object) -> bool:
    if isinstance(written, str) or isinstance(found, str):
        return written == found
    one, other = (math.nan if pd.isna(value) else float(value) for value in (written, found))
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    if isinstance(found, Near):
        return abs(one - other) <= found.error
    return one == other or math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def audit(folder: str) -> Iterator[Tally]:
    """A tally of each long table of metrics and of each table."""
    sources = Sources(folder)
    for name, frame in sources.written.items():
        yield _metrics(f"{name}.parquet", frame, sources.values[name])
    for name in sources.tables:
        frame, spec = sources.numbers(name)
        tally, recompute = Tally(name, len(frame)), TABLES.get(name.split(".")[0])
        found: Mapping[int, Mapping] = dict(recompute(frame, spec, sources)) if recompute else {}
        for index, columns in found.items():
            row = frame.loc[index]
            where = " ".join(str(row[label]) for label in frame.columns if label in LABELS)
            for column, value in columns.items():
                tally.add(f"{where} {column}", row[column], value)
        recomputed = {column for columns in found.values() for column in columns}
        tally.left_out = {*frame.columns[frame.replace("", None).notna().any()]} - LABELS - recomputed
        yield tally


def _metrics(name: str, frame: pd.DataFrame, values: Values) -> Tally:
    """Every query's value of every ranker."""
    tally = Tally(name, len(frame))
    for (*cell, seed, collection, measure), rows in frame.groupby(KEYS, observed=True, dropna=False):
        found = values.of(tuple(cell), None if pd.isna(seed) else int(seed), collection, measure)
        written = dict(zip(rows["query_id"].tolist(), rows["value"].tolist(), strict=True))
        where = " ".join(map(str, (*cell, seed, collection, measure)))
        for query in {**written, **found}:
            tally.add(f"{where} {query}", written.get(query, math.nan), found.get(query, math.nan))
    return tally


def main(argv: list[str] | None = None) -> int:
    """Command line; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="an experiment's results, results/demo")
    failed = 0
    for tally in audit(parser.parse_args(argv).folder):
        print("\n".join(tally.lines()), flush=True)
        failed += tally.number - tally.agree
    print(f"{failed} numbers differ" if failed else "every number that was recomputed agrees")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
