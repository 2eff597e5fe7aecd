"""The pipeline's figure says what the workflow does: what is drawn against Snakemake's graph of the demo's rules."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
import yaml
from matplotlib.figure import Figure
from project import ROOT, Project
from rendered import keep_figures

from workflow_scripts.report import draw_pipeline
from workflow_scripts.report.draw_pipeline import BOXES, ENCODERS, FEEDBACK, HEIGHT, WIDTH

REPORTING = ("claims", "effectiveness", "locality", "studies", "report")
"""Files of rules that the box of tables and figures stands for."""
OTHERS = ("common", "jobs", "export")
"""Files without rules of the study."""


def rules_of(*stages: str) -> set[str]:
    text = "".join((ROOT / "rules" / f"{stage}.smk").read_text() for stage in stages)
    return set(re.findall(r"^ *use rule \w+ as (\w+) with:", text, re.MULTILINE))


def boxes_of_rules() -> dict[str, set[str]]:
    """Rule to the boxes that stand for it."""
    found: dict[str, set[str]] = {}
    for name, box in BOXES.items():
        for rule in box.rules:
            found.setdefault(rule, set()).add(name)
    for rule in rules_of(*REPORTING) - set(found):
        found[rule] = {"tables"}
    return found


def reachable(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    closure = set(arrows)
    while True:
        more = {(a, d) for (a, b), (c, d) in itertools.product(closure, closure) if b == c} - closure
        if not more:
            return closure
        closure |= more


@pytest.fixture
def figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Figure:
    """The demo's figure."""
    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    samplers = list(config["samplers"])
    spec = {name: list(config[name]) for name in ("systems", "teachers", "losses", "students")}
    spec |= {"plain": samplers[:2], "informed": samplers[2:], "tests": [], "group": 8, "dense": True, "retrieval": True}
    drawn = keep_figures(monkeypatch, draw_pipeline)
    draw_pipeline.draw_pipeline(spec=spec, png=tmp_path / "figure.png", pdf=tmp_path / "figure.pdf")
    return drawn[0]


def box_at(x: float, y: float) -> str:
    """The box on whose edge, or in which, a point is."""
    near = 1e-6
    (name,) = (
        name
        for name, box in BOXES.items()
        if abs(x - box.at[0]) <= WIDTH / 2 + near and abs(y - box.at[1]) <= HEIGHT / 2 + near
    )
    return name


def drawn_arrows(figure: Figure) -> set[tuple[str, str]]:
    """Arrows as drawn, from where a line starts to where its head ends."""
    panel = figure.axes[0]
    heads = [text for text in panel.texts if getattr(text, "arrow_patch", None)]
    return {(box_at(*line.get_xydata()[0]), box_at(*head.xy)) for line, head in zip(panel.lines, heads, strict=True)}


def test_every_rule_has_a_box_and_no_box_a_rule_that_is_gone() -> None:
    existing = rules_of(*(path.stem for path in (ROOT / "rules").glob("*.smk") if path.stem not in OTHERS))
    assert len(existing) > 30
    assert set(boxes_of_rules()) | set(ENCODERS) == existing


def test_drawn_arrows_are_the_dependencies(tmp_path: Path, figure: Figure) -> None:
    done = Project.fresh(tmp_path).run("--rulegraph", "dot", config="config/demo.yaml")
    assert done.returncode == 0, done.stderr
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', done.stdout))
    boxes = boxes_of_rules()
    dependencies = {
        (names[start], names[end])
        for start, end in re.findall(r"(\d+) -> (\d+)", done.stdout)
        if names[start] in boxes and names[end] in boxes
    }
    assert len(dependencies) > 30
    contracted = {
        (a, b) for start, end in dependencies for a, b in itertools.product(boxes[start], boxes[end]) if a != b
    }
    arrows = drawn_arrows(figure)
    assert arrows <= contracted and FEEDBACK in arrows
    paths = reachable(arrows - {FEEDBACK})
    for start, end in dependencies:
        # Of a rule with two boxes (samplers with and without a teacher) one is enough.
        pairs = list(itertools.product(boxes[start], boxes[end]))
        arrow = any(a == b or (a, b) in paths for a, b in pairs) or (start, end) == ("train_student", "search_dense")
        assert arrow, f"{start} -> {end} is neither an arrow nor a path"


def test_every_box_is_drawn_with_its_title_and_no_text_leaves_it(figure: Figure) -> None:
    figure.draw_without_rendering()
    panel = figure.axes[0]
    titles = {}
    for text in panel.texts:
        bounds = text.get_window_extent().transformed(panel.transData.inverted())
        inside = [
            name
            for name, box in BOXES.items()
            if abs(text.get_position()[0] - box.at[0]) < 0.01 and abs(text.get_position()[1] - box.at[1]) < HEIGHT / 2
        ]
        for name in inside if text.get_text() else []:
            titles.setdefault(name, text.get_text())
            assert bounds.width < WIDTH and bounds.height < HEIGHT, f"{text.get_text()} is wider than {name}"
    assert titles == {name: box.title for name, box in BOXES.items()}
