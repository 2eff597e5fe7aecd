"""Options of a source: the keys of a spec, checked against those that the source knows."""

from __future__ import annotations

from collections.abc import Mapping

from workflow_scripts.storage.errors import InputError

REQUIRED = object()


def read_options(spec: Mapping, known: Mapping[str, object], what: str) -> dict:
    """``spec`` completed with the defaults of ``known``; a default of :data:`REQUIRED` must be given.

    Raises :class:`InputError` for a key that is unknown or missing, naming it and the keys there are.
    """
    for key in spec:
        if key not in known:
            raise InputError(f"{what} has no option {key!r}: it knows {', '.join(known)}")
    for key, default in known.items():
        if default is REQUIRED and key not in spec:
            raise InputError(f"{what} needs the option {key!r}: add it to the spec")
    return {key: spec.get(key, default) for key, default in known.items()}


def check_choice(name: str, value: object, choices: tuple | list) -> None:
    """Raise :class:`InputError` where ``value`` is none of ``choices``."""
    if value not in choices:
        raise InputError(f"{name} {value!r} is unknown: choose one of {', '.join(map(repr, choices))}")


def check_number(name: str, value: object, least: int, optional: bool = False) -> None:
    """Raise :class:`InputError` where ``value`` is no whole number from ``least`` on (or null, if ``optional``)."""
    if value is None and optional:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} is {value!r}: give a whole number from {least} on")
