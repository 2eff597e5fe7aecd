"""The configuration that artifacts were really made with, read from their manifests and told without repetition."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence

from workflow_scripts.storage.errors import InputError

Setting = tuple[str, str, str]
"""Setting, whom it applies to, value."""


def flatten(values: Mapping, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Leaves of a nested mapping by dotted key; a list is one leaf."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{name}.")
        else:
            yield name, value


def tell_settings(items: Sequence[tuple[Mapping[str, object], Mapping]]) -> list[Setting]:
    """Settings of ``items`` (who it is, as axis to value; its settings), each told once for all that share a value.

    Whom a value holds for is named by as few axes as decide the setting: "all" where every item has the same, else the
    values of the first smallest set of axes that decides it. Where more than LISTED share the commonest value, they are
    "the other n". An item that lacks a setting is not named. Raises :class:`InputError` where two items with the same
    axes disagree.
    """
    flat = [(who, dict(flatten(settings))) for who, settings in items]
    names = dict.fromkeys(name for _, settings in flat for name in settings)
    rows = []
    for name in names:
        texts = [(who, _text(settings[name]) if name in settings else None) for who, settings in flat]
        rows += [(name, whom, value) for whom, value in _tell(name, texts)]
    return rows


LISTED = 4


def _tell(name: str, values: Sequence[tuple[Mapping[str, object], str | None]]) -> Iterator[tuple[str, str]]:
    """(whom it holds for, value) of one setting; None stands for an item that lacks it."""
    decided = _decide(name, values)
    if len(set(decided.values())) == 1:
        yield "all", next(iter(decided.values()))
        return
    sharing: dict[str, list[str]] = {}
    for key, value in decided.items():
        if value is not None:
            sharing.setdefault(value, []).append(" ".join(filter(None, key)))
    commonest = max(sharing.values(), key=len)
    several = len(commonest) > LISTED
    for value, keys in sharing.items():
        others = f"the other {len(keys)}" if None not in decided.values() else f"the other {len(keys)} that have it"
        whom = others if several and keys is commonest and len(sharing) > 1 else ", ".join(keys)
        yield whom, value


def _decide(name: str, values: Sequence[tuple[Mapping[str, object], str | None]]) -> dict[tuple[str, ...], str | None]:
    """The setting's value by the first smallest set of axes that decides it."""
    axes = list(values[0][0])
    for number in range(len(axes) + 1):
        for chosen in itertools.combinations(axes, number):
            found: dict[tuple[str, ...], set] = {}
            for who, value in values:
                found.setdefault(tuple(str(who[axis]) for axis in chosen), set()).add(value)
            if all(len(told) == 1 for told in found.values()):
                return {key: next(iter(told)) for key, told in found.items()}
    raise InputError(f"two artifacts of the same name differ in {name}: delete one and build it again")


def _text(value: object) -> str:
    """A setting's value as it reads in a table."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return json.dumps(value)
