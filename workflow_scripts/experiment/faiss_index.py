"""Whether Faiss can make an index of a given kind, asked before anything is embedded."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping

from workflow_scripts.experiment.filled import searched
from workflow_scripts.experiment.references import tested
from workflow_scripts.models.faiss_indexes import SUPPORTED, is_supported

FLAT = "Flat"
LARGEST = 2**20
"""Largest number in an index's description: of lists, neighbours or bits. Faiss makes room for them at once."""
ANY_WIDTH = 2**6 * 3**2 * 5**2 * 7
"""Stands for a width that is not known yet: what divides it may divide the true one."""


def index_problems(config: Mapping) -> Iterator[str]:
    """Indexes of a configuration that Faiss could not make, as lines that name the key and the fix."""
    for name, system in config["systems"].items():
        if system["model"] == "dense":
            collections = [collection for each, collection in searched(config) if each == name]
            yield from _problems(config, f"systems.{name}", system, _width(config, system["encoder"]), collections)
    if retrieval := config["evaluation"]["retrieval"]:
        chosen = retrieval["collections"] or tested(config)
        yield from _problems(config, "evaluation.retrieval", retrieval, None, chosen)


def _problems(
    config: Mapping, where: str, entry: Mapping, width: int | None, collections: Iterable[str]
) -> Iterator[str]:
    index = entry.get("index", FLAT)
    if problem := index_problem(index, entry.get("index_parameters"), width):
        yield f"{where}.{problem}"
        return
    # One for each cell and each value of a code.
    cells, code = re.match(r"IVF(\d+)", index), re.search(r"PQ\d+(?:x(\d+))?", index)
    needed = max(int(cells[1]) if cells else 1, 2 ** int(code[1] or 8) if code else 1)
    for corpus in dict.fromkeys(config["collections"][name]["corpus"] for name in collections):
        source = config["corpora"][corpus]
        if source["source"] == "generated" and source["documents"] < needed:
            yield f"{where}.index: {index} needs {needed} documents, more than {corpus} has; name a smaller index"


def _width(config: Mapping, encoder: str) -> int | None:
    """Width of an encoder's vectors; None where a fetched model decides it."""
    student = config["students"].get(encoder.split("/")[0].split(".")[0], {"backbone": encoder})
    backbone = config["backbones"].get(student["backbone"], {})
    return backbone["architecture"]["hidden"] if backbone.get("source") == "scratch" else None


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
