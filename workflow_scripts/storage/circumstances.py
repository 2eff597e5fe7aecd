"""What artifacts were made by (libraries, device, processor, arithmetic, code), and where they were made unalike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from workflow_scripts.storage.code import chosen_functions
from workflow_scripts.storage.processor import PORTABLE

UNRECORDED = "not recorded"
CODE = "code"
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
    found["arithmetic"] = ", ".join(str(value) for _, value in sorted(arithmetic.items())) or UNRECORDED
    return {**found, CODE: manifest["job"]["code"] or UNRECORDED}


def unlike(manifests: Iterable[Mapping]) -> dict[tuple[str, str], Counter]:
    """Where artifacts of one kind were made unalike: (kind, circumstance) to its values, each with its artifacts.

    Compared are artifacts that the same script made, codes only where it chose the same functions too: two losses are
    not two codes. Where nothing differs, or only what was not recorded, there is no entry.
    """
    groups: dict[tuple, Counter] = {}
    for each in manifests:
        script = each["job"]["module"] or ""
        functions = chosen_functions(script, each["spec"])
        for name, value in circumstances(each).items():
            key = (each["kind"], name, script, *(functions if name == CODE else ()))
            groups.setdefault(key, Counter())[value] += 1
    found: dict[tuple[str, str], Counter] = {}
    for (kind, name, *_), values in groups.items():
        if len(values.keys() - {UNRECORDED}) > 1:
            found.setdefault((kind, name), Counter()).update(values)
    return found
