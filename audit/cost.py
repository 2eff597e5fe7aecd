"""The cost table a second time, from the manifests of every artifact."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from audit.rows import Rows
from audit.sources import Sources

POOL = "teacher scores"
JOULES = 3600
"""A watt-hour."""


def cost(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Sums over all artifacts of a stage, and over all that stands behind a student or its groups and labels."""
    graph = Graph(sources.folder)
    of_table = graph.metrics(sources)
    measured = of_table["metrics"]
    everything = graph.behind([*measured, *of_table["retrieval"], *graph.of_kind("embeddings")])
    prices = graph.prices(everything, spec)
    students: dict[str, dict] = {}
    for path in measured:
        keys = graph.manifests[path]["spec"]["keys"]
        if keys["sampler"]:
            (run,) = [each for each in graph.parents(path) if graph.kind(each) == "runs"]
            (student,) = [each for each in graph.parents(run) if graph.kind(each) == "students"]
            students[student] = keys
    rows: dict[int, dict] = {}
    for row in frame.itertuples():
        if row.scope == "stage":
            rows[row.Index] = graph.total([p for p in everything if graph.kind(p) == row.stage], spec)
            continue
        found = [
            starts
            for student, keys in students.items()
            if (keys["sampler"], keys["teacher"]) == (row.sampler, row.teacher)
            and (row.scope == "sampler" or (keys["student"], keys["loss"]) == (row.student, row.loss))
            for starts in [graph.starts(student, row.scope, row.stage)]
            if starts
        ]
        starts = list(dict.fromkeys(found))
        of_seeds = [
            graph.total(graph.behind(each), spec) | {"alone_wh": graph.alone(each, spec, prices)} for each in starts
        ]
        rows[row.Index] = {name: sum(each[name] for each in of_seeds) / len(of_seeds) for name in of_seeds[0]}
    for index, columns in rows.items():
        alike = frame.index[(frame["scope"] == "sampler") & (frame["stage"] == frame.loc[index, "stage"])]
        if index in alike:
            columns["times_cheapest"] = columns["alone_wh"] / min(rows[each]["alone_wh"] for each in alike)
        yield index, columns


class Graph:
    """Manifests by path, and what each was made from."""

    def __init__(self, folder: Path) -> None:
        root = folder.parent.parent
        paths = folder.rglob("manifest.json")
        self.manifests = {str(path.relative_to(root)): json.loads(path.read_text()) for path in paths}

    def kind(self, path: str) -> str:
        return self.manifests[path]["kind"]

    def of_kind(self, kind: str) -> list[str]:
        return sorted(path for path in self.manifests if self.kind(path) == kind)

    def metrics(self, sources: Sources) -> dict[str, list[str]]:
        """Metrics of the rankers that each long table holds.

        A folder may hold what an earlier configuration asked for; what was not trained has no metrics, but costs.
        """
        wanted = {name: {(cell, seed) for cell, seed, *_ in values.places} for name, values in sources.values.items()}
        found: dict[str, list[str]] = {"metrics": [], "retrieval": []}
        for path in self.of_kind("metrics"):
            name = "retrieval" if "retrieved" in Path(path).parts else "metrics"
            keys = self.manifests[path]["spec"]["keys"]
            cell = tuple(keys[key] or "" for key in ("student", "loss", "sampler", "teacher"))
            if (cell, keys["seed"]) in wanted.get(name, ()) or "nothing" in self.manifests[path]["counts"]:
                found[name].append(path)
        return found

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

    def prices(self, everything: Iterable[str], power: dict) -> dict[tuple, float]:
        """Watt-hours of one scored pair by the models that scored it."""
        pools: dict[tuple, list[str]] = {}
        for path in everything:
            if self.kind(path) == POOL:
                pools.setdefault(self._models(path), []).append(path)
        pairs = {models: sum(self.manifests[path]["counts"]["pairs"] for path in own) for models, own in pools.items()}
        return {models: self.total(own, power)["energy_wh"] / max(pairs[models], 1) for models, own in pools.items()}

    def _models(self, pool: str) -> tuple:
        return tuple(model["path"] for model in self.manifests[pool]["inputs"]["models"])

    def alone(self, starts: Iterable[str], power: dict, prices: dict[tuple, float]) -> float:
        """Watt-hours behind the starts, of the pools of groups and labels the pairs that these need alone."""
        behind = self.behind(starts)
        reading = {
            self.manifests[path]["inputs"]["groups"]["path"]: path for path in behind if self.kind(path) == "labels"
        }
        bought, shared = 0.0, set()
        for path in (each for each in behind if self.kind(each) == "groups"):
            reader, counts = reading.get(path, path), self.manifests[path]["counts"]
            near = [path for each in self.parents(reader) for path in (each, *self._of_look_up(each))]
            pools = [each for each in near if self.kind(each) == POOL]
            if pools:
                scored = self.manifests[reader]["counts"].get("scored", 0)
                pairs = counts["pairs_to_label"] - scored if path in reading else counts["pairs_to_draw"]
                bought += pairs * prices[self._models(pools[0])]
                shared |= {each for each in self.behind(pools) if self.kind(each) == POOL}
        return self.total(behind - shared, power)["energy_wh"] + bought

    def _of_look_up(self, path: str) -> list[str]:
        return self.parents(path) if self.kind(path) == "looked-up labels" else []

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
