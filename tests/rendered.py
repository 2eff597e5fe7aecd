"""Tables and figures as their readers see them, from their numbers."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from matplotlib.figure import Figure
from project import ROOT

from workflow_scripts.presentation.render_table import render_table

CAPTIONS = ROOT / "workflow_scripts/presentation/captions"


def captions(layout: str) -> list[Path]:
    """The files of a table's sentences: its own, and those that stand below every table with verdicts."""
    return [CAPTIONS / f"{layout}.rst", CAPTIONS / "verdicts.rst"]


def render(layout: str, numbers: Path) -> tuple[pd.DataFrame, str]:
    """The rows of the table's CSV and the text of its Markdown; the files lie beside the numbers."""
    files = {ending: numbers.with_suffix(f".{ending}") for ending in ("csv", "md", "tex")}
    render_table(spec={"layout": layout}, numbers=numbers, captions=captions(layout), **files)
    return pd.read_csv(files["csv"]), files["md"].read_text()


def keep_figures(monkeypatch: pytest.MonkeyPatch, script: ModuleType) -> list[Figure]:
    """The figures that a script saves from now on."""
    figures: list[Figure] = []
    save = script.save_figure

    def keep(figure: Figure, png: Path, pdf: Path) -> None:
        figures.append(figure)
        save(figure, png, pdf)

    monkeypatch.setattr(script, "save_figure", keep)
    return figures
