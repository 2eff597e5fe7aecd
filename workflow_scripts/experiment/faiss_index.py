"""Whether Faiss can make an index of a given kind, asked before anything is embedded."""

from __future__ import annotations

import math
import re

from workflow_scripts.models.faiss_indexes import SUPPORTED, is_supported

FLAT = "Flat"
LARGEST = 2**20
"""Largest number in an index's description: of lists, neighbours or bits. Faiss makes room for them at once."""
ANY_WIDTH = 2**6 * 3**2 * 5**2 * 7
"""Stands for a width that is not known yet: what divides it may divide the true one."""


def index_problem(index: str, parameters: str | None, width: int | None) -> str | None:
    """What is wrong with a factory string and the parameters of its search, in words; None where Faiss takes both.

    ``width``: of the vectors; None where it is not known before the model is fetched.
    """
    if index == FLAT:
        return f"index_parameters: {FLAT} has none; leave them out" if parameters else None
    if not is_supported(index):
        return f"index: {index!r} is not supported; name one of {SUPPORTED}"
    if any(int(number) > LARGEST for number in re.findall(r"\d{1,4000}", index)):
        return f"index: {index!r} has a number above {LARGEST}"
    try:
        values = [float(part.split("=", 1)[1]) for part in (parameters or "").split(",") if part]
    except (IndexError, ValueError):
        values = [math.nan]
    if not all(1 <= value < math.inf for value in values):
        return f"index_parameters: {parameters!r} must be like nprobe=16,efSearch=128, each at least 1"
    # Late: importing Faiss takes a fifth of a second, and the exact index needs none.
    import faiss

    try:
        made = faiss.index_factory(width or ANY_WIDTH, index, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        return f"index: Faiss makes no {index!r} of vectors {width or 'of any width'} wide ({_reason(error)})"
    try:
        if parameters:
            faiss.ParameterSpace().set_index_parameters(made, parameters)  # type: ignore[arg-type]
    except RuntimeError as error:
        return f"index_parameters: {index} does not take {parameters!r} ({_reason(error)})"
    return None


def _reason(error: RuntimeError) -> str:
    """The last part of Faiss' message, which says where in its code it stopped before."""
    return " ".join(str(error).rsplit(": ", 1)[-1].split())
