"""The cost table a second time, from the manifests of every artifact."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from audit.rows import Rows
from audit.sources import Sources

JOULES = 3600
"""A watt-hour."""


def cost(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Sums over all artifacts of a stage, and over all that stands behind a student or its groups and labels."""
    graph = _Graph(sources.folder)
    # A folder may hold what an earlier configuration asked for; what was not trained has no metrics, but costs.
    wanted = {name: {(cell, seed) for cell, seed, *_ in values.places} for name, values in sources.values.items()}
    of_table = {"metrics": [], "retrieval": []}
    for path in graph.of_kind("metrics"):
        name = "retrieval" if "retrieved" in Path(path).parts else "metrics"
        keys = graph.manifests[path]["spec"]["keys"]
        cell = tuple(keys[key] or "" for key in ("student", "loss", "sampler", "teacher"))
        if (cell, keys["seed"]) in wanted.get(name, ()) or "nothing" in graph.manifests[path]["counts"]:
            of_table[name].append(path)
    measured = of_table["metrics"]
    everything = graph.behind([*measured, *of_table["retrieval"], *graph.of_kind("embeddings")])
    students: dict[str, dict] = {}
    for path in measured:
        keys = graph.manifests[path]["spec"]["keys"]
        if keys["sampler"]:
            (run,) = [each for each in graph.parents(path) if graph.kind(each) == "runs"]
            (student,) = [each for each in graph.parents(run) if graph.kind(each) == "students"]
            students[student] = keys
    for row in frame.itertuples():
        if row.scope == "stage":
            yield row.Index, graph.total([p for p in everything if graph.kind(p) == row.stage], spec)
            continue
        found = [
            starts
            for student, keys in students.items()
            if (keys["sampler"], keys["teacher"]) == (row.sampler, row.teacher)
            and (row.scope == "sampler" or (keys["student"], keys["loss"]) == (row.student, row.loss))
            for starts in [graph.starts(student, row.scope, row.stage)]
            if starts
        ]
        of_seeds = [graph.total(graph.behind(starts), spec) for starts in dict.fromkeys(found)]
        yield row.Index, {name: sum(each[name] for each in of_seeds) / len(of_seeds) for name in of_seeds[0]}


class _Graph:
    """Manifests by path, and what each was made from."""

    def __init__(self, folder: Path) -> None:
        root = folder.parent.parent
        paths = folder.rglob("manifest.json")
        self.manifests = {str(path.relative_to(root)): json.loads(path.read_text()) for path in paths}

    def kind(self, path: str) -> str:
        return self.manifests[path]["kind"]

    def of_kind(self, kind: str) -> list[str]:
        return sorted(path for path in self.manifests if self.kind(path) == kind)

    def parents(self, path: str) -> list[str]:
        given = self.manifests[path]["inputs"].values()
        paths = [each["path"] for value in given for each in (value if isinstance(value, list) else [value])]
        return [each for each in paths if each in self.manifests]

    def behind(self, starts: Iterable[str]) -> set[str]:
        """The starts and all that they were made from."""
        found, queue = set(), list(starts)
        while queue:
            if (path := queue.pop()) not in found:
                found.add(path)
                queue += self.parents(path)
        return found

    def starts(self, student: str, scope: str, stage: str) -> tuple[str, ...]:
        """What a row's cost is of: the student, or its groups (and labels)."""
        if scope == "student":
            return (student,)
        kinds = {self.kind(path): path for path in self.parents(student)}
        cut = self.manifests[student]["spec"].get("cut", {}).get("cut")
        reads = "labels" in kinds
        if stage == "groups and labels":
            return (kinds["groups"], kinds["labels"]) if reads else ()
        by_entropy = cut is not None and not cut.startswith("random")
        return (kinds["groups"], kinds["labels"]) if by_entropy else (kinds["groups"],)

    def total(self, paths: Iterable[str], power: dict) -> dict[str, float]:
        """Jobs, seconds, the largest memory, energy."""
        found = {"jobs": 0, "wall_s": 0.0, "cpu_s": 0.0, "gpu_s": 0.0, "energy_wh": 0.0}
        found |= {"peak_rss_mb": 0.0, "peak_gpu_mb": 0.0}
        for manifest in (self.manifests[path] for path in paths):
            of = manifest["cost"]
            on_gpu = 0.0 if manifest["device"] == "cpu" else of["wall_s"]
            watt_seconds = of["cpu_s"] * power["watts_per_core"]
            gpu = of.get("gpu_energy_wh", on_gpu * power["watts_per_gpu"] / JOULES)
            sums = (1, of["wall_s"], of["cpu_s"], on_gpu, watt_seconds / JOULES + gpu)
            found |= {name: found[name] + more for name, more in zip(list(found)[:5], sums, strict=True)}
            found |= {name: max(found[name], of.get(name, 0.0)) for name in ("peak_rss_mb", "peak_gpu_mb")}
        return found
