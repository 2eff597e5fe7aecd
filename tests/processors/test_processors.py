"""With portable arithmetic a study has the same bytes on this processor and on emulated ones of Intel and AMD."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from packages import program

ROOT = Path(__file__).parents[2]
PROCESSORS = ("Haswell", "EPYC-Rome")
EMULATOR = "qemu-x86_64"
pytestmark = [pytest.mark.slow, pytest.mark.processors]


@pytest.fixture(scope="module")
def emulator() -> str:
    return program(EMULATOR, "qemu-user")


def study(folder: Path, *prefix: str) -> dict[str, bytes]:
    """The files of a study by name, without manifests and cards."""
    packages = next(path for path in sys.path if (Path(path) / "torch").is_dir())
    command = [*prefix, str(Path(sys.executable).resolve()), "tests/processors/study.py", str(folder), packages]
    done = subprocess.run([*command, "--arithmetic", "portable"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in files.items()
        if path.name not in ("manifest.json", "README.md") and not path.name.startswith(".")
    }


def test_a_study_has_the_same_bytes_on_every_processor(emulator: str, tmp_path: Path) -> None:
    prefixes = {"here": (), **{processor: (emulator, "-cpu", processor) for processor in PROCESSORS}}
    with ThreadPoolExecutor() as pool:
        studies = {name: pool.submit(study, tmp_path / name, *prefix) for name, prefix in prefixes.items()}
    made = {name: future.result() for name, future in studies.items()}
    here = made["here"]
    assert {"backbone/model.safetensors", "bi-encoder/model.safetensors", "metrics/metrics.parquet"} <= set(here)
    for processor in PROCESSORS:
        assert set(made[processor]) == set(here)
        other = [name for name, content in made[processor].items() if content != here[name]]
        if "operations.npz" in other:
            with np.load(tmp_path / "here/operations.npz") as a, np.load(tmp_path / processor / "operations.npz") as b:
                other += [name for name in a if not np.array_equal(a[name], b[name])]
        assert not other, (processor, other)
    about = json.loads((tmp_path / "here/cross-encoder/manifest.json").read_text())["arithmetic"]
    assert about == {"setting": "portable", "products": "OpenBLAS"}
