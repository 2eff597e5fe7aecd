"""How figures look: sizes, colours that colour-blind readers tell apart, files that are the same each time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_scripts.storage.artifacts import atomic_path

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

COLUMN, PAGE = 3.35, 7.0  # inches: one column, the full width of a two-column page
TEACHER = "#000000"
# Okabe and Ito's palette (black is the teacher's), the light yellow left out: it vanishes on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
# A second cue beside colour, for greyscale prints.
DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)), "-")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: object) -> tuple:
    """A figure of ``width`` x ``height`` inches in house style and its axes, always an array (rows, columns)."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcdefaults()
    plt.rcParams.update(
        {
            "font.size": 7.5,
            "axes.titlesize": 8,
            "axes.labelsize": 7.5,
            "xtick.labelsize": 6.5,
            "ytick.labelsize": 6.5,
            "legend.fontsize": 7,
            "legend.frameon": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.linewidth": 0.6,
            "xtick.major.width": 0.6,
            "ytick.major.width": 0.6,
            "xtick.minor.width": 0.4,
            "ytick.minor.width": 0.4,
            "grid.linewidth": 0.4,
            "grid.color": "#E2E2E2",
            "lines.linewidth": 1.2,
            "pdf.fonttype": 42,  # TrueType: text stays text, and journals accept it
        }
    )
    return plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **options)


def style(names: Sequence[str], name: str) -> dict:
    """Colour and dashes of ``name`` by its place among ``names``, as keyword arguments of ``plot``."""
    place = list(names).index(name)
    return {"color": PALETTE[place % len(PALETTE)], "linestyle": DASHES[place % len(DASHES)]}


def plain_log_axis(axis: Axis) -> None:
    """A logarithmic axis with ticks at 1, 2 and 5 written out (0.2, 50), however little of a decade it spans."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def legend_above(figure: Figure, handles: Sequence, **options: float) -> None:
    """A legend above the figure: rows alike in length, none of more than six, which would leave the page."""
    rows = -(-len(handles) // 6)
    figure.legend(handles=handles, loc="outside upper center", ncols=-(-len(handles) // rows), **options)


def save_figure(figure: Figure, png: str | Path, pdf: str | Path) -> None:
    """Write both files whole; without the time of writing, so that the same figure has the same bytes."""
    import matplotlib.pyplot as plt

    with atomic_path(png) as path:
        figure.savefig(path, dpi=300, metadata={"Software": None})
    with atomic_path(pdf) as path:
        figure.savefig(path, metadata={"CreationDate": None})
    plt.close(figure)
