"""Artifacts are whole or not there; runs are ordered, exact and byte-stable."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from factories import artifact
from safetensors import SafetensorError

from workflow_scripts.storage import code, provenance
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter, atomic_path
from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.documents import read_view
from workflow_scripts.storage.energy import EnergyMeter
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.runs import _read_lines, read_run, write_run
from workflow_scripts.storage.seeds import derive_seed


def write(manifest: Path, text: str) -> None:
    with ArtifactWriter(manifest, kind="test", spec={"a": 1}, inputs={"source": __file__}, seed=3) as writer:
        writer.path("deep/file.txt").write_text(text)
        writer.counts["lines"] = 1


def test_a_run_reads_alike_fast_and_line_by_line_whatever_its_ids_look_like(tmp_path: Path) -> None:
    ids = ["NA", "null", "", '"q', "1e3", "07", "true", "é"]
    documents = [*(f"d{each}" for each in ids), *ids[:2]]
    rows = pd.DataFrame({"query_id": "nan", "doc_id": documents, "score": np.arange(10) / 7})
    write_run(tmp_path / "a.run.gz", rows, "tag")
    read = read_run(tmp_path / "a.run.gz")
    pd.testing.assert_frame_equal(read, _read_lines(tmp_path / "a.run.gz"), check_exact=True)
    assert set(read["doc_id"]) == set(rows["doc_id"]) and set(read["query_id"]) == {"nan"}


def test_an_artifact_is_opened_through_its_manifest(tmp_path: Path) -> None:
    manifest = tmp_path / "x" / "manifest.json"
    write(manifest, "hello")
    artifact = Artifact(manifest)
    assert artifact.file("deep/file.txt").read_text() == "hello"
    assert artifact.spec == {"a": 1} and artifact.counts == {"lines": 1}
    content = json.loads(manifest.read_text())
    # SHA-256 of "hello", a published test vector.
    assert content["files"]["deep/file.txt"]["sha256"].startswith("2cf24dba5fb0a30e26e83b2ac5b9e29e")
    assert set(content["cost"]) >= {"wall_s", "cpu_s", "peak_rss_mb"} and content["inputs"]["source"]["sha256"]
    with pytest.raises(InputError, match="lists no file 'other'"):
        artifact.file("other")
    (tmp_path / "x" / "deep" / "file.txt").write_text("hell")
    with pytest.raises(InputError, match="has 4 bytes, not 5; make it again: rm "):
        artifact.file("deep/file.txt")


def test_macos_counts_memory_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_proc(*_: object, **__: object) -> str:
        raise FileNotFoundError

    usage = SimpleNamespace(ru_utime=1.0, ru_stime=0.0, ru_maxrss=300 * 2**20)
    monkeypatch.setattr(provenance.Path, "read_text", no_proc)
    monkeypatch.setattr(provenance.resource, "getrusage", lambda _: usage)
    monkeypatch.setattr(provenance.sys, "platform", "darwin")
    assert provenance._cost()["peak_rss_mb"] == 300


def test_the_cost_of_earlier_processes_is_added_and_peaks_are_the_highest(tmp_path: Path) -> None:
    with ArtifactWriter(tmp_path / "manifest.json", kind="test", spec={}) as writer:
        writer.cost_before_resume = {"wall_s": 1e6, "cpu_s": 2e6, "peak_rss_mb": 0.5, "peak_gpu_mb": 7.0}
    cost = json.loads((tmp_path / "manifest.json").read_text())["cost"]
    assert 1e6 < cost["wall_s"] < 1.1e6 and 2e6 < cost["cpu_s"] < 2.1e6
    assert cost["peak_rss_mb"] > 0.5 and cost["peak_gpu_mb"] == 7


def test_a_job_tells_its_own_memory_not_that_of_what_started_it() -> None:
    job = "from workflow_scripts.storage.provenance import cost_so_far; print(cost_so_far({})['peak_rss_mb'])"
    large = "import os, sys; held = bytes(range(256)) * 2**20; os.execv(sys.executable, sys.argv[1:])"
    command = [sys.executable, "-c", large, sys.executable, "-c", job]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert 5 < float(told) < 200


NO_DRIVER = """
import importlib, json, sys, torch
def load(*given):
    raise AssertionError("the driver is loaded")
torch.cuda.is_available = torch.cuda.device_count = torch.cuda._lazy_init = load
from workflow_scripts.experiment.warm_start import LIBRARIES
for name in (*LIBRARIES, "workflow_scripts.train.training", "workflow_scripts.models.dense_retrieval"):
    importlib.import_module(name)
from workflow_scripts.models import devices
from workflow_scripts.storage import provenance
assert devices.best_device().type == "cpu"
print(sorted(provenance.describe_run("cpu", {})["cost"]))
"""


def test_what_the_warm_process_loads_and_a_job_on_a_cpu_leave_the_driver_alone() -> None:
    environment = os.environ | {"DISTILLERY_DEVICE": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", NO_DRIVER], env=environment, cwd=code.ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['cpu_s', 'peak_rss_mb', 'wall_s']\n"


def test_energy_is_what_the_devices_in_use_counted_between_two_readings() -> None:
    counters = {"a": 1_000, "b": 5_000, "c": 9_000, "loaded again": 9_000}
    meter = EnergyMeter(lambda: dict(counters))
    counters.update({"a": 7_201_000, "b": 3_605_000, "new": 1, "loaded again": 10})
    assert meter.used_wh(["GPU-a"]) == 2 and meter.used_wh(["a", "b"]) == 3 and meter.used_wh(["c"]) == 0
    assert all(meter.used_wh(devices) is None for devices in ([], ["new"], ["a", "unknown"], ["loaded again"]))


def test_energy_that_only_some_processes_of_a_job_measured_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "_cost", lambda: {"wall_s": 1.0, "gpu_energy_wh": 2.0})
    assert provenance.cost_so_far({}) == {"wall_s": 1, "gpu_energy_wh": 2}
    assert provenance.cost_so_far({"wall_s": 3.0, "gpu_energy_wh": 0.5}) == {"wall_s": 4, "gpu_energy_wh": 2.5}
    assert provenance.cost_so_far({"wall_s": 3.0}) == {"wall_s": 4}
    monkeypatch.setattr(provenance, "_cost", lambda: {"wall_s": 1.0})
    assert provenance.cost_so_far({"wall_s": 3.0, "gpu_energy_wh": 0.5}) == {"wall_s": 4}


def test_a_failed_job_leaves_no_artifact(tmp_path: Path) -> None:
    manifest = tmp_path / "x" / "manifest.json"
    with pytest.raises(RuntimeError), ArtifactWriter(manifest, kind="test", spec={}) as writer:
        writer.path("half").write_text("half")
        raise RuntimeError
    assert list(tmp_path.rglob("*")) == [tmp_path / "x"]
    with pytest.raises(InputError, match="is missing"):
        Artifact(manifest)


@pytest.mark.parametrize("steps", range(9))
def test_a_folder_keeps_no_file_of_an_earlier_version_even_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """As a sentence encoder that a plain model replaces; the job is killed before its first, second, ... change."""
    manifest, nested = tmp_path / "base" / "manifest.json", tmp_path / "base" / "fold0" / "manifest.json"
    old = {"config.json": "old", "modules.json": "old", "pooling/config.json": "old", "vocabulary": "old"}
    new = {"config.json": "new", "vocabulary/words": "new"}
    artifact(manifest, old)
    artifact(nested, {"modules.json": "its own"})
    left = [steps]

    def killed(change: Callable) -> Callable:
        def step(*arguments: object, **options: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return change(*arguments, **options)

        return step

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(Path, "unlink", killed(Path.unlink))
        patch.setattr(os, "replace", killed(os.replace))
        artifact(manifest, new)
    with contextlib.suppress(InputError):  # on the way no reader is given the folder
        folder = Artifact(manifest).folder
        assert {name: (folder / name).read_text() for name in Artifact(manifest).manifest["files"]} in (old, new)
    artifact(manifest, new)
    assert {name: (manifest.parent / name).read_text() for name in new} == new
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("[!.]*") if path.is_file()}
    assert files == {f"base/{name}" for name in (*new, "manifest.json", "fold0/manifest.json", "fold0/modules.json")}


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd"])
def test_a_manifest_cannot_name_a_file_outside_its_folder(tmp_path: Path, name: str) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"files": {name: {"bytes": 0, "sha256": ""}}}))
    with pytest.raises(InputError, match="outside its folder"):
        Artifact(manifest)


def test_an_atomic_file_is_written_whole_or_not(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    with atomic_path(target) as path:
        path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as path:
        path.write_text("ne")
        raise RuntimeError
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_seeds_depend_on_every_part_and_on_their_borders() -> None:
    seeds = {derive_seed(0, "a", "b"), derive_seed(1, "a", "b"), derive_seed(0, "ab"), derive_seed(0, "b", "a")}
    assert len(seeds) == 4 and all(0 <= seed < 2**64 for seed in seeds)
    assert derive_seed(0, "a", "b") == derive_seed(0, "a", "b")


def test_a_run_breaks_ties_by_document_and_keeps_its_scores(tmp_path: Path) -> None:
    rows = [("q2", "d1", 0.1), ("q1", "b", 1 / 3), ("q1", "a", 1 / 3), ("q1", "c", 2.0)]
    frame = pd.DataFrame(rows, columns=["query_id", "doc_id", "score"])
    write_run(tmp_path / "a.run.gz", frame, "x")
    write_run(tmp_path / "b.run.gz", frame.sample(frac=1, random_state=1), "x")
    assert (tmp_path / "a.run.gz").read_bytes() == (tmp_path / "b.run.gz").read_bytes()
    run = read_run(tmp_path / "a.run.gz")
    assert list(run["doc_id"]) == ["c", "a", "b", "d1"] and list(run["rank"]) == [1, 2, 3, 1]
    assert run["score"].to_numpy()[1] == pytest.approx(1 / 3, abs=1e-9)


@pytest.mark.parametrize(
    ("rows", "message"),
    [([("q", "d", float("nan"))], "query q, document d is NaN"), ([("q", "d", 1.0)] * 2, "lists document d twice")],
)
def test_a_run_refuses_missing_scores_and_double_documents(tmp_path: Path, rows: list, message: str) -> None:
    with pytest.raises(InputError, match=message):
        write_run(tmp_path / "x.run.gz", pd.DataFrame(rows, columns=["query_id", "doc_id", "score"]), "x")


def test_a_script_ends_bad_input_with_one_line_and_keeps_the_log(tmp_path: Path) -> None:
    script = (
        "from workflow_scripts.storage.command import run\n"
        "from workflow_scripts.storage.errors import InputError\n"
        "import os\n"
        "def main(*, output: str):\n"
        "    os.write(2, b'from the JVM\\n')\n"
        "    raise InputError('queries.tsv:3: no\\n  query id: add one')\n"
        "run(main)\n"
    )
    log = tmp_path / "logs" / "job.log"
    done = subprocess.run(
        [sys.executable, "-c", script, "--output", "x", "--log", str(log)], capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == "error: queries.tsv:3: no query id: add one\n"
    assert log.read_text() == "from the JVM\n" + done.stderr


def test_a_retry_keeps_the_log_of_the_attempt_before(tmp_path: Path) -> None:
    script = (
        "import os, pathlib\n"
        "from workflow_scripts.storage.command import run\n"
        "def main(*, output: pathlib.Path):\n"
        "    print('attempt')\n"
        "    if not output.exists():\n"
        "        output.touch()\n"
        "        os.kill(os.getpid(), 9)\n"
        "run(main)\n"
    )
    log = tmp_path / "job.log"
    command = [sys.executable, "-u", "-c", script, "--output", str(tmp_path / "output"), "--log", str(log)]
    assert subprocess.run(command).returncode == -9
    for kept in (["job.log.1"], []):  # after a run that ended well, the next begins anew
        assert subprocess.run(command).returncode == 0
        assert re.fullmatch(r"attempt\ndone in \d+\.\d s\n", log.read_text())
        assert sorted(path.name for path in tmp_path.glob("job.log.*")) == kept


def _write_to_a_full_disk() -> None:
    # A descriptor, not a path: nothing here may create or rename a file under /dev.
    with open("/dev/full", "r+b") as file:
        pq.write_table(pa.table({"a": range(100_000)}), file)


def _fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (_write_to_a_full_disk, "the disk is full"),
        (
            lambda: _fail(SafetensorError("IoError(Os { code: 28, message: No space left on device })")),
            "the disk is full",
        ),
        (lambda: _fail(OSError(errno.EROFS, "Read-only file system", "a.csv")), "this user may not write or read"),
        (lambda: np.empty(2**60, np.int8), "memory is short"),
        (lambda: torch.empty(2**55), "memory is short"),
        (lambda: _fail(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.25 GiB.")), "the GPU's memory"),
        (lambda: _fail(torch.AcceleratorError("CUDA error: out of memory")), "the GPU's memory is short: in training"),
        (lambda: _fail(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling")), "the GPU's memory"),
        (
            lambda: _fail(RuntimeError("JVM exception: queryCount = 2 is not equal to completedTaskCount = 1")),
            "Java searched fewer queries",
        ),
        (lambda: _fail(RuntimeError("a shape\nmismatch")), "RuntimeError: a shape"),
    ],
)
def test_what_a_machine_lacks_or_forbids_is_said_as_that(work, message: str, capsys: pytest.CaptureFixture) -> None:
    if work is _write_to_a_full_disk and not stat.S_ISCHR(os.stat("/dev/full").st_mode):
        pytest.skip("no device /dev/full")
    with pytest.raises(SystemExit) as ended:
        end_in_one_line(work)
    last = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 1 and last.removeprefix("error: ").startswith(message)
    assert last.startswith("error: ") == (not message.startswith("Runtime"))


def test_the_commit_is_the_projects_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def committed(folder: Path) -> str:
        git = ["git", "-C", str(folder), "-c", "user.email=a@example.org", "-c", "user.name=a"]
        subprocess.run([*git, "init", "-q"], check=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
        return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()

    inner = tmp_path / "a copy"
    inner.mkdir()
    committed(tmp_path)
    monkeypatch.setattr(code, "ROOT", inner)
    assert code.git_commit() is None
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    assert code.git_commit() is None
    monkeypatch.delenv("GIT_DIR")
    own = committed(inner)
    assert code.git_commit() == own
    (inner / "results.csv").touch()
    assert code.git_commit() == own
    (inner / "workflow_scripts/mine").mkdir(parents=True)
    (inner / "workflow_scripts/mine/own.py").touch()
    assert code.git_commit() == f"{own}-dirty"


def test_a_git_that_speaks_latin_1_ends_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = tmp_path / "git"
    git.write_text("#!/bin/sh\nprintf 'fatal\\240: ni ceci ni aucun de ses r\\351pertoires parents' >&2\nexit 128\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert code.git_commit() is None


def test_a_batch_of_full_views_may_pass_two_gigabytes(tmp_path: Path) -> None:
    columns = {"doc_id": ["a", "b", "c"], "title": ["title", "", None], "text": ["text", "text", "text"]}
    corpus = artifact(tmp_path / "manifest.json", {"documents.parquet": pa.table(columns)})
    (batch,) = read_view(corpus, "full")
    assert batch["text"].to_pylist() == ["title text", "text", "text"]
    assert batch["text"].type == pa.large_string()  # plain strings have room for two
