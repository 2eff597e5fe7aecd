"""Lineage: the artifacts behind an artifact, by the inputs that the manifests record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from workflow_scripts.storage.artifacts import Artifact, is_manifest
from workflow_scripts.storage.errors import InputError

STAGES = (
    "archives",
    "downloads",
    "corpora",
    "collections",
    "indexes",
    "searched shards",
    "rankings",
    "backbones",
    "tokens",
    "teachers",
    "pairs",
    "scored shards",
    "teacher scores",
    "calibrations",
    "groups",
    "looked-up labels",
    "labels",
    "embeddings",
    "students",
    "evaluation",
    "runs",
    "metrics",
    "export",
)
"""Kinds of artifacts in the order in which they are made."""


def inputs(manifest: Mapping) -> list[Mapping]:
    """What an artifact was made from, an entry a path."""
    return [each for given in manifest["inputs"].values() for each in (given if isinstance(given, list) else [given])]


class Lineage:
    """Artifacts by the path of their manifest, each opened once; paths are as the manifests record them."""

    def __init__(self) -> None:
        self._artifacts: dict[str, Artifact] = {}

    def artifact(self, manifest: str | Path) -> Artifact:
        """The artifact; :class:`InputError` where its manifest is missing."""
        path = str(manifest)
        if path not in self._artifacts:
            self._artifacts[path] = Artifact(path)
        return self._artifacts[path]

    def parents(self, manifest: str | Path) -> list[str]:
        """Manifests of the artifacts that this one was made from; source files, which have none, are left out."""
        return [entry["path"] for entry in inputs(self.artifact(manifest).manifest) if is_manifest(entry["path"])]

    def run(self, metrics: str | Path) -> str:
        """Manifest of the runs that a metrics manifest measures: BM25's are the evaluation that all others re-rank."""
        given = self.artifact(metrics).manifest["inputs"]
        if "runs" not in given:
            raise InputError(f"{metrics} measures no runs: measure them again")
        return given["runs"]["path"]

    def model(self, metrics: str | Path) -> str:
        """Manifest of the student that a metrics manifest measures; other students behind it are its miner."""
        found = [path for path in self.parents(self.run(metrics)) if self.artifact(path).kind == "students"]
        if len(found) != 1:
            raise InputError(f"{metrics} measures {len(found)} students, not one: measure them again")
        return found[0]

    def behind(self, manifests: Iterable[str | Path]) -> dict[str, Artifact]:
        """``manifests`` and, transitively, everything they were made from, each once, parents first."""
        found: dict[str, Artifact] = {}

        def visit(path: str) -> None:
            if path not in found:
                for parent in self.parents(path):
                    visit(parent)
                found[path] = self.artifact(path)

        for manifest in manifests:
            visit(str(manifest))
        return found


def stages(artifacts: Mapping[str, Artifact]) -> dict[str, list[Artifact]]:
    """The artifacts of each stage that has any, in the order of STAGES."""
    found: dict[str, list[Artifact]] = {name: [] for name in STAGES}
    for artifact in artifacts.values():
        found[artifact.kind].append(artifact)
    return {name: members for name, members in found.items() if members}
