"""Compute the published table: the main table's means beside published figures, a verdict a row."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pandas as pd

from workflow_scripts.analysis.query_values import RANKER
from workflow_scripts.experiment.published import Figure, Source, read_published
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_numbers, write_numbers

OURS = ("mean", "ci_low", "ci_high", "n_seeds", "n_queries")
WITHIN, BELOW, ABOVE, ABSENT = "within", "below", "above", "not measured"


def make_published_table(*, spec: Mapping, main: Path, expected: Path, output: Path) -> None:
    """Write the numbers, a row for each figure: its keys, ``published``, ``tolerance``, the main table's :data:`OURS`,
    ``difference`` (mean minus published), ``verdict``, and the source's ``where`` and ``differs``.

    ``main``: numbers of the main table. ``expected``: the YAML file. The verdict is ``within`` for a difference of at
    most the tolerance, ``below`` or ``above`` beyond it, and ``not measured`` where the main table has no such row.
    Raises :class:`InputError` for a file of another form and for a figure that several rows answer to.
    """
    means, _ = read_numbers(main)
    published = read_published(expected, means["domain"].unique())
    rows = [_row(figure, published.sources[figure.source], means, expected) for figure in published.figures]
    write_numbers(output, pd.DataFrame(rows), spec)


def _row(figure: Figure, source: Source, means: pd.DataFrame, path: Path) -> dict[str, object]:
    keys = {name: value for name in RANKER if (value := getattr(figure, name)) is not None}
    of_domain = {"domain": figure.domain} if figure.domain is not None else {}
    wanted = keys | of_domain | {"collection": figure.collection, "measure": figure.measure}
    rows = means[(means[list(wanted)] == pd.Series(wanted)).all(axis=1)].drop_duplicates([*RANKER, "collection"])
    if len(rows) > 1:
        lacking = [name for name in RANKER if rows[name].nunique() > 1]
        raise InputError(f"{path}: {'.'.join(keys.values())} is {len(rows)} rankers: say which {' and '.join(lacking)}")
    ours = rows.iloc[0] if len(rows) else pd.Series(dict.fromkeys(OURS, float("nan")))
    difference = ours["mean"] - figure.value
    return {
        **{name: keys.get(name, "") for name in RANKER},
        **{"domain": figure.domain or "", "collection": figure.collection, "measure": figure.measure},
        **{"published": figure.value, "tolerance": figure.tolerance},
        **{name: ours[name] for name in OURS},
        **{"difference": difference, "verdict": _verdict(difference, figure.tolerance) if len(rows) else ABSENT},
        **{"where": source.where, "differs": source.differs},
    }


def _verdict(difference: float, tolerance: float) -> Literal["within", "below", "above"]:
    # Rounded, so that a difference of exactly the tolerance is within it.
    if round(abs(difference) - tolerance, 9) <= 0:
        return WITHIN
    return BELOW if difference < 0 else ABOVE


if __name__ == "__main__":
    run(make_published_table)
