"""``make gpu-check`` without a GPU: what it makes of a CPU, of what fails and of what does not end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch

from bench import gpu, gpu_equality, gpu_section, gpu_speed
from bench.gpu_equality import Check
from bench.gpu_section import Section
from bench.inputs import make_inputs
from bench.ours import Ours
from workflow_scripts.models import packed_encoder, ragged_attention

LACKING = ["pandas", "pyarrow", "ir_datasets", "sentence_transformers"]
"""What a machine with a GPU may lack."""


@pytest.mark.slow
def test_it_runs_on_a_cpu_without_what_a_gpu_machine_may_lack(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules |= dict.fromkeys({LACKING})\n")
    command = [sys.executable, "-m", "bench.gpu", "--smoke", "--rounds", "1", "--seconds", "900"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    subprocess.run([*command, "--output", str(tmp_path)], cwd=gpu.ROOT, env=environment, check=True)
    checks = pd.read_csv(tmp_path / "gpu_checks.csv")
    assert checks["passed"].all() and len(checks) == 26
    assert set(checks["section"]) == {f"{name} at 2 layers/32" for name in gpu_equality.CHECKS}
    table = pd.read_csv(tmp_path / "gpu.csv").set_index("name")
    assert set(table["device"]) == {"cpu"} and set(table["shape"]) == {"2 layers/32"}
    assert (table.drop(columns=["device", "shape", "pad_share", "torch"]) > 0).all().all()
    padded = table.index.str.contains("transformers padded")
    assert (table["pad_share"][padded] > 0.3).all() and (table["pad_share"][~padded] == 0).all()
    assert len(table) == 7 and padded.sum() == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cross", "bi"])
def test_gradients_by_the_way_of_a_gpu_in_fp32_agree_and_a_wrong_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    make_inputs(tmp_path, gpu.TINY)
    exact = gpu_equality._gradients(tmp_path, ours := Ours(tmp_path, "fp32"), name)
    # One padded view, and the last layer's keys projected: key biases have rounding for a gradient, of which some is 0.
    monkeypatch.setattr(ragged_attention, "_varlen_kernel", lambda device, p: None)
    monkeypatch.setattr(packed_encoder, "attend", ragged_attention._attend_varlen)
    monkeypatch.setattr(
        packed_encoder._Layer,
        "_attend_unprojected",
        lambda layer, first, hidden, batch: layer._attend(first, hidden, batch, first=True),
    )
    found = gpu_equality._gradients(tmp_path, ours, name)
    assert max(gpu_equality._difference(found[key], value) for key, value in exact.items()) > 1e-3
    assert gpu_equality.gradient_difference(found, exact) < 3e-4
    wrong = next(key for key in found if key.endswith("layer.0.attention.self.query.weight"))
    assert gpu_equality.gradient_difference(found | {wrong: 1.01 * found[wrong]}, exact) > 5e-3


def section(tmp_path: Path, name: str, **changes: object) -> Section:
    """A section on the CPU."""
    given = {"rounds": 2, "groups": [2], "until": time.time() + 60} | changes
    return Section(name, [gpu.TINY], str(tmp_path), str(tmp_path), "cpu", **given)


@pytest.fixture
def no_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sections that read nothing."""
    monkeypatch.setattr(gpu_section, "make_inputs", lambda *given: None)
    monkeypatch.setattr(gpu_speed, "Ours", lambda *given: None)
    monkeypatch.setattr(gpu_speed, "matmul_peak", lambda *given: 1.0)


def turn(seconds: float) -> dict:
    """What a method of the project answers."""
    return {"loop": seconds, "lengths": [5], "items": 6, "pad_share": 0.0}


@pytest.mark.usefixtures("no_inputs")
def test_a_check_that_fails_is_a_row_and_takes_no_other_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(folder: Path, device: torch.device) -> Iterator[Check]:
        yield Check("scores", float("nan"), 1e-4)
        raise RuntimeError("CUDA error: an illegal\nmemory access")

    def whole(folder: Path, device: torch.device) -> Iterator[Check]:
        yield Check("losses", 0.9, 0.8, least=True)

    monkeypatch.setattr(gpu_section, "CHECKS", {"equality": {"half": half, "whole": whole}})
    gpu_section.run_section(section(tmp_path, "equality"))
    rows = pd.read_csv(tmp_path / "gpu_checks.csv")
    assert list(rows["name"]) == ["scores", "half: RuntimeError: CUDA error: an illegal memory access", "losses"]
    assert list(rows["passed"]) == [False, False, True]


@pytest.mark.usefixtures("no_inputs")
def test_a_method_that_fails_is_named_and_the_others_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = {"ours": iter([9.0, 2.0, 3.0]), "peer": iter([1.0])}

    def methods(*given: object) -> gpu_speed.Methods:
        def peer() -> dict:
            try:
                return turn(next(turns["peer"]))
            except StopIteration:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory") from None

        def broken() -> dict:
            raise ImportError("no such peer")

        return {"broken": broken, "ours": lambda: turn(next(turns["ours"])), "peer": peer}

    monkeypatch.setattr(gpu_speed, "PARTS", {"scoring": methods})
    earlier = gpu_section.Rows(tmp_path / "gpu.csv", gpu_speed.COLUMNS)
    earlier.add([dict.fromkeys(gpu_speed.COLUMNS, "earlier")])
    gpu_section.run_section(section(tmp_path, "scoring"))
    rows = pd.read_csv(tmp_path / "gpu.csv").set_index("name")
    # The median of the rounds after the first; a peer's first alone, where that was all.
    assert list(rows.index) == ["earlier", "ours", "peer"]
    assert list(rows["items_a_second"][1:].astype(float)) == [6 / 2.5, 6.0] and list(rows["rounds"][1:]) == ["2", "0"]
    failed = pd.read_csv(tmp_path / "gpu_checks.csv")["name"]
    assert list(failed) == ["broken: ImportError: no such peer", "peer: OutOfMemoryError: CUDA out of memory"]


@pytest.mark.usefixtures("no_inputs")
def test_no_turn_begins_that_would_end_after_the_section_s_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, turns = [100.0], {"quick": 0, "slow": 0}
    monkeypatch.setattr(gpu_speed.time, "time", lambda: now[0])

    def method(name: str, seconds: float) -> Callable[[], dict]:
        def work() -> dict:
            now[0] += seconds
            turns[name] += 1
            return turn(seconds)

        return work

    monkeypatch.setattr(
        gpu_speed, "PARTS", {"scoring": lambda *given: {"quick": method("quick", 2), "slow": method("slow", 20)}}
    )
    gpu_section.run_section(section(tmp_path, "scoring", rounds=9, until=130.0))
    # 2 and 20 seconds to warm up; eight are left, of which a slow turn takes too many.
    assert turns == {"quick": 5, "slow": 1} and now[0] <= 130
    assert list(pd.read_csv(tmp_path / "gpu.csv")["rounds"]) == [4, 0]


def test_what_ends_a_section_s_process_takes_no_other_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    programs = {
        "equality": "import os; os.abort()",
        "attention": "import time; time.sleep(600)",
        "distillation": "raise SystemExit(3)",
    }
    ran: list[Section] = []

    def command(section: Section) -> Sequence[str]:
        ran.append(section)
        return [sys.executable, "-c", programs.get(section.name, "")]

    monkeypatch.setattr(gpu, "_command", command)
    monkeypatch.setattr(gpu, "SECONDS", dict.fromkeys(gpu.SECONDS, 10) | {"attention": 1})
    start = time.time()
    with pytest.raises(SystemExit):
        gpu.main(["--smoke", "--seconds", "40", "--output", str(tmp_path)])
    assert [each.name for each in ran] == ["inputs", *gpu_equality.CHECKS, *gpu_speed.PARTS]
    assert time.time() - start < 40 and all(start < each.until <= start + 41 for each in ran)
    failed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("FAILED")]
    assert [line.partition(": ")[0] for line in failed] == [f"FAILED {name} at 2 layers/32" for name in programs]
    assert "its process: ended with status -6" in failed[0] and "ended with status 3" in failed[2]
    assert "its process: was ended after 1 s" in failed[1]


def test_no_cuda_device_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpu.main([])
    assert "no CUDA device" in capsys.readouterr().out
