"""How a table's numbers become a table for people; each layout is a file of ``presentation/layouts``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from workflow_scripts.presentation.table_formats import TextTable


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
