"""Compute the configuration table: what every artifact was made with, from the manifests."""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.analysis.measures import KEYS
from workflow_scripts.report.lineage import Lineage, stages
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.circumstances import CODE, UNALIKE, UNRECORDED, circumstances, unlike
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_numbers

COLUMNS = ("part", "setting", "of", "value")
# What names a model among its siblings, no setting of it; a metrics' keys and a run's tag say the same.
NAMES = ("name", "keys", "tag", "card")
RANKED = ("students", "runs")  # stages whose artifacts the keys of the metrics name
SPECIAL_TOKENS = ("cls", "sep", "pad", "mask", "separators")
LISTED = 4
"""Items that are named one by one where they share a value; more may be "the other n"."""
Setting = tuple[str, str, str]
"""Setting, whom it applies to, value."""
Item = tuple[Mapping[str, object], Mapping]
"""Who it is (axis to value), and its settings."""


def make_configuration_table(*, metrics: Sequence[Path], output: Path) -> None:
    """Write the rows: part, setting, of (whom it applies to), value; all of them texts.

    ``metrics``: manifests of every ranker's metrics. Their lineage is walked through the manifests' recorded inputs and
    so holds exactly what the results were made from. Settings are the manifests' specs; counts are theirs too
    (``counts.``). An artifact is called by its folder below its stage's. The part ``software`` has versions, devices,
    processors, arithmetic and commits of all jobs, and lists every one where they differ. The part ``made unalike``
    has a row for whatever makes bytes and differs within one kind of artifacts, with how many were made by each.
    """
    lineage = Lineage()
    # By path: the order in which manifests list their inputs is that of the config on the day they were made.
    everything = dict(sorted(lineage.behind(metrics).items()))
    root = os.path.commonpath([artifact.manifest_path.parent.resolve() for artifact in everything.values()])
    rows: list[tuple[str, ...]] = []
    for part, members in stages(everything).items():
        if part in RANKED:
            items = _ranked(lineage, metrics, part)
        else:
            items = [({"artifact": _name(artifact, root)}, _settings(artifact)) for artifact in members]
        rows += [(part, *setting) for setting in shared_settings(items)]
    made = [artifact.manifest for artifact in everything.values()]
    rows += [("software", *setting) for setting in _software(made)]
    rows += [(UNALIKE, name, kind, _counted(values)) for (kind, name), values in unlike(made).items()]
    write_numbers(output, pd.DataFrame(rows, columns=list(COLUMNS)), {})


def shared_settings(items: Sequence[Item]) -> list[Setting]:
    """Settings of ``items``, each once for all that share a value.

    Whom a value applies to is named by as few axes as decide the setting: "all" where every item has the same, else the
    values of the first smallest set of axes that decides it. Where more than LISTED share the commonest value, they are
    "the other n". An item that lacks a setting is not named. Raises :class:`InputError` where two items with the same
    axes disagree.
    """
    flat = [(who, dict(flatten(settings))) for who, settings in items]
    rows = []
    for name in dict.fromkeys(name for _, settings in flat for name in settings):
        texts = [(who, _text(settings[name]) if name in settings else None) for who, settings in flat]
        rows += [(name, whom, value) for whom, value in _values(name, texts)]
    return rows


def flatten(values: Mapping, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Leaves of a nested mapping by dotted key; a list is one leaf."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{name}.")
        else:
            yield name, value


def _text(value: object) -> str:
    """A setting's value as it reads in a table."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return json.dumps(value)


def _values(name: str, texts: Sequence[tuple[Mapping[str, object], str | None]]) -> Iterator[tuple[str, str]]:
    """(whom it applies to, value) of one setting; None stands for an item that lacks it."""
    decided = _decide(name, texts)
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
        yield (others if several and keys is commonest and len(sharing) > 1 else ", ".join(keys)), value


def _decide(name: str, texts: Sequence[tuple[Mapping[str, object], str | None]]) -> dict[tuple[str, ...], str | None]:
    """The setting's value by the first smallest set of axes that decides it."""
    axes = list(texts[0][0])
    for number in range(len(axes) + 1):
        for chosen in itertools.combinations(axes, number):
            found: dict[tuple[str, ...], set] = {}
            for who, value in texts:
                found.setdefault(tuple(str(who[axis]) for axis in chosen), set()).add(value)
            if all(len(values) == 1 for values in found.values()):
                return {key: next(iter(values)) for key, values in found.items()}
    raise InputError(f"two artifacts of the same name differ in {name}: delete one and build it again")


def _ranked(lineage: Lineage, metrics: Iterable[Path], part: str) -> list[Item]:
    """Every student or its runs (and the references') by the keys that its metrics name, with their settings."""
    items = []
    for manifest in metrics:
        keys = lineage.artifact(manifest).spec["keys"]
        if part == "runs" or keys["sampler"]:
            who = {axis: "" if keys[axis] is None else keys[axis] for axis in KEYS}
            path = lineage.run(manifest) if part == "runs" else lineage.model(manifest)
            items.append((who, _settings(lineage.artifact(path), counted=part != "runs")))
    return items


def _settings(artifact: Artifact, counted: bool = True) -> dict:
    """An artifact's spec and, where they are plain numbers, its counts."""
    settings = {key: value for key, value in artifact.spec.items() if key not in NAMES}
    counts = {
        key: value
        for key, value in artifact.counts.items()
        if isinstance(value, int) and not isinstance(value, bool) and key not in SPECIAL_TOKENS
    }
    return {**settings, "counts": counts} if counted and counts else settings


def _name(artifact: Artifact, root: str) -> str:
    """An artifact's folder below the experiment's and its stage's, as a reader would look for it."""
    parts = artifact.manifest_path.parent.resolve().relative_to(root).parts
    return "/".join(parts[1:] or parts)


def _counted(values: Counter) -> str:
    """Values with their numbers; of a checksum its beginning."""
    return ", ".join(f"{value[:10] if len(value) == 64 else value}: {count}" for value, count in _ordered(values))


def _ordered(values: Counter) -> list[tuple[str, int]]:
    return sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))


def _software(manifests: Sequence[Mapping]) -> list[Setting]:
    """Versions, hardware and commits: "all jobs", or how many jobs of how many where they differ."""
    found: dict[str, Counter] = {}
    total = len(manifests)
    for manifest in manifests:
        made_by = {name: value for name, value in circumstances(manifest).items() if name != CODE}
        named = {"distillery": manifest["versions"].get("distillery", UNRECORDED), **made_by}
        named |= {"processor": manifest.get("processor") or UNRECORDED, "commit": manifest["commit"] or "no checkout"}
        for name, value in named.items():
            found.setdefault(name, Counter())[value] += 1
    return [
        (name, "all jobs" if count == total else f"{count} of {total} jobs", value)
        for name, values in found.items()
        for value, count in _ordered(values)
    ]


if __name__ == "__main__":
    run(make_configuration_table)
