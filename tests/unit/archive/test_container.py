"""The file that an archive is: the same bytes for the same files, and nothing but what its list says is unpacked."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from workflow_scripts.archive import container
from workflow_scripts.archive.container import read_archive, unpack, write_archive
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.results import LIST

MODEL = "results/x/students/a/model.safetensors"
RUN = "results/x/runs/a/all/demo.run.gz"
HEADER = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
WEIGHTS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(4)


def listed(content: bytes) -> dict:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def manifest(place: str, kind: str, files: dict[str, bytes]) -> bytes:
    made = {"kind": kind, "place": place, "files": {name: listed(content) for name, content in files.items()}}
    made |= {"spec": {}, "counts": {}, "job": {"opened": {}}, "inputs": {}, "finished": "2026-01-01T00:00:00+00:00"}
    return json.dumps(made).encode()


def sound() -> tuple[dict, dict[str, bytes]]:
    """A list and files that fit each other: a model, whose tokenizer is left out, a run, a table."""
    run = gzip.compress(b"q1 Q0 d1 1 0.5 x\n", mtime=0)
    left_out = {"students/a/tokenizer.json": listed(b"{}") | {"why": "models"}}
    files = {
        "config/x.yaml": b"experiment: x\n",
        MODEL: WEIGHTS,
        "results/x/students/a/manifest.json": manifest(
            "students/a", "students", {"model.safetensors": WEIGHTS, "tokenizer.json": b"{}"}
        ),
        RUN: run,
        "results/x/runs/a/all/manifest.json": manifest("runs/a/all", "runs", {"demo.run.gz": run}),
        "results/x/tables/main.csv": b"a,b\n1,2\n",
    }
    about = {"format": 1, "experiment": "x", "configs": ["config/x.yaml"], "models": True, "texts": False}
    return about | {"left_out": left_out}, files


def pack(path: Path, about: dict, files: dict[str, bytes]) -> Path:
    write_archive(path, about | {"files": {name: listed(content) for name, content in files.items()}}, files)
    return path


def refusal(archive: Path, folder: Path) -> str:
    """The one line with which an archive is refused, by check and by unpack; nothing is left behind."""
    with pytest.raises(InputError) as checked:
        read_archive(archive)
    with pytest.raises(InputError) as unpacked:
        unpack(archive, folder)
    assert not folder.exists() and "\n" not in str(checked.value) == str(unpacked.value)
    return str(unpacked.value)


def test_an_archive_has_the_same_bytes_however_its_files_came_and_gives_them_back(tmp_path: Path) -> None:
    about, files = sound()
    archive = pack(tmp_path / "x.tar", about, files)
    paths = {}
    for number, (name, content) in enumerate(reversed(files.items())):
        paths[name] = tmp_path / f"file{number}"
        paths[name].write_bytes(content)
        paths[name].chmod(0o600 + number)
        os.utime(paths[name], (number, number))
    whole = about | {"files": {name: listed(content) for name, content in files.items()}}
    write_archive(tmp_path / "y.tar", whole, paths)
    assert archive.read_bytes() == (tmp_path / "y.tar").read_bytes()
    assert read_archive(archive) == whole == unpack(archive, tmp_path / "out")
    found = {str(path.relative_to(tmp_path / "out")): path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found.keys() == {*files, LIST} and all(found[name].read_bytes() == files[name] for name in files)
    assert len({path.stat().st_mtime_ns for path in found.values()}) == 1
    with pytest.raises(InputError, match="is there already"):
        unpack(archive, tmp_path / "out")


def hostile(change: Callable[[dict, dict[str, bytes]], object]) -> tuple[dict, dict[str, bytes]]:
    about, files = sound()
    change(about, files)
    return about, files


def instead(name: str, content: bytes, kind: str, base: str) -> Callable:
    """A file replaced, its manifest and the list with it: only its content gives it away."""

    def change(about: dict, files: dict[str, bytes]) -> None:
        files[name] = content
        folder, _, file = name.rpartition("/")
        others = {"tokenizer.json": b"{}"} if kind == "students" else {}
        files[f"{folder}/manifest.json"] = manifest(base, kind, {file: content, **others})

    return change


def constant(rows: int) -> bytes:
    """A table whose one column is zero everywhere: its size hardly depends on its rows."""
    file = io.BytesIO()
    parquet.write_table(pa.table({"value": np.zeros(rows)}), file, row_group_size=rows)
    return file.getvalue()


def config(content: bytes) -> Callable:
    return lambda about, files: files.update({"config/x.yaml": content})


def added(**files: bytes) -> Callable:
    return lambda about, own: own.update(files)


BAD = {
    "code in a config": (config(b"__use_yte__: true\nexperiment: x\n"), "plain YAML"),
    "code under another spelling": (config(b'"__use\\x5fyte__": true\nexperiment: x\n'), "plain YAML"),
    "option": (
        lambda about, files: (
            files.update({"--snakefile=x.yaml": b"a: b"}),
            about.update(configs=["config/x.yaml", "--snakefile=x.yaml"]),
        ),
        "not the list of an archive",
    ),
    "aliases": (config(b"a: &a [1, 2]\nb: [*a, *a]\n"), "YAML alias"),
    "nested": (config(b"a: " + b"[" * 100_000), "lists in lists"),
    "pickle in a config": (config(b"a: !!python/object/apply:os.getpid []\n"), "is no YAML"),
    "odd value": (config(b"a: !!bool b\n"), "is no YAML"),
    "no configs": (lambda about, files: about.update(configs=[]), "not the list of an archive"),
    "its own list": (added(**{LIST: b"{}"}), "no place beside"),
    "file and folder": (added(**{"config/a": b"", "config/a-b": b"", "config/a/b": b""}), "no place beside"),
    "a config's place": (
        added(**{"results/x/config/x.yaml/manifest.json": manifest("config/x.yaml", "runs", {})}),
        "no place beside",
    ),
    "nothing": (
        lambda about, files: [files.pop(name) for name in list(files) if name.startswith("results/")],
        "holds nothing of results/x/",
    ),
    "metrics of nothing": (
        added(**{"results/x/metrics/a/all/manifest.json": manifest("metrics/a/all", "metrics", {})}),
        "does not name the runs",
    ),
    "absolute": (lambda about, files: files.update({"/tmp/x": b""}), "no path within"),
    "outside": (lambda about, files: files.update({"results/x/../../y.csv": b""}), "no path within"),
    "backslash": (lambda about, files: files.update({"..\\y": b""}), "no path within"),
    "line break": (lambda about, files: files.update({"a\nb": b""}), "no name of a file"),
    "hidden": (lambda about, files: files.update({"results/x/tables/.checked": b""}), "hidden file"),
    "program": (lambda about, files: files.update({"results/x/tables/run.sh": b""}), "of no kind"),
    "stray": (lambda about, files: files.update({"results/x/students/a/more.json": b"{}"}), "belongs to no artifact"),
    "another experiment": (
        lambda about, files: files.update({"results/y/tables/a.csv": b""}),
        "belongs to no artifact",
    ),
    "left out": (lambda about, files: about.update(left_out={}), "not among what was left out"),
    "other config": (lambda about, files: about.update(configs=["/etc/passwd"]), "not the list of an archive"),
    "experiment": (lambda about, files: about.update(experiment="../x"), "not the list of an archive"),
    "format": (lambda about, files: about.update(format=2), "has format 2"),
    "place": (
        lambda about, files: files.update({"results/x/runs/b/manifest.json": manifest("runs/a", "runs", {})}),
        "is the manifest of runs/a",
    ),
    "no manifest": (lambda about, files: files.update({"results/x/runs/b/manifest.json": b"[]"}), "not an artifact's"),
    "manifest names outside": (
        lambda about, files: files.update(
            {"results/x/runs/b/manifest.json": manifest("runs/b", "runs", {"../c": b""})}
        ),
        "outside its folder",
    ),
    "not as its manifest says": (lambda about, files: files.update({RUN: gzip.compress(b"")}), "as its manifest says"),
    "pickle": (instead(MODEL, pickle.dumps({"w": [1.0]}), "students", "students/a"), "holds no safetensors"),
    "longer weights": (instead(MODEL, WEIGHTS + b"x", "students", "students/a"), "holds no safetensors"),
    "bomb": (instead(RUN, gzip.compress(bytes(2**28)), "runs", "runs/a/all"), "unpacks to more than 200 times"),
    "table bomb": (
        lambda about, files: files.update({"results/x/analysis/a.parquet": constant(10**6)}),
        "more than 200",
    ),
    "no table": (added(**{"results/x/analysis/a.parquet": b"PAR1" + bytes(64) + b"PAR1"}), "holds no Parquet"),
    "no gzip": (instead(RUN, b"run", "runs", "runs/a/all"), "holds no gzip"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_hostile_archive_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    change, message = BAD[name]
    assert message in refusal(pack(tmp_path / "x.tar", *hostile(change)), tmp_path / "out")


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.GNUTYPE_SPARSE],
)
def test_only_plain_files_are_unpacked(tmp_path: Path, kind: bytes) -> None:
    about, files = sound()
    member = tarfile.TarInfo("config/x.yaml")
    member.type, member.linkname = kind, "/etc/passwd"
    archive = rewritten(pack(tmp_path / "x.tar", about, files), tmp_path / "y.tar", {"config/x.yaml": member})
    assert "config/x.yaml" in refusal(archive, tmp_path / "out")


def rewritten(archive: Path, copy: Path, members: dict[str, tarfile.TarInfo | None]) -> Path:
    """A copy with other headers for some members, or without these."""
    with tarfile.open(archive) as source, tarfile.open(copy, "w") as target:
        for member in source:
            put = members.get(member.name, member)
            if put is not None:
                target.addfile(put, source.extractfile(member) if put.isreg() else None)
    return copy


def test_a_file_that_is_missing_or_there_twice_is_named(tmp_path: Path) -> None:
    archive = pack(tmp_path / "x.tar", *sound())
    assert f"{RUN} is missing" in refusal(rewritten(archive, tmp_path / "y.tar", {RUN: None}), tmp_path / "out")
    with tarfile.open(archive, "a") as tar:
        tar.addfile(tarfile.TarInfo("config/x.yaml"))
    assert "'config/x.yaml' is there twice" in refusal(archive, tmp_path / "out")


def test_what_is_no_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = pack(tmp_path / "x.tar", *sound())
    packed = tmp_path / "x.tar.gz"
    packed.write_bytes(gzip.compress(archive.read_bytes()))
    other = tmp_path / "other.tar"
    with tarfile.open(other, "w") as tar:
        tar.addfile(tarfile.TarInfo("a"))
    (tmp_path / "empty").touch()
    for path in (packed, other, tmp_path / "empty", tmp_path / "none"):
        assert str(path) in refusal(path, tmp_path / "out")
    monkeypatch.setattr(container, "MOST_FILES", 5)
    assert "lists 6 files" in refusal(archive, tmp_path / "out")


def test_a_million_files_are_refused_at_the_first(tmp_path: Path) -> None:
    archive = pack(tmp_path / "x.tar", *sound())
    header = tarfile.TarInfo("a/file").tobuf()
    with tarfile.open(archive) as tar:
        end = tar.getmembers()[1].offset
    with open(archive, "r+b") as file:
        file.seek(end)
        file.truncate()
        for _ in range(10):
            file.write(header * 100_000)
    assert "'a/file' is not in its list" in refusal(archive, tmp_path / "out")


@pytest.mark.slow
def test_damage_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    about, files = sound()
    archive = pack(tmp_path / "x.tar", about, files)
    whole, damaged, draw = archive.read_bytes(), tmp_path / "y.tar", random.Random(0)
    refused = 0
    for _ in range(300):
        content = bytearray(whole)
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        damaged.write_bytes(content)
        try:
            unpack(damaged, tmp_path / "out")
        except InputError:
            refused += 1
            assert not (tmp_path / "out").exists()
            continue
        for name, own in files.items():  # the flip was in the padding
            path = tmp_path / "out" / name
            assert path.read_bytes() == own
        for path in sorted((tmp_path / "out").rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        (tmp_path / "out").rmdir()
    assert refused > 100
    end = whole.rstrip(b"\0")
    for length in (0, 100, 512, 600, len(end) // 2, len(end) - 1):
        damaged.write_bytes(whole[:length])
        refusal(damaged, tmp_path / "out")
