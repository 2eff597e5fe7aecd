"""How a table's numbers become a table for people; each layout is a file of ``presentation/layouts``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from workflow_scripts.presentation.table_formats import Cell, TextTable, text_table

SIX_DIGITS = "%.6g"
"""Six digits, not decimals: a p-value of 1e-9 is not 0."""


@dataclass(frozen=True)
class Layout:
    """What :func:`~workflow_scripts.presentation.render_table.render_table` writes.

    ``texts``: heading (empty for none) to a table for people; the Markdown holds all, the LaTeX file the first, or as
    many as ``in_latex`` says.
    ``sentences``: names of the caption's sentences in ``presentation/captions``, in order; ``values`` fill their
    ``{placeholders}``. ``notes``: names of those that stand below the table. ``csv``: the rows of the CSV, with
    ``float_format``.
    """

    texts: Mapping[str, TextTable]
    sentences: Sequence[str]
    csv: pd.DataFrame
    values: Mapping[str, object] = field(default_factory=dict)
    float_format: str = "%.6f"
    in_latex: int = 1
    notes: Sequence[str] = ()


def without_one_teacher(keys: Sequence[str], spec: Mapping) -> list[str]:
    """``keys`` as a table names its rows by them: without the teacher where there is one."""
    return [key for key in keys if key != "teacher" or len(spec["teachers"]) > 1]


def table_by(
    keys: Sequence[str],
    rows: pd.DataFrame,
    groups: Sequence[tuple[str, Sequence[str]]],
    texts: Callable[[pd.DataFrame], Sequence[str | Cell]],
    *,
    section: int = 1,
) -> TextTable:
    """A line for each of ``keys``, its cells the ``texts`` of its rows; a section for each of the first ``section``."""
    lines = ((labels[:section], labels, texts(own)) for labels, own in rows.groupby(list(keys), sort=False))
    return text_table(keys, groups, lines)


def domains_across(
    keys: Sequence[str],
    rows: pd.DataFrame,
    headers: Sequence[str],
    texts: Callable[[tuple], Sequence[str]],
    *,
    section: int = 1,
) -> TextTable:
    """As :func:`table_by`, with the ``texts`` of a row for each domain."""

    def of_line(own: pd.DataFrame) -> list[str]:
        return [text for row in own.itertuples() for text in texts(row)]

    return table_by(keys, rows, [(name, headers) for name in rows["domain"].unique()], of_line, section=section)
