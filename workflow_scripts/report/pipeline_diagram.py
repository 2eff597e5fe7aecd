"""The pipeline as a reader sees it: a few boxes, each standing for rules of the workflow, and what flows between them.

A workflow test holds the boxes and arrows against Snakemake's own graph of the rules: every rule has its box, every
arrow is a real dependency, and every dependency is an arrow or a path of arrows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflow_scripts.presentation.plots import PAGE, PALETTE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Box:
    """A box: its title, the rules it stands for, its middle (in units of a box's width and height)."""

    title: str
    rules: tuple[str, ...]
    at: tuple[float, float]


BOXES = {
    "data": Box("Collections", ("prepare_corpus", "prepare_collection"), (0, 1.6)),
    "first": Box(
        "First stage", ("build_index", "search_index", "search_dense", "download_file", "import_rankings"), (1.2, 1.6)
    ),
    "plain": Box("Samplers", ("mine_negatives",), (2.4, 1.6)),
    "teacher": Box("Teacher", ("train_teacher",), (2.4, 0)),
    "scores": Box("Teacher scores", ("score_pool",), (3.6, 0)),
    "informed": Box("Samplers", ("mine_negatives",), (4.8, 0)),
    "labels": Box("Labels", ("label_groups",), (4.8, 1.6)),
    "students": Box("Students", ("train_student",), (6.0, 1.6)),
    "runs": Box("Runs", ("gather_evaluation", "rerank_candidates", "retrieve_documents"), (7.2, 1.6)),
    "measures": Box("Measures", ("measure_runs", "write_cell", "collect_metrics"), (7.2, 0)),
}
TABLES = Box("Tables, figures", (), (6.0, 0))
"""Stands for every rule of rules/analyse.smk, locality.smk, studies.smk and report.smk that no other box names."""
ENCODERS = ("fetch_backbone", "pretrain_backbone", "tokenise_corpus", "tokenise_queries", "tokenise_evaluation")
"""A band without arrows: every box that computes with a model reads backbones and token stores."""
ARROWS = (
    ("data", "first"),
    ("first", "plain"),
    ("plain", "teacher"),
    ("teacher", "scores"),
    ("first", "scores"),
    ("scores", "informed"),
    ("plain", "labels"),
    ("informed", "labels"),
    ("labels", "students"),
    ("plain", "students"),
    ("informed", "students"),
    ("students", "runs"),
    ("runs", "measures"),
    ("measures", "tables"),
)
FEEDBACK = ("students", "first")
"""A student, once trained, may be the encoder of a dense first stage: the one arrow that goes back."""
WIDTH, HEIGHT = 0.98, 0.98
_BLUE, _ORANGE, _GREEN = PALETTE[0], PALETTE[1], PALETTE[2]
_COLOURS = {"plain": _BLUE, "informed": _BLUE, "teacher": _ORANGE, "scores": _ORANGE, "labels": _ORANGE}


def draw_diagram(details: Mapping[str, Sequence[str]], *, dense: bool = True) -> Figure:
    """The diagram; ``details``: box to the lines below its title (which samplers, which losses, ...).

    ``dense``: is a trained student the encoder of a first stage?
    """
    figure, axes = new_figure(PAGE, 2.85)
    panel = axes[0, 0]
    panel.set_axis_off()
    boxes = {**BOXES, "tables": TABLES}
    for name, box in boxes.items():
        _draw_box(panel, box, details.get(name, ()), _COLOURS.get(name, "#4D4D4D"))
    for start, end in (*ARROWS, *([FEEDBACK] if dense else [])):
        _draw_arrow(panel, start, end, boxes)
    _draw_band(panel)
    note = "groups alone: losses that read no teacher"
    panel.text(4.2, 2.25, note, ha="center", va="bottom", fontsize=5.8, style="italic")
    if dense:
        panel.text(4.2, 2.57, "a bi-encoder as dense miner", ha="center", va="bottom", fontsize=5.8, style="italic")
    panel.set(xlim=(-0.55, 7.75), ylim=(-1.12, 2.75), aspect="auto")
    return figure


def _draw_box(panel: Axes, box: Box, lines: Sequence[str], colour: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y = box.at
    shape = FancyBboxPatch(
        (x - WIDTH / 2, y - HEIGHT / 2), WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.07", mutation_aspect=1
    )
    shape.set(facecolor=_tint(colour), edgecolor=colour, linewidth=0.9, zorder=2)
    panel.add_patch(shape)
    top = y + 0.5 * 0.2 * len(lines)
    panel.text(x, top, box.title, ha="center", va="center", fontsize=6.5, fontweight="bold", zorder=3)
    for number, line in enumerate(lines, 1):
        panel.text(x, top - 0.2 * number - 0.02, line, ha="center", va="center", fontsize=5.8, zorder=3)


def _draw_arrow(panel: Axes, start: str, end: str, boxes: Mapping[str, Box]) -> None:
    """A straight arrow between neighbours; the few others bend round the boxes between."""
    (x0, y0), (x1, y1) = boxes[start].at, boxes[end].at
    half_width, half_height = WIDTH / 2, HEIGHT / 2
    dashed = (start, end) in (("plain", "students"), ("informed", "students"), FEEDBACK)
    if (start, end) == ("first", "scores"):
        path = [(x0, y0 - half_height), (x0, -0.68), (x1, -0.68), (x1, y1 - half_height)]
    elif (start, end) == ("plain", "students"):
        path = [(x0, y0 + half_height), (x0, 2.22), (x1, 2.22), (x1, y1 + half_height)]
    elif (start, end) == FEEDBACK:
        x0 += 0.2  # beside the arrow that comes in
        path = [(x0, y0 + half_height), (x0, 2.54), (x1, 2.54), (x1, y1 + half_height)]
    elif (start, end) == ("informed", "students"):
        path = [(x0 + half_width, y0 + 0.3), (5.4, y0 + 0.3), (5.4, y1 - 0.3), (x1 - half_width, y1 - 0.3)]
    elif y0 == y1:
        side = half_width if x1 > x0 else -half_width
        path = [(x0 + side, y0), (x1 - side, y1)]
    else:
        side = half_height if y1 > y0 else -half_height
        path = [(x0, y0 + side), (x1, y1 - side)]
    look = {"color": "#4D4D4D", "linewidth": 0.8, "zorder": 1, "linestyle": (0, (3, 1.5)) if dashed else "-"}
    panel.plot(*zip(*path[:-1], strict=True), **look, solid_joinstyle="round")
    head = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, "mutation_scale": 7}
    panel.annotate("", path[-1], path[-2], arrowprops={**head, **look})


def _draw_band(panel: Axes) -> None:
    from matplotlib.patches import FancyBboxPatch

    left, right = BOXES["teacher"].at[0] - WIDTH / 2, BOXES["measures"].at[0] + WIDTH / 2
    band = FancyBboxPatch((left, -1.08), right - left, 0.27, boxstyle="round,pad=0,rounding_size=0.07")
    band.set(facecolor=_tint(_GREEN), edgecolor=_GREEN, linewidth=0.9)
    panel.add_patch(band)
    text = "backbones and token stores: texts tokenised beforehand; read by teacher, scoring, students, re-ranking"
    panel.text((left + right) / 2, -0.945, text, ha="center", va="center", fontsize=5.8)


def _tint(colour: str) -> tuple[float, ...]:
    """The colour mixed with nine parts of white."""
    from matplotlib.colors import to_rgb

    return tuple(0.1 * part + 0.9 for part in to_rgb(colour))
