"""A table on disk: all digits as CSV, for people as Markdown and LaTeX, each with what its numbers mean."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from workflow_scripts.presentation.table_formats import TextTable, latex_table, markdown_table
from workflow_scripts.storage.artifacts import atomic_path


def write_tables(
    table: pd.DataFrame,
    text: TextTable,
    caption: str,
    *,
    csv: str | Path,
    md: str | Path,
    tex: str | Path,
    float_format: str = "%.6f",
) -> None:
    """Write ``table`` as CSV (six decimals) and ``text`` as Markdown and LaTeX, the ``caption`` above them."""
    with atomic_path(csv) as path:
        table.to_csv(path, index=False, float_format=float_format, lineterminator="\n")
    with atomic_path(md) as path:
        path.write_text(f"{caption}\n{markdown_table(text)}", encoding="utf-8")
    with atomic_path(tex) as path:
        comment = "".join(f"% {line}\n" for line in caption.strip().splitlines())
        path.write_text(comment + latex_table(text), encoding="utf-8")
