"""Draw the pipeline: a few boxes, each standing for rules of the workflow, and what flows between them.

A workflow test holds the boxes and arrows against Snakemake's own graph of the rules: every rule has its box, every
arrow is a real dependency, and every dependency is an arrow or a path of arrows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workflow_scripts.presentation.plots import PAGE, PALETTE, new_figure, save_figure
from workflow_scripts.storage.command import run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import FancyBboxPatch

BLUE, ORANGE, GREEN, GREY = PALETTE[0], PALETTE[1], PALETTE[2], "#4D4D4D"


@dataclass(frozen=True)
class Box:
    """A box: its title, the rules it stands for, its middle (in units of a box's width and height), its colour."""

    title: str
    rules: tuple[str, ...]
    at: tuple[float, float]
    colour: str = GREY


SCORING = ("list_pairs", "score_pool", "score_shard", "merge_pool", "calibrate_teacher")
BOXES = {
    "data": Box("Collections", ("fetch_archives", "prepare_corpus", "prepare_collection"), (0, 1.6)),
    "first": Box(
        "First stage",
        (
            *("build_index", "search_index", "search_dense", "search_shard", "merge_search"),
            *("download_file", "import_rankings"),
        ),
        (1.2, 1.6),
    ),
    "plain": Box("Samplers", ("mine_negatives",), (2.4, 1.6), BLUE),
    "teacher": Box("Teacher", ("train_teacher",), (2.4, 0), ORANGE),
    "scores": Box("Teacher scores", SCORING, (3.6, 0), ORANGE),
    "informed": Box("Samplers", ("mine_negatives",), (4.8, 0), BLUE),
    "labels": Box("Labels", ("look_up_labels", "label_groups"), (4.8, 1.6), ORANGE),
    "students": Box("Students", ("train_student",), (6.0, 1.6)),
    "runs": Box(
        "Runs",
        (
            *("gather_evaluation", "rerank_candidates", "retrieve_documents"),
            *("gather_dense_candidates", "rerank_dense_candidates"),
        ),
        (7.2, 1.6),
    ),
    "measures": Box("Measures", ("measure_runs", "write_cell", "collect_metrics", "check_first_stage"), (7.2, 0)),
    # And every rule of the rules' files of tables and figures that no other box names.
    "tables": Box("Tables, figures", (), (6.0, 0)),
}
ENCODERS = (
    *("fetch_backbone", "pretrain_backbone", "tokenise_corpus", "tokenise_queries"),
    *("tokenise_evaluation", "tokenise_dense_candidates"),
)
"""A band without arrows: every box that computes with a model reads backbones and token stores."""
WIDTH, HEIGHT = 0.98, 0.98
TOP, BOTTOM = 1.6 + HEIGHT / 2, -HEIGHT / 2
ARROWS: dict[tuple[str, str], list[tuple[float, float]]] = {
    ("data", "first"): [],
    ("first", "plain"): [],
    ("plain", "teacher"): [],
    ("teacher", "scores"): [],
    ("first", "scores"): [(1.2, BOTTOM + 1.6), (1.2, -0.68), (3.6, -0.68), (3.6, BOTTOM)],
    ("scores", "informed"): [],
    ("plain", "labels"): [],
    ("informed", "labels"): [],
    ("labels", "students"): [],
    ("plain", "students"): [(2.4, TOP), (2.4, 2.22), (6.0, 2.22), (6.0, TOP)],
    ("informed", "students"): [(4.8 + WIDTH / 2, 0.3), (5.4, 0.3), (5.4, 1.3), (6.0 - WIDTH / 2, 1.3)],
    ("students", "runs"): [],
    ("runs", "measures"): [],
    ("measures", "tables"): [],
}
"""From box to box: straight between neighbours; the others' corners lead round the boxes between."""
FEEDBACK = ("students", "first")
"""A student, once trained, may be the encoder of a dense first stage: the one arrow that goes back."""
FEEDBACK_CORNERS = [(6.2, TOP), (6.2, 2.54), (1.2, 2.54), (1.2, TOP)]  # beside the arrow that comes in
DASHED = {("plain", "students"), ("informed", "students"), FEEDBACK}
LISTED = 3
"""Names that a box lists one by one; more are counted."""


def draw_pipeline(*, spec: Mapping, png: Path, pdf: Path) -> None:
    """Write the figure twice.

    ``spec``: the lists ``systems``, ``plain`` and ``informed`` (samplers that read no teacher's scores, and those that
    do), ``teachers``, ``losses``, ``students``, ``tests`` (test collections), ``group`` (documents in a group), and
    whether there is a ``dense`` system by a student and ``retrieval`` from whole collections.
    """
    figure, axes = new_figure(PAGE, 2.85)
    panel = axes[0, 0]
    panel.set_axis_off()
    lines = _lines(spec)
    for name, box in BOXES.items():
        _draw_box(panel, box, lines[name])
    for (start, end), corners in (ARROWS | ({FEEDBACK: FEEDBACK_CORNERS} if spec["dense"] else {})).items():
        _draw_arrow(panel, corners or _straight(start, end), dashed=(start, end) in DASHED)
    _draw_band(panel)
    _write(panel, (4.2, 2.25), "groups alone: losses that read no teacher", va="bottom", style="italic")
    if spec["dense"]:
        _write(panel, (4.2, 2.57), "a bi-encoder as dense miner", va="bottom", style="italic")
    panel.set(xlim=(-0.55, 7.75), ylim=(-1.12, 2.75), aspect="auto")
    save_figure(figure, png, pdf)


def _lines(spec: Mapping) -> dict[str, list[str]]:
    """The lines below each box's title."""
    students = ", ".join(spec["students"]) if len(spec["students"]) <= LISTED else f"{len(spec['students'])} kinds"
    return {
        "data": ["documents", "queries, qrels", f"{len(spec['tests'])} test sets"],
        "first": _listed(spec["systems"]),
        "plain": ["(no teacher)", *_pairs(spec["plain"])],
        "teacher": ["cross-encoder", *_listed(spec["teachers"], 2)],
        "scores": ["every pair once"],
        "informed": ["(by its scores)", *_listed(spec["informed"])],
        "labels": ["teacher's scores", f"of groups of {spec['group']}"],
        "students": [students, *_pairs(spec["losses"])],
        "runs": ["re-ranked, and", "dense retrieval"] if spec["retrieval"] else ["of the first stage", "re-ranked"],
        "measures": ["per query,", "cell, domain"],
        "tables": ["of the study", "and beyond"],
    }


def _listed(names: Sequence[str], most: int = LISTED) -> list[str]:
    """One name a line, at most ``most`` lines."""
    return list(names) if len(names) <= most else [*names[: most - 1], f"and {len(names) - most + 1} more"]


def _pairs(names: Sequence[str]) -> list[str]:
    """Two names a line, two lines at most."""
    lines = [", ".join(names[start : start + 2]) for start in range(0, len(names), 2)]
    return lines if len(lines) <= 2 else [lines[0], f"and {len(names) - 2} more"]


def _draw_box(panel: Axes, box: Box, lines: Sequence[str]) -> None:
    x, y = box.at
    panel.add_patch(_rounded(x - WIDTH / 2, y - HEIGHT / 2, WIDTH, HEIGHT, box.colour))
    top = y + 0.5 * 0.2 * len(lines)
    _write(panel, (x, top), box.title, fontsize=6.5, fontweight="bold")
    for number, line in enumerate(lines, 1):
        _write(panel, (x, top - 0.2 * number - 0.02), line)


def _straight(start: str, end: str) -> list[tuple[float, float]]:
    """From the side of one box to the facing side of its neighbour."""
    (x0, y0), (x1, y1) = BOXES[start].at, BOXES[end].at
    side = (WIDTH / 2 if x1 > x0 else -WIDTH / 2, 0) if y0 == y1 else (0, HEIGHT / 2 if y1 > y0 else -HEIGHT / 2)
    return [(x0 + side[0], y0 + side[1]), (x1 - side[0], y1 - side[1])]


def _draw_arrow(panel: Axes, corners: Sequence[tuple[float, float]], *, dashed: bool) -> None:
    look = {"color": GREY, "linewidth": 0.8, "zorder": 1, "linestyle": (0, (3, 1.5)) if dashed else "-"}
    panel.plot(*zip(*corners[:-1], strict=True), **look, solid_joinstyle="round")
    head = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, "mutation_scale": 7}
    panel.annotate("", corners[-1], corners[-2], arrowprops={**head, **look})


def _draw_band(panel: Axes) -> None:
    left, right = BOXES["teacher"].at[0] - WIDTH / 2, BOXES["measures"].at[0] + WIDTH / 2
    panel.add_patch(_rounded(left, -1.08, right - left, 0.27, GREEN))
    text = "backbones and token stores: texts tokenised beforehand; read by teacher, scoring, students, re-ranking"
    _write(panel, ((left + right) / 2, -0.945), text)


def _rounded(x: float, y: float, width: float, height: float, colour: str) -> FancyBboxPatch:
    from matplotlib.colors import to_rgb
    from matplotlib.patches import FancyBboxPatch

    tint = tuple(0.1 * part + 0.9 for part in to_rgb(colour))  # the colour mixed with nine parts of white
    return FancyBboxPatch(
        *((x, y), width, height),
        **{"boxstyle": "round,pad=0,rounding_size=0.07", "mutation_aspect": 1, "zorder": 2},
        **{"facecolor": tint, "edgecolor": colour, "linewidth": 0.9},
    )


def _write(panel: Axes, place: tuple[float, float], text: str, **look: object) -> None:
    panel.text(*place, text, **{"ha": "center", "va": "center", "fontsize": 5.8, "zorder": 3, **look})


if __name__ == "__main__":
    run(draw_pipeline)
