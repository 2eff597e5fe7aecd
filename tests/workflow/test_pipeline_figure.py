"""The pipeline's figure says what the workflow does: its boxes and arrows against Snakemake's graph of the rules."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from project import ROOT, Project

from workflow_scripts.report.pipeline_diagram import ARROWS, BOXES, ENCODERS, FEEDBACK, draw_diagram

REPORTING = ("analyse.smk", "locality.smk", "studies.smk", "report.smk")


def rules_of(*files: str) -> set[str]:
    return set(
        re.findall(r"^rule (\w+):", "".join((ROOT / "rules" / name).read_text() for name in files), re.MULTILINE)
    )


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


def test_every_rule_has_a_box_and_no_box_a_rule_that_is_gone() -> None:
    existing = rules_of(*(path.name for path in (ROOT / "rules").glob("*.smk")))
    placed = set(boxes_of_rules()) | set(ENCODERS)
    assert placed == existing


def test_arrows_are_the_dependencies(tmp_path: Path) -> None:
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
    assert {*ARROWS, FEEDBACK} <= contracted
    paths = reachable(set(ARROWS))
    for start, end in dependencies:
        # Of a rule with two boxes (samplers with and without a teacher) one is enough.
        pairs = list(itertools.product(boxes[start], boxes[end]))
        arrow = any(a == b or (a, b) in paths for a, b in pairs) or (start, end) == ("train_student", "search_dense")
        assert arrow, f"{start} -> {end} is neither an arrow nor a path"


def test_no_text_leaves_its_box() -> None:
    figure = draw_diagram({name: ["a longer line", "two, three"] for name in BOXES})
    figure.draw_without_rendering()
    panel = figure.axes[0]
    for box in BOXES.values():
        (title,) = [
            text
            for text in panel.texts
            if text.get_text() == box.title
            and abs(text.get_position()[0] - box.at[0]) < 0.01
            and abs(text.get_position()[1] - box.at[1]) < 0.5
        ]
        bounds = title.get_window_extent().transformed(panel.transData.inverted())
        assert bounds.width < 0.98, f"{box.title} is wider than its box"
