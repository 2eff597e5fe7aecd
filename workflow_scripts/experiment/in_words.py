"""What a reader who does not know an experiment's names needs of its losses and samplers: functions in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workflow_scripts.experiment.functions import read_function


def in_words(of: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """``kinds`` of the page's spec for a reader: an architecture's name, a function's first line of its docstring.

    ``teaching``: the losses that read the teacher. Read where the page is written and not in the plan, so that a
    docstring that changes reruns nothing.
    """
    functions = {
        axis: {name: read_function(axis, function).summary for name, function in of[axis].items()}
        for axis in ("losses", "samplers")
    }
    teaching = [name for name, file in of["losses"].items() if read_function("losses", file).needs["NEEDS_TEACHER"]]
    return {"students": dict(of["students"]), **functions, "teaching": teaching}
