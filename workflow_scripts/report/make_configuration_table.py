"""Make the configuration table: what every artifact was made with, from the manifests, as CSV, Markdown, LaTeX."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.analysis.measures import KEYS
from workflow_scripts.presentation.table_files import write_tables
from workflow_scripts.presentation.table_formats import Cell, TextTable
from workflow_scripts.report.configuration import Setting, tell_settings
from workflow_scripts.report.lineage import Lineage, stages
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.command import run

COLUMNS = ("part", "setting", "of", "value")
# What names a model among its siblings, no setting of it; a metrics' keys and a run's tag say the same.
NAMES = ("name", "keys", "tag", "card")
RANKED = ("students", "runs")  # stages whose artifacts the keys of the metrics name
SPECIAL_TOKENS = ("cls", "sep", "pad", "mask", "separators")


def make_configuration_table(*, metrics: Sequence[Path], csv: Path, md: Path, tex: Path) -> pd.DataFrame:
    """Write the table three times and return its rows: part, setting, of (whom it holds for), value.

    ``metrics``: manifests of every ranker's metrics. Their lineage is walked through the manifests' recorded inputs and
    so holds exactly what the results were made from. Settings are the manifests' specs; counts are theirs too
    (``counts.``). An artifact is called by its folder below its stage's. The part ``software`` has versions, devices
    and commits of all jobs, and tells every one where they differ.
    """
    lineage = Lineage()
    everything = lineage.behind(metrics)
    root = os.path.commonpath([artifact.folder.resolve() for artifact in everything.values()])
    rows: list[tuple[str, ...]] = []
    for part, members in stages(everything).items():
        if part in RANKED:
            items = _ranked(lineage, metrics, part)
        else:
            items = [({"artifact": _name(artifact, root)}, _settings(artifact)) for artifact in members]
        rows += [(part, *setting) for setting in tell_settings(items)]
    rows += [("software", *setting) for setting in _software(everything.values())]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    write_tables(table, _text_table(table), _caption(len(everything)), csv=csv, md=md, tex=tex)
    return table


def _ranked(lineage: Lineage, metrics: Iterable[str | Path], part: str) -> list[tuple[Mapping, Mapping]]:
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
    parts = artifact.folder.resolve().relative_to(root).parts
    return "/".join(parts[1:] or parts)


def _software(artifacts: Iterable[Artifact]) -> list[Setting]:
    """Versions, devices and commits: "all jobs", or how many jobs of how many where they differ."""
    found: dict[str, Counter] = {}
    total = 0
    for artifact in artifacts:
        manifest = artifact.manifest
        total += 1
        told = {**manifest["versions"], "device": manifest["device"], "commit": manifest["commit"] or "no checkout"}
        for name, value in told.items():
            found.setdefault(name, Counter())[value] += 1
    return [
        (name, "all jobs" if count == total else f"{count} of {total} jobs", value)
        for name, values in found.items()
        for value, count in sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


def _text_table(table: pd.DataFrame) -> TextTable:
    """A section for each part; a part's and a setting's name stand in their first row only."""
    sections = []
    for part, rows in table.groupby("part", sort=False):
        section, last = [], None
        for row in rows.itertuples():
            labels = (str(part) if last is None else "", row.setting if row.setting != last else "", row.of)
            section.append((labels, [Cell(row.value)]))
            last = row.setting
        sections.append(section)
    return TextTable(("part", "setting", "of"), [("", ["value"])], sections)


def _caption(number: int) -> str:
    return (
        f"What the results were made with, from the manifests of the {number} artifacts behind them. A setting is told "
        "once for all that share it.\n"
    )


if __name__ == "__main__":
    run(make_configuration_table)
