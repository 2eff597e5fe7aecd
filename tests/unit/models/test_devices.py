"""Devices: what a CPU computes in, what happens where no GPU is seen, and which of several a job takes."""

from __future__ import annotations

import itertools
import os
import re
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from fake_gpus import two_gpus

from workflow_scripts.models import devices
from workflow_scripts.storage import gpus, processor
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError

MULTIPLIES_BF16 = processor.multiplies_bf16  # tests are run without
TAKE = """
import os, sys
from workflow_scripts.storage.gpus import VISIBLE, take_gpu
take_gpu(int(sys.argv[1]))
print(os.environ[VISIBLE], flush=True)
sys.stdin.read()
"""


TF32 = """
import torch
assert torch.backends.cuda.matmul.allow_tf32 and torch.backends.cudnn.allow_tf32
import workflow_scripts.models.devices
assert not torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.allow_tf32
assert torch.get_float32_matmul_precision() == "highest"
"""


def test_the_environment_makes_no_tf32_of_float32() -> None:
    environment = os.environ | {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"}
    subprocess.run([sys.executable, "-c", TF32], cwd=ROOT, env=environment, check=True)


def test_what_a_cpu_computes_in(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    settled = processor._settled | {"products": "MKL"}
    monkeypatch.setattr(processor, "_settled", settled)
    assert devices.settle_precision("auto", "cpu", 8) == "fp32" and settled["products"] == "MKL"
    assert capsys.readouterr().err == ""
    assert [devices.settle_precision("fp16", device, 8) for device in ("cpu", "cuda")] == ["fp32", "fp16"]
    assert capsys.readouterr().err == "precision fp16 is asked for, and a CPU computes in fp32\n"
    assert devices.settle_precision("bf16", "cpu", 8) == "bf16" and settled["products"] == "torch, in bf16"
    found = set()
    for setting, flag in itertools.product(("fast", "portable"), ("avx2", "avx512_bf16", "amx_bf16")):
        settled["setting"] = setting
        monkeypatch.setattr(processor, "has", flag.__eq__)
        monkeypatch.setattr(processor, "multiplies_bf16", MULTIPLIES_BF16)
        for widest in (1023, 1024):
            if devices.settle_precision("auto", "cpu", widest) == "bf16":
                found.add((setting, flag, widest))
    assert found == {("fast", "avx512_bf16", 1024), ("fast", "amx_bf16", 1024)}


def test_without_a_gpu_auto_says_so_and_cuda_refuses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv(gpus.VISIBLE, "")
    choose = devices.best_device.__wrapped__
    for wanted, message in (("auto", "no GPU is seen"), ("cpu", "")):
        monkeypatch.setenv(gpus.DEVICE, wanted)
        assert choose().type == "cpu"
        assert (message in (err := capsys.readouterr().err)) and bool(err) == bool(message)
    monkeypatch.setenv(gpus.DEVICE, "cuda")
    with pytest.raises(
        InputError, match=r"asks for a GPU \(device: cuda\) and torch sees none: run where there is one"
    ):
        choose()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with two GPUs, as nvidia-smi lists them."""
    return two_gpus(tmp_path, monkeypatch)


def _job(share: int) -> subprocess.Popen:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", TAKE, str(share)], cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )


def test_jobs_of_one_host_take_different_gpus(host: Path) -> None:
    first, second = _job(1), _job(1)
    assert {job.stdout.readline().strip() for job in (first, second)} == {"GPU-a", "GPU-b"}
    third = _job(1)
    assert "waiting for one of 2 GPUs" in third.stderr.readline()
    first.kill()  # the kernel frees the lock of a killed job
    second_holds = re.search("GPU-[ab]", second.stderr.readline())[0]
    assert third.stdout.readline().strip() == ({"GPU-a", "GPU-b"} - {second_holds}).pop()
    for job in (first, second, third):
        job.communicate()


def test_small_jobs_share_a_gpu_and_no_large_one_joins_them(host: Path) -> None:
    small = [_job(2) for _ in range(4)]
    taken = [job.stdout.readline().strip() for job in small]
    assert sorted(taken) == ["GPU-a", "GPU-a", "GPU-b", "GPU-b"]
    fifth, whole = _job(2), _job(1)
    assert "waiting" in fifth.stderr.readline() and "waiting" in whole.stderr.readline()
    of_a = [job for job, name in zip(small, taken, strict=True) if name == "GPU-a"]
    of_a[0].communicate()
    assert fifth.stdout.readline().strip() == "GPU-a"
    of_a[1].communicate()
    assert whole.poll() is None  # the fifth is still there
    fifth.communicate()
    assert whole.stdout.readline().strip() == "GPU-a"
    for job in (*small, whole):
        job.communicate()


def test_locks_lie_in_a_folder_of_the_user_s_alone(host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder, theirs = tmp_path / f"distillery-gpus-{os.getuid()}", tmp_path / "theirs"
    theirs.mkdir()

    def refused(what: str) -> None:
        with pytest.raises(InputError, match=f"distillery-gpus-.*, where GPUs are locked, {what}: remove it, or set"):
            gpus.take_gpu()

    for target in (theirs, tmp_path / "nothing"):
        folder.symlink_to(target)
        refused("is a link")
        folder.unlink()
    folder.touch()
    refused("is another user's, or no folder")
    folder.unlink()
    job = _job(1)
    assert job.stdout.readline().strip() == "GPU-a"
    job.communicate()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)  # as an earlier version might have left it
    assert stat.S_IMODE(gpus._lock_folder().stat().st_mode) == 0o700
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    refused("is another user's, or no folder")
    assert not any(theirs.iterdir())


@pytest.mark.parametrize(
    ("visible", "names"),
    [("", []), ("-1", []), ("0", ["0"]), ("2, 3", ["2", "3"]), ("GPU-a,GPU-b", ["GPU-a", "GPU-b"])],
)
def test_what_the_site_has_given_is_what_a_job_chooses_from(
    monkeypatch: pytest.MonkeyPatch, visible: str, names: list[str]
) -> None:
    monkeypatch.setenv(gpus.VISIBLE, visible)
    assert gpus.visible_gpus() == names


def test_of_a_card_in_parts_the_parts_are_taken_and_other_cards_whole(host: Path) -> None:
    host.write_text(
        '#!/bin/sh\necho "GPU 0: NVIDIA A100 (UUID: GPU-a)"\necho "  MIG 1g.10gb Device 0: (UUID: MIG-1)"\n'
        'echo "  MIG 1g.10gb Device 1: (UUID: MIG-GPU-a/3/0)"\necho "GPU 1: NVIDIA A100 (UUID: GPU-b)"\n'
    )
    assert gpus.visible_gpus() == ["MIG-1", "MIG-GPU-a/3/0", "GPU-b"]


def test_several_gpus_of_which_none_can_be_chosen_end_the_job(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setattr(gpus, "_held", [])
    monkeypatch.setenv(gpus.DEVICE, "auto")
    monkeypatch.setenv("PATH", str(host.parent / "nowhere"))
    with pytest.raises(InputError, match=r"none could be chosen.*: put nvidia-smi on PATH or name the GPUs in CUDA_"):
        devices.best_device.__wrapped__()
    # A site's own choice needs no nvidia-smi.
    monkeypatch.setenv(gpus.VISIBLE, "3")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert devices.best_device.__wrapped__().type == "cuda"
