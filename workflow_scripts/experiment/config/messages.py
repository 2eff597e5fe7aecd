"""Faults of a configuration as the one line that a user reads: the key, what is wrong, what is right."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from workflow_scripts.experiment.config.settings import FUNCTION, LONGEST_ID, NAME, PRINTABLE, SHA256, SLUG

PATTERNS = {
    SLUG: "must be lower-case letters and digits, joined by hyphens",
    FUNCTION: "must be the name of a file there, lower-case letters, digits and underscores",
    NAME: "must be letters, digits and _ . / + -, the first a letter or a digit",
    PRINTABLE: "must be one line of text, without control characters",
    SHA256: "must be 64 hexadecimal digits",
}
MUST = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text, in quotes where YAML reads something else",
    "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be above {gt:g}",
    "less_than_equal": "must be at most {le:g}",
    "less_than": "must be below {lt:g}",
    "string_too_long": "must have at most {max_length} characters",
    "string_unicode": "must be text that has a UTF-8 form",
    "dict_type": "must be a mapping of ids to entries",
    "model_type": "must be a mapping of settings",
    "model_attributes_type": "must be a mapping of settings",
    "list_type": "must be a list",
    "literal_error": "must be one of {expected}",
}
"""pydantic's type of fault: what the value must be, with the values of its context."""


def first_line(error: ValidationError, config: Mapping) -> str:
    """The line of the first fault: ``KEY.PATH: what is wrong; what is right``."""
    fault = error.errors(include_url=False)[0]
    path = [*_path(fault["loc"], config, fault["type"])]
    return f"{'.'.join(map(_shown, path)) or 'top level'}: {_what(fault)}"


def _shown(key: int | str) -> str:
    """A key as a line can hold it."""
    text = str(key)
    return text if text.isprintable() and len(text) <= 2 * LONGEST_ID else reprlib.repr(text)


def _path(places: Sequence[int | str], value: object, kind: str) -> Iterator[int | str]:
    """Keys of a fault without those that pydantic adds: the chosen part of a union, "[key]"."""
    for place in places:
        inside = isinstance(value, Mapping) and place in value
        if inside or (isinstance(value, Sequence) and isinstance(place, int)):
            value = value[place]  # type: ignore[call-overload, index]
            yield place
    if kind == "missing":
        yield places[-1]


def _what(fault: ErrorDetails) -> str:
    kind, given, context = fault["type"], fault["input"], fault.get("ctx", {})
    if kind == "missing":
        whole = ", or name the file of a whole experiment before this one" if len(fault["loc"]) == 1 else ""
        return f"is missing; give it a value{whole}"
    if kind == "value_error":
        return str(context["error"])
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        name = context["discriminator"].strip("'")
        tags = context.get("expected_tags", "").replace("'", "")
        found = (
            f"is {reprlib.repr(context['tag'])}; it must be one of {tags}" if tags else "is missing; give it a value"
        )
        return f"{name} {found}"
    if kind == "string_pattern_mismatch":
        return f"{PATTERNS[context['pattern']]} (is {reprlib.repr(given)})"
    if kind == "string_too_short":
        return "is empty; write something"
    if kind == "too_short" and context["min_length"] == 1:
        return "is empty; name at least one"
    if kind in ("too_short", "too_long"):
        return (
            f"must have {context.get('min_length', context.get('max_length'))} entries (has {context['actual_length']})"
        )
    if kind == "literal_error":
        context = {"expected": context["expected"].replace("'", "").replace(" or ", ", ")}
    must = MUST[kind].format(**context) if kind in MUST else fault["msg"]
    return f"{must} (is {reprlib.repr(given)})"
