"""Compare first-stage effectiveness with published figures: one table, one verdict a row."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.analysis.measure_names import parse_measure
from workflow_scripts.analysis.measures import check_ranks, evaluate
from workflow_scripts.storage.artifacts import Artifact, atomic_path
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.rankings import read_ranking
from workflow_scripts.storage.tables import read_table

COLUMNS = ("collection", "system", "measure", "expected", "measured", "difference", "verdict")
_PARAMETERS = ("model", "k1", "b")


def check_first_stage(
    *,
    spec: Mapping,
    rankings: Sequence[Path],
    collections: Sequence[Path],
    expected: Path | None,
    output: Path,
) -> pd.DataFrame:
    """Write and return the table (:data:`COLUMNS`).

    ``spec``: ``rankings`` ([{collection, system}], how to name each of ``rankings``), ``measures`` (to report where
    nothing is expected), ``tolerance`` and ``close``. ``collections``: each ranking's collection, in the same order.
    ``expected``: a YAML file of published figures, or None. A figure applies where the collection came from that
    ir_datasets id, whole, and the ranking was made with that system's model, k1 and b, all as their manifests say.

    With d = measured - expected the verdict is OK for |d| <= tolerance, close for |d| <= close, else fail; "no
    expectation" where nothing is published, and "too shallow" where the ranking ends above the measure's cutoff.
    """
    names = spec["rankings"]
    published = _read_expected(expected) if expected else {"systems": {}, "figures": {}}
    rows = []
    for name, ranking, collection in zip(names, map(Artifact, rankings), map(Artifact, collections), strict=True):
        figures = _figures(published, ranking.spec, collection.spec)
        for row in _compare(figures, spec, ranking, collection):
            rows.append((name["collection"], name["system"], *row))
        print(f"checked {name['system']} on {name['collection']}", file=sys.stderr, flush=True)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    with atomic_path(output) as path:
        table.to_csv(path, index=False, float_format="%.4f", lineterminator="\n")
    return table


def _read_expected(path: str | Path) -> dict:
    import yaml

    try:
        published = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        systems, figures = published["systems"], published["figures"]
        for collection, by_system in figures.items():
            for system, values in by_system.items():
                if system not in systems or not all(isinstance(value, float) for value in values.values()):
                    raise InputError(f"{path}: {collection}, {system} is not a listed system with numbers: correct it")
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a file of expected figures ({error}): see config/expected/bm25.yaml") from None
    return published


def _figures(published: Mapping, ranking: Mapping, collection: Mapping) -> dict[str, float]:
    """Published figures for this ranking of this collection, by measure; empty where none apply."""
    if collection.get("max_queries") or ranking.get("rm3"):
        return {}
    by_system = published["figures"].get(collection.get("id"), {})
    for system, figures in by_system.items():
        if all(published["systems"][system][name] == ranking.get(name) for name in _PARAMETERS):
            return figures
    return {}


def _compare(figures: Mapping[str, float], spec: Mapping, ranking: Artifact, collection: Artifact) -> list[tuple]:
    """Rows of measure, expected, measured, difference, verdict for one ranking."""
    measures = [parse_measure(name) for name in figures or spec["measures"]]
    depth = ranking.spec["depth"]
    deep = [measure for measure in measures if (measure.params.get("cutoff") or depth) <= depth]
    means = _measure(deep, ranking, collection) if deep else {}
    rows = []
    for measure in measures:
        expected, measured = figures.get(str(measure)), means.get(str(measure))
        difference = None if expected is None or measured is None else measured - expected
        rows.append((str(measure), expected, measured, difference, _verdict(expected, measured, spec)))
    return rows


def _measure(measures: Sequence, ranking: Artifact, collection: Artifact) -> dict[str, float]:
    frame = read_ranking(ranking.manifest_path)
    check_ranks(frame, str(ranking.manifest_path))
    values = evaluate(measures, read_table(collection.file("qrels.parquet")), frame)
    return values.groupby("measure")["value"].mean().to_dict()


def _verdict(expected: float | None, measured: float | None, spec: Mapping) -> str:
    if measured is None:
        return "too shallow"
    if expected is None:
        return "no expectation"
    # Rounded, so that a difference of exactly the tolerance is within it.
    distance = round(abs(measured - expected), 9)
    return "OK" if distance <= spec["tolerance"] else "close" if distance <= spec["close"] else "fail"


if __name__ == "__main__":
    run(check_first_stage)
