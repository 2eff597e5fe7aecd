"""The same bytes whatever the machine is set to: cores, threads, order of jobs, folder, locale, time, umask, hashes."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from project import Project

from workflow_scripts.report.compare_results import OTHER, SAME, Comparison

pytestmark = pytest.mark.long
CONFIG = "tests/config/tiny.yaml"
CELLS = [
    f"results/tiny/cells/{cell}.{domain}.csv"
    for cell in ("ce.marginmse.crossencoder.base.seed0", "be.lce.bm25.none.seed0")
    for domain in ("in-domain", "hard-shift")
]
ELSEWHERE = {
    "LC_ALL": "POSIX",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "JAVA_TOOL_OPTIONS": "-Duser.language=tr -Duser.country=TR -Duser.timezone=Pacific/Kiritimati",
    "TZ": "Pacific/Kiritimati",
    "PYTHONHASHSEED": "12345",
}
THREADS = "{index: {threads: 3}, search: {threads: 3}, train: {threads: 4}, score: {threads: 3}, rerank: {threads: 2}}"


def another_patch(folder: Path) -> str:
    """This environment's packages under another patch version of its Python; skips where the machine has none."""
    minor = "python{}.{}".format(*sys.version_info)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for python in (
        *Path("/usr").glob(f"*bin/{minor}"),
        *Path("/usr/local/bin").glob(minor),
        *pyenv.glob(f"*/bin/{minor}"),
    ):
        about = subprocess.run([python, "-c", "import sys; print(sys.version)"], capture_output=True, text=True)
        if about.returncode == 0 and about.stdout.split()[0] != sys.version.split()[0]:
            subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
            packages = sysconfig.get_path("purelib")
            (folder / f"lib/{minor}/site-packages/shared.pth").write_text(
                f"import site; site.addsitedir({packages!r})\n"
            )
            return str(folder / "bin/python")
    pytest.skip(f"no other {minor} on this machine")


@pytest.mark.parametrize(
    "condition",
    ["one core, last cell first, every job by itself", "four cores, more threads, elsewhere", "another Python patch"],
)
def test_cells_have_the_same_bytes_however_they_are_made(
    tiny: Project, tmp_path: Path, condition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project.fresh(tmp_path / "another folder")
    if condition.startswith("one core"):
        monkeypatch.setenv("PYTHONHASHSEED", "1")
        for cell in reversed(CELLS):
            project.build(cell, "--no-hooks", "--cores", "1")
    elif condition == "another Python patch":
        project.python = another_patch(tmp_path / "python")
        project.build(*CELLS)
    else:
        for name, value in ELSEWHERE.items():
            monkeypatch.setenv(name, value)
        with open(project.folder / CONFIG, "a") as file:
            file.write(f"\nresources: {THREADS}\n")
        before = os.umask(0o077)
        try:
            project.build(*CELLS, "--cores", "4")
        finally:
            os.umask(before)
    found = Comparison(project.folder / "results/tiny", tiny.folder / "results/tiny")
    unlike = {at for at, verdict in found.artifacts.items() if at in found.a and verdict != SAME}
    # Lucene draws an id for each segment; what is found in an index is the same.
    assert {at.split("/")[0] for at in unlike} <= {"index"} and all(found.artifacts[at] == OTHER for at in unlike)
    cells = {f"results/tiny/cells/{cell.name}.csv": cell.verdict for cell in found.cells()}
    assert {cells[name] for name in CELLS} == {SAME} and len(found.a) > 20
