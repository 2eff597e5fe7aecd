"""A stand-in for everything that config/paper.yaml downloads, and a copy of the project that uses it.

The archives lie under their addresses in a mirror on this disk; the model hub is a server on this machine. The copy
runs in an environment whose ir_datasets lists the stand-ins' checksums; the rest of it is the installed one.
"""

from __future__ import annotations

import hashlib
import json
import os
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ir_datasets
import yaml

from tests.project import ROOT, Project
from tests.standin import archives, hub
from tests.standin.language import Passages

OVERLAY = "config/standin.yaml"
BUDGETS = {
    "training": {"documents": 2560},
    "teachers": {"electra": {"documents": 5120}},
    "studies": {"cuts": {"at_least": 16}},
}


def make(folder: Path) -> Project:
    """Write the mirror, the hub's models and the project's copy with the overlay ``config/standin.yaml``."""
    project = opened(folder)
    Project.fresh(project.folder)
    paper = yaml.safe_load((ROOT / "config/paper.yaml").read_text())
    systems = paper["systems"]["msmarco-hard-negatives"]
    msmarco, negatives = archives.msmarco(systems["systems"])
    files = {"msmarco-passage": msmarco, "beir": archives.beir(), "dpr-w100": archives.dpr()}
    package = Path(ir_datasets.__file__).parent
    downloads = json.loads((package / "etc/downloads.json").read_text())
    _write(folder, systems["url"], negatives)
    for family, members in files.items():
        for key, content in members.items():
            entry = downloads[family][key]
            _write(folder, entry["url"], content)
            entry["expected_md5"] = hashlib.md5(content).hexdigest()
            entry["size_hint"] = len(content)
    _environment(folder, package, downloads)
    passages = Passages(400, "vocabulary")
    pinned = {f"{name}_revision": paper["backbones"][name]["revision"] for name in ("electra", "bert")}
    hub.write_models(folder / "hub", map(passages.text, range(len(passages))), **pinned)
    threads = {stage: {"threads": 1, "mem_mb": 2000} for stage in paper["resources"]}
    overlay = {"mirrors": {"https://": f"{(folder / 'mirror').as_uri()}/"}, "device": "cpu", "resources": threads}
    (project.folder / OVERLAY).write_text(yaml.safe_dump({**overlay, **BUDGETS}))
    return project


def opened(folder: Path) -> Project:
    """The copy that :func:`make` writes."""
    return Project(folder / "project", python=str(folder / "venv/bin/python"))


@contextmanager
def environment(folder: Path) -> Iterator[list[str]]:
    """The environment of runs in the copy: its folders, its hub, no other network. Yields the models' fetched files."""
    with hub.serve(folder / "hub") as (address, fetched):
        own = {
            "IR_DATASETS_HOME": str(folder / "ir_datasets"),
            "IR_DATASETS_TMP": str(folder / "tmp"),
            "HF_ENDPOINT": address,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HOME": str(folder / "hf"),
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1",
            "OMP_NUM_THREADS": "1",
        }
        before = {name: os.environ.get(name) for name in own}
        os.environ.update(own)
        try:
            yield fetched
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


def _write(folder: Path, address: str, content: bytes) -> None:
    path = folder / "mirror" / address.removeprefix("https://")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _environment(folder: Path, package: Path, downloads: dict) -> None:
    """A virtual environment of the installed packages, in which ir_datasets has another list of ``downloads``."""
    copy = folder / "packages/ir_datasets"
    (copy / "etc").mkdir(parents=True)
    for path in (*package.iterdir(), *(package / "etc").iterdir()):
        if path.name not in ("etc", "downloads.json", "__pycache__"):
            (copy / path.relative_to(package)).symlink_to(path)
    (copy / "etc/downloads.json").write_text(json.dumps(downloads))
    venv.create(folder / "venv")
    (site_packages,) = (folder / "venv").glob("lib/python*/site-packages")
    (site_packages / "standin.pth").write_text(f"{copy.parent}\n{package.parent}\n")
