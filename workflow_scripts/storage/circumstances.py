"""What artifacts were made by (libraries, device, processor, arithmetic, code), and where they were made unalike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from workflow_scripts.storage.code import chosen_functions
from workflow_scripts.storage.processor import BF16_PRODUCTS, PORTABLE

T = TypeVar("T")
UNRECORDED = "not recorded"
CODE = "code"
PRODUCTS = "products"
UNALIKE = "made unalike"
"""Part of the configuration table that lists what :func:`unlike` finds."""


def circumstances(manifest: Mapping) -> dict[str, str]:
    """What can make one artifact's bytes other than those of the same job elsewhere, by name, as texts.

    Left out are the project's own version and commit (``code``, the digest of what the job ran, says more), and the
    processor where arithmetic was portable.
    """
    arithmetic = manifest.get("arithmetic", {})
    found = {name: version for name, version in manifest["versions"].items() if name != "distillery"}
    found |= {"device": manifest["device"], "processor": manifest.get("processor") or UNRECORDED}
    if arithmetic.get("setting") == PORTABLE and "not_portable" not in arithmetic:
        del found["processor"]
    named = (str(value) for name, value in sorted(arithmetic.items()) if name != PRODUCTS)
    # A job that found nothing to compute says of no products what multiplied them, and is no other arithmetic for that.
    found |= {"arithmetic": ", ".join(named) or UNRECORDED, PRODUCTS: arithmetic.get(PRODUCTS, UNRECORDED)}
    return {**found, CODE: manifest["job"]["code"] or UNRECORDED}


def unlike(manifests: Iterable[Mapping]) -> dict[tuple[str, str], Counter]:
    """Where artifacts of one kind were made unalike: (kind, circumstance) to its values, each with its artifacts.

    Where nothing differs, or only what was not recorded, there is no entry.
    """
    found: dict[tuple[str, str], Counter] = {}
    for (kind, name, *_), values in _groups(enumerate(manifests)):
        number = Counter({value: len(members) for value, members in values.items()})
        found.setdefault((kind, name), Counter()).update(number)
    return found


def odd_ones(made: Mapping[str, Mapping]) -> dict[str, list[str]]:
    """By name of an artifact, what it was made by and most of its kind were not; ``made``: name to manifest."""
    found: dict[str, list[str]] = {}
    for (_, circumstance, *_), values in _groups(made.items()):
        most = max(values, key=lambda value: len(values[value]))
        for value, members in values.items():
            for name in members if value not in (most, UNRECORDED) else ():
                found.setdefault(name, []).append(f"{circumstance} {value[:10] if circumstance == CODE else value}")
    return found


def _groups(made: Iterable[tuple[T, Mapping]]) -> Iterator[tuple[tuple, dict[str, list[T]]]]:
    """Artifacts that are compared, by kind, circumstance and more, where they differ in it: value to their names.

    Compared are artifacts that the same script made, codes only where it chose the same functions too (two losses are
    not two codes), products only of one precision, which under ``auto`` goes by the model.
    """
    groups: dict[tuple, dict[str, list[T]]] = {}
    for own, each in made:
        script = each["job"]["module"] or ""
        functions = chosen_functions(script, each["spec"])
        for name, value in circumstances(each).items():
            parts: dict[str, Sequence] = {CODE: functions, PRODUCTS: [value == BF16_PRODUCTS]}
            key = (each["kind"], name, script, *parts.get(name, ()))
            groups.setdefault(key, {}).setdefault(value, []).append(own)
    return ((key, values) for key, values in groups.items() if len(values.keys() - {UNRECORDED}) > 1)
