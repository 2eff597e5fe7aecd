"""Draw the pipeline: how an experiment's samplers, teachers, losses and students hang together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow_scripts.presentation.plots import save_figure
from workflow_scripts.report.pipeline_diagram import draw_diagram
from workflow_scripts.storage.command import run

LISTED = 3


def draw_pipeline(*, spec: Mapping, png: Path, pdf: Path) -> None:
    """Write the figure twice.

    ``spec``: the lists ``systems``, ``plain`` and ``informed`` (samplers that read no teacher's scores, and those that
    do), ``teachers``, ``losses``, ``students``, ``tests`` (test collections), ``group`` (documents in a group), and
    whether there is a ``dense`` system by a student and ``retrieval`` from whole collections.
    """
    details = {
        "data": ["documents", "queries, qrels", f"{len(spec['tests'])} test sets"],
        "first": _listed(spec["systems"]),
        "plain": ["(no teacher)", *_pairs(spec["plain"])],
        "teacher": ["cross-encoder", *_listed(spec["teachers"], 2)],
        "scores": ["every pair once"],
        "informed": ["(by its scores)", *_listed(spec["informed"])],
        "labels": ["teacher's scores", f"of groups of {spec['group']}"],
        "students": [_joined(spec["students"]), *_pairs(spec["losses"])],
        "runs": ["re-ranked, and", "dense retrieval"] if spec["retrieval"] else ["of the first stage", "re-ranked"],
        "measures": ["per query,", "cell, domain"],
        "tables": ["of the study", "and beyond"],
    }
    save_figure(draw_diagram(details, dense=spec["dense"]), png, pdf)


def _listed(names: Sequence[str], most: int = LISTED) -> list[str]:
    """One name a line, at most ``most`` lines."""
    return list(names) if len(names) <= most else [*names[: most - 1], f"and {len(names) - most + 1} more"]


def _joined(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= LISTED else f"{len(names)} kinds"


def _pairs(names: Sequence[str]) -> list[str]:
    """Two names a line, three lines at most."""
    lines = [", ".join(names[start : start + 2]) for start in range(0, len(names), 2)]
    return lines if len(lines) <= 2 else [lines[0], f"and {len(names) - 2} more"]


if __name__ == "__main__":
    run(draw_pipeline)
