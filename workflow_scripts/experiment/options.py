"""Options of a loss or a sampler, checked against what its file says of them.

The file holds ``OPTIONS``, a literal: each keyword-only argument of its function to a mapping with ``type`` (a key of
:data:`TYPES`, or ``choice`` with its ``choices``), ``description`` and, where it has them, ``unit``, the limits ``ge``,
``gt``, ``le``, ``lt``, and ``within``, another option, which the sum of all so marked may not exceed. ``needs_level``
of a sampler's ``choice``: those that a constant added to all of a teacher's scores would change. Defaults stand in the
function's signature.
"""

from __future__ import annotations

import importlib
import inspect
import math
import reprlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import ModuleType

from workflow_scripts.storage.errors import InputError, one_line

TYPES = {"whole": "a whole number", "number": "a number", "text": "text", "texts": "a list of texts"}
LARGEST = 2**31 - 1
"""Beyond this a number is a slip of the keyboard."""
LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def rule(described: Mapping) -> str:
    """What a value must be, in words: ``a whole number, at least 1``."""
    if described["type"] == "choice":
        return f"one of {', '.join(described['choices'])}"
    limits = [f"{words} {described[limit]:g}" for limit, words in LIMITS.items() if limit in described]
    return ", ".join([TYPES[described["type"]], " and ".join(limits)] if limits else [TYPES[described["type"]]])


def option_problems(options: Mapping, described: Mapping[str, Mapping], defaults: Mapping) -> Iterator[str]:
    """What is wrong with ``options``, as the end of a line that names where they stand: ``.pool: must be ...``.

    ``described``: the file's ``OPTIONS``; ``defaults``: the function's defaults; an option without one is required.
    """
    for name in options:
        if name not in described:
            yield f": unknown key {name!r}; known are {', '.join(described) or 'none'}"
    for name in described:
        if name not in options and name not in defaults:
            yield f".{name}: is missing; it must be {rule(described[name])}"
    for name, value in options.items():
        if not _is_valid(value, described[name]) and not (value is None and defaults.get(name, ...) is None):
            yield f".{name}: must be {rule(described[name])} (is {reprlib.repr(value)})"
    yield from _too_large({**defaults, **options}, described)


def load_file(package: str, function: str, name: str, options: Mapping) -> ModuleType:
    """The module ``name`` of a package of losses or samplers; :class:`InputError` where it cannot have the options.

    The planner has checked a job's options; this is for jobs that are run by hand.
    """
    kind = package.rsplit(".", 1)[1]
    names = sorted(path.stem for path in Path(__file__).parents[2].joinpath(*package.split(".")).glob("[!_]*.py"))
    if name not in names:
        raise InputError(f"no {name!r} among the {kind}: there are {', '.join(names)}")
    try:
        module = importlib.import_module(f"{package}.{name}")
    except Exception as error:
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise InputError(f"{kind}/{name}.py cannot be imported ({reason}): correct the file") from error
    arguments = inspect.signature(getattr(module, function)).parameters.values()
    defaults = {each.name: each.default for each in arguments if each.default is not inspect.Parameter.empty}
    for problem in option_problems(options, module.OPTIONS, defaults):
        raise InputError(f"{kind}: {name}, options{problem}")
    return module


def _too_large(values: Mapping, described: Mapping[str, Mapping]) -> Iterator[str]:
    """Options whose sum exceeds the one that they lie within."""
    for whole in dict.fromkeys(each["within"] for each in described.values() if "within" in each):
        parts = [name for name, each in described.items() if each.get("within") == whole]
        if (total := sum(values[name] for name in parts)) > values[whole]:
            yield f".{parts[-1]}: {' + '.join(parts)} must be at most {whole} ({total} is more than {values[whole]})"


def _is_valid(value: object, described: Mapping) -> bool:
    kind = described["type"]
    if kind == "choice":
        return value in described["choices"]
    if kind in ("text", "texts"):
        texts: Collection = value if kind == "texts" and isinstance(value, list | tuple) else [value]
        return (kind == "texts") == isinstance(value, list | tuple) and all(isinstance(text, str) for text in texts)
    if isinstance(value, bool) or not isinstance(value, int if kind == "whole" else (int, float)):
        return False
    low, above = described.get("ge", -LARGEST), described.get("gt", -math.inf)
    high, below = described.get("le", LARGEST), described.get("lt", math.inf)
    return low <= value <= high and above < value < below
