"""Damaged files are named, never used; what was compared once is not read again, and trusted for no other file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from factories import artifact

import distillery
from workflow_scripts.daily.verify import faults
from workflow_scripts.storage import checked
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.results import LIST

NAMES = ("data.bin", "deep/more.bin")


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return made(tmp_path / "results" / "tiny" / "groups" / "bm25" / "manifest.json", b"0123456789")


def made(manifest: Path, content: bytes) -> Path:
    return artifact(manifest, dict.fromkeys(NAMES, content), kind="groups", spec={"of": str(content)})


def flip(path: Path) -> None:
    """Flip a bit in place, then give the file its old time."""
    before = path.stat()
    with open(path, "r+b") as file:
        file.seek(3)
        file.write(b"2")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "flipped": flip,
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "deleted": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "another file": lambda path: path.write_bytes(b"9876543210"),
    "renamed over": lambda path: (path.with_name("x").write_bytes(b"9876543210"), path.with_name("x").replace(path)),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused_alone_and_with_its_folder(manifest: Path, damage: str, name: str) -> None:
    assert Artifact(manifest).folder == manifest.parent and list(faults(manifest.parents[2])) == []
    DAMAGE[damage](manifest.parent / name)
    for read in (lambda: Artifact(manifest).file(name), lambda: Artifact(manifest).folder):
        with pytest.raises(InputError, match=rf"{name} .*make it again: rm \S*{manifest.name}"):
            read()
    assert Artifact(manifest).file(*set(NAMES) - {name}).read_bytes() == b"0123456789"
    ((found, fault),) = faults(manifest.parents[2])
    assert found == manifest and fault.startswith(f"{name} ")


def test_a_swapped_artifact_is_refused_in_results_and_free_outside(manifest: Path, tmp_path: Path) -> None:
    other = made(manifest.parents[1] / "random" / "manifest.json", b"abcdefghij")
    shutil.copytree(other.parent, tmp_path / "elsewhere")
    Artifact(tmp_path / "elsewhere" / "manifest.json").file("data.bin")
    shutil.copytree(manifest.parents[2], tmp_path / "results" / "renamed")
    Artifact(tmp_path / "results" / "renamed" / "groups" / "bm25" / "manifest.json").file("data.bin")
    shutil.rmtree(manifest.parent)
    other.parent.rename(manifest.parent)
    with pytest.raises(InputError, match="is the manifest of groups/random; make it again"):
        Artifact(manifest)
    assert list(faults(manifest.parents[2])) == [(manifest, "is the manifest of groups/random")]


def test_nothing_is_read_twice_and_no_file_passes_for_another(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    sha256 = checked.sha256
    monkeypatch.setattr(checked, "sha256", lambda path: read.append(path) or sha256(path))

    def opened() -> list[str]:
        checked._intact.clear()  # as another process
        read.clear()
        Artifact(manifest).file("data.bin")
        return [path.name for path in read]

    assert opened() == []  # its job has hashed it
    shutil.copytree(manifest.parent, manifest.parents[1] / "copy")
    manifest = manifest.parents[1] / "copy" / "manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(content | {"place": "groups/copy"}))
    assert opened() == ["data.bin"] and opened() == []
    memory = manifest.with_name(checked.MEMORY)
    memory.write_bytes(memory.read_bytes()[:-9] + b"\n[1, 2]\n\xff{")  # torn, of another program, no text
    assert opened() == ["data.bin"] and opened() == []
    memory.unlink()
    memory.mkdir()  # cannot be written
    assert opened() == ["data.bin"] == opened()
    flip(manifest.parent / "data.bin")
    with pytest.raises(InputError):
        opened()


def test_a_file_without_a_manifest_is_known_by_what_was_noted(tmp_path: Path) -> None:
    table, other = tmp_path / "results" / "x" / "analysis" / "main.parquet", tmp_path / "own.tsv"
    table.parent.mkdir(parents=True)
    for path in (table, other):
        path.write_bytes(b"0123456789")
    checked.note_output(table)
    assert checked.noted_maker(table) is None
    checked.note_output(table, maker=checked.maker_of("code", {"a": 1}))
    assert checked.noted_maker(table) == checked.maker_of("code", {"a": 1}) != checked.maker_of(None, {"a": 1})
    assert checked.output_fault(table) is checked.output_fault(other) is None
    flip(table)
    flip(other)
    assert checked.output_fault(other) is None and "other bytes" in str(checked.output_fault(table))
    assert [path for path, _ in faults(tmp_path / "results" / "x")] == [table]
    with pytest.raises(InputError, match=r"main.parquet has other bytes .*make it again: rm "):
        distillery.load(tmp_path / "results" / "x").table("main")
    table.unlink()
    assert list(faults(tmp_path / "results" / "x")) == [(table, "is missing")]


def test_what_lies_on_another_disk_is_found_and_what_an_archive_left_out_is_not_missed(
    manifest: Path, tmp_path: Path
) -> None:
    results = manifest.parents[2]
    artifact(results / "runs" / "manifest.json", {"run": "1"}, inputs={"groups": manifest})
    (results / "groups").rename(tmp_path / "disk")
    (results / "groups").symlink_to(tmp_path / "disk")
    assert list(faults(results)) == []
    flip(manifest.parent / "data.bin")
    (manifest.parent / "deep" / "more.bin").unlink()
    listed = json.loads(manifest.read_text())["files"]
    (results / LIST).write_text(json.dumps({"left_out": {f"groups/bm25/{name}": listed[name] for name in NAMES}}))
    # What is there is compared, left out or not.
    assert list(faults(results)) == [(manifest, "data.bin has other bytes than were written (its SHA-256 differs)")]
    (manifest.parent / "data.bin").unlink()
    assert list(faults(results)) == []
    (results / LIST).write_text("{")
    assert list(faults(results)) == [(manifest, "data.bin is missing")]
