"""One section of ``make gpu-check``, in a process of its own: ``python -m bench.gpu_section JSON``.

Every row is written when it is there, and a method or check that fails is a row of ``gpu_checks.csv``: whatever ends
this process, an error that leaves the GPU unusable among it, takes neither what was measured nor another section.
"""

from __future__ import annotations

import csv
import json
import math
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.inputs import Shape, make_inputs
from workflow_scripts.storage.artifacts import atomic_path

try:
    import workflow_scripts.storage.tables  # noqa: F401
except ImportError:
    # Without pandas and pyarrow: the loops measured here read no table, only their modules import the reader.
    sys.modules["workflow_scripts.storage.tables"] = types.SimpleNamespace(read_arrow=None, write_table=None)

from bench.gpu_equality import CHECKS
from bench.gpu_speed import COLUMNS, Failure, device_name, measure, tried

INPUTS = "inputs"
"""The section that makes every shape's texts and models, while others use the device."""
CHECK_TABLE, SPEED_TABLE = "gpu_checks.csv", "gpu.csv"
CHECK_COLUMNS = ("section", "name", "found", "limit", "passed", "device", "torch")


@dataclass(frozen=True)
class Section:
    """What a process does: a section's name, the shapes of its models, its folders, where and how long it measures.

    ``until`` (of ``time.time``): when it should end.
    """

    name: str
    shapes: Sequence[Shape]
    folder: str
    output: str
    device: str
    rounds: int
    groups: Sequence[int]
    until: float

    @property
    def title(self) -> str:
        """The section with the shape of its model."""
        return f"{self.name} at {self.shapes[0].name}"


def run_section(section: Section) -> None:
    """Write the section's rows, each when it is there."""
    if section.name == INPUTS:
        for shape in section.shapes:
            _inputs(section, shape)
        return
    checks = Rows(Path(section.output) / CHECK_TABLE, CHECK_COLUMNS)
    device = torch.device(section.device)

    def work() -> None:
        if section.name in CHECKS:
            _check(section, device, checks)
        else:
            _measure(section, device, checks)

    _, failure = tried("the section", work)
    if failure:
        checks.add([failed(section, failure)])


def failed(section: Section, failure: Failure) -> dict:
    """The row of what failed."""
    values = (section.title, f"{failure.name}: {failure.reason}", math.nan, math.nan, False)
    return dict(zip(CHECK_COLUMNS, (*values, section.device, torch.__version__), strict=True))


def _check(section: Section, device: torch.device, checks: Rows) -> None:
    folder = _inputs(section, section.shapes[0])
    about = (device_name(device), torch.__version__)
    for name, check in CHECKS[section.name].items():

        def work(check=check) -> None:
            for one in check(folder, device):
                values = (section.title, one.name, one.found, one.limit, one.passed, *about)
                checks.add([dict(zip(CHECK_COLUMNS, values, strict=True))])
                _say(one.name, {"found": one.found, "limit": one.limit, "passed": one.passed})

        _, failure = tried(name, work)
        if failure:
            checks.add([failed(section, failure)])


def _measure(section: Section, device: torch.device, checks: Rows) -> None:
    speeds, shape = Rows(Path(section.output) / SPEED_TABLE, COLUMNS), section.shapes[0]
    limits = {"rounds": section.rounds, "groups": section.groups, "until": section.until}
    for found in measure(section.name, shape=shape, device=device, folder=_inputs(section, shape), **limits):
        if isinstance(found, Failure):
            checks.add([failed(section, found)])
        else:
            speeds.replace(found)
    for row in speeds.own:
        _say(row["name"], {key: row[key] for key in COLUMNS[3:-1]})


def _say(name: str, values: dict) -> None:
    said = (f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in values.items())
    print(f"  {name}: {', '.join(said)}", flush=True)


def _inputs(section: Section, shape: Shape) -> Path:
    """The folder of a shape's texts and models, made where it is not there."""
    folder = Path(section.folder) / f"{shape.layers}x{shape.hidden}x{shape.pairs}"
    if not (folder / "texts.json").exists():  # written last
        make_inputs(folder, shape)
    return folder


class Rows:
    """A table's rows: those that earlier processes wrote, and this one's own."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path, self.columns, self.own = path, columns, []
        self.earlier = read_rows(path)

    def add(self, rows: Sequence[dict]) -> None:
        """Write the table with more rows."""
        self.replace([*self.own, *rows])

    def replace(self, own: Sequence[dict]) -> None:
        """Write the table with these rows of this process."""
        self.own = list(own)
        with atomic_path(self.path) as part, open(part, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self.columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows([*self.earlier, *self.own])


def read_rows(path: Path) -> list[dict]:
    """A table's rows, its values as text; none where it is not there."""
    if not path.exists():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    """The command line."""
    given = json.loads(sys.argv[1])
    run_section(Section(**given | {"shapes": [Shape(**shape) for shape in given["shapes"]]}))


if __name__ == "__main__":
    main()
