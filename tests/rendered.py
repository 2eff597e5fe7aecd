"""Tables and figures as their readers see them, from their numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from factories import run_script
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
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


def make_table(script: Callable[..., object], spec: Mapping, output: Path, **paths: object) -> tuple[pd.DataFrame, str]:
    """Call a table's script by its command line, and render its numbers; ``output`` is named as the layout."""
    run_script(script, spec, **paths, output=output)
    return render(output.stem, output)


def keep_figures(monkeypatch: pytest.MonkeyPatch, script: ModuleType) -> list[Figure]:
    """The figures that a script saves from now on; one whose texts are cut or run into another panel fails."""
    figures: list[Figure] = []
    save = script.save_figure

    def keep(figure: Figure, png: Path, pdf: Path) -> None:
        figures.append(figure)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a layout that found no room
            save(figure, png, pdf)
        assert misplaced(figure) == []

    monkeypatch.setattr(script, "save_figure", keep)
    return figures


def misplaced(figure: Figure) -> list[str]:
    """Texts and legends that leave the figure, and legends of a panel that reach beyond it."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, page = canvas.get_renderer(), figure.bbox.padded(1)

    def inside(artist: Artist, box: Bbox) -> bool:
        own = artist.get_window_extent(renderer)
        return own.width == 0 or (
            box.containsx(own.x0) and box.containsx(own.x1) and box.y0 <= own.y0 <= own.y1 <= box.y1
        )

    of_panels = [(each.title, each.xaxis.label, each.yaxis.label, *each.texts) for each in figure.axes]
    shown = [text for text in (*figure.texts, *chain(*of_panels)) if text.get_text() and text.get_visible()]
    found = [text.get_text() for text in shown if not inside(text, page)]
    found += [f"a legend of {len(each.texts)} names" for each in figure.legends if not inside(each, page)]
    legends = [(panel, panel.get_legend()) for panel in figure.axes]
    return found + [f"legend of {panel.get_title()}" for panel, own in legends if own and not inside(own, panel.bbox)]
