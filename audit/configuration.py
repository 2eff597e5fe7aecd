"""The configuration table a second time: the settings and counts that the manifests behind the metrics hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping

import pandas as pd

from audit.cost import Graph
from audit.rows import Rows
from audit.sources import Sources

LEFT_OUT = {"name", "keys", "tag", "card"}
TOKENS = {"cls", "sep", "pad", "mask", "separators"}


def configuration(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Each row's value is one that a manifest of its part has, and no other is missing; of software, how many jobs."""
    graph = Graph(sources.folder)
    metrics = graph.metrics(sources)["metrics"]
    behind = graph.behind(metrics)
    parts: dict[str, set[tuple[str, str]]] = {}
    runs = {graph.manifests[each]["inputs"]["runs"]["path"] for each in metrics}  # BM25's are what all others re-rank
    students = {path for each in runs for path in graph.parents(each) if graph.kind(path) == "students"}
    places = [(graph.kind(path), path) for path in behind if graph.kind(path) not in ("runs", "students")]
    for part, path in [*places, *(("runs", path) for path in runs), *(("students", path) for path in students)]:
        parts.setdefault(part, set()).update(_settings(graph.manifests[path], counted=part != "runs"))
    software = Counter(each for path in behind for each in _software(graph.manifests[path]))
    # What was made unalike repeats rows of software, kind by kind, and codes, which no reader of manifests can group.
    for part, rows in frame[frame["part"] != "made unalike"].groupby("part", sort=False):
        found = software if part == "software" else parts[part]
        shown = set(zip(rows["setting"], rows["value"], strict=True))
        missing = iter(f"lacks {setting}: {value}" for setting, value in {*found} - shown)
        for row in rows.itertuples():
            key = (row.setting, row.value)
            value = next(missing, row.value if key in found else "in no manifest")
            number = software[key] if part == "software" else 0
            of = "all jobs" if number == len(behind) else f"{number} of {len(behind)} jobs"
            yield row.Index, {"value": value, **({"of": of} if part == "software" else {})}


def _settings(manifest: Mapping, counted: bool) -> Iterator[tuple[str, str]]:
    """Each leaf of a manifest's spec and its whole numbers of counts, as a table shows them."""
    yield from _leaves("", {name: value for name, value in manifest["spec"].items() if name not in LEFT_OUT})
    if counted:
        for name, value in manifest["counts"].items():
            if type(value) is int and name not in TOKENS:
                yield f"counts.{name}", f"{value:,}"


def _leaves(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and (value or not name):
        for key, each in value.items():
            yield from _leaves(f"{name}.{key}".lstrip("."), each)
    else:
        yield name, value if isinstance(value, str) else f"{value:,}" if type(value) is int else json.dumps(value)


def _software(manifest: Mapping) -> Iterator[tuple[str, str]]:
    yield from manifest["versions"].items()
    yield "device", manifest["device"]
    yield "processor", manifest["processor"] or "not recorded"
    arithmetic = dict(manifest["arithmetic"])
    yield "products", arithmetic.pop("products", "not recorded")
    yield "arithmetic", ", ".join(str(value) for _, value in sorted(arithmetic.items()))
    yield "commit", manifest["commit"] or "no checkout"
