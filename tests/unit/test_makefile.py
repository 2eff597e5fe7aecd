"""The Makefile: its targets, what it hands on, and the environment that it keeps; the citation's version."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import yaml
from project import ROOT, commands_of, make

from workflow_scripts.experiment.page_spec import make_options


def test_every_make_target_is_described() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z][\w-]*):(?!=)", text, re.MULTILINE)
    assert targets[0] == "help"
    assert targets == re.findall(r"^([a-z][\w-]*):(?!=).*  ## \S", text, re.MULTILINE)
    said = subprocess.run(["make", "-pn", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", said, re.MULTILINE)[1].split()
    assert sorted(phony) == sorted(targets)


def test_make_hands_on_what_is_typed() -> None:
    build = "-m snakemake --logger distillery --profile config/profiles/"
    daily = "-m workflow_scripts.daily."
    commands = {
        "cell CELL=a.b EXPERIMENT=study": f"{build}local --cores 2 --configfile config/demo.yaml config/study.yaml -- "
        "results/study/cells/a.b.in-domain.csv",
        "paper": f"{build}gpu --cores all --configfile config/paper.yaml",
        "all EXPERIMENT=mine PROFILE=slurm": f"{build}slurm --configfile config/mine.yaml",
        "downloads EXPERIMENT=paper": f"{build}local --cores 2 --configfile config/paper.yaml "
        "--forcerun fetch_archives -- downloads",
        "list FILTER='a b'": f"{daily}list_cells --configfile config/demo.yaml --filter 'a b'",
        "compare A=a.b B=c.d": f"{daily}compare 'a.b' 'c.d' --configfile config/demo.yaml",
        "compare A=demo B=study": f"{daily}compare 'demo' 'study' --configfile config/demo.yaml "
        "--against config/demo.yaml config/study.yaml",
        f"cell CELL=a.b {make_options('mine', ['config/paper.yaml', 'config/mine.yaml'])}": f"{build}local --cores 2 "
        "--configfile config/paper.yaml config/mine.yaml -- results/mine/cells/a.b.in-domain.csv",
        f"report {make_options('tiny', ['tests/config/tiny.yaml'])}": f"{build}local --cores 2 --configfile "
        "tests/config/tiny.yaml -- results/tiny/report.html",
        f"table TABLE=main {make_options('paper', ['config/paper.yaml'])}": f"{build}local --cores 2 --configfile "
        "config/paper.yaml -- results/paper/tables/main.md",
        "table TABLE=first_stage EXPERIMENT=paper": f"{build}local --cores 2 --configfile config/paper.yaml -- "
        "results/paper/tables/first_stage.csv",
        f"compare A=demo B=mine {make_options('mine', ['config/demo.yaml', 'config/mine.yaml'])}": f"{daily}compare "
        "'demo' 'mine' --configfile config/demo.yaml --against config/demo.yaml config/mine.yaml",
        "rivals CONFIGS=config/mine.yaml EXPERIMENT=mine": "--configfile config/demo.yaml config/rivals.yaml",
        "clean CELL=a.b EXPERIMENT=mine": f"{daily}clean_cell 'a.b' --configfile config/mine.yaml",
    }
    for typed, command in commands.items():
        assert commands_of(*shlex.split(typed)).endswith(command), typed


def test_only_make_venv_renews_an_environment_and_a_failure_leaves_the_old_one(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name, text in {"requirements.txt": "", "requirements-dev.txt": "new", ".venv/locks.txt": "old"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / ".venv/bin").mkdir()
    (tmp_path / ".venv/bin/python").write_text("#!/bin/sh\necho old\n")
    fake = '#!/bin/sh\nmkdir -p "$3/bin"\nfor each in python pip; do printf "#!/bin/sh\\n" > "$3/bin/$each"; '
    fake += 'chmod +x "$3/bin/$each"; done\n'
    (tmp_path / "venv").write_text(fake)
    for path in (tmp_path / ".venv/bin/python", tmp_path / "venv"):
        path.chmod(0o755)

    def made(target: str, python: str) -> tuple[int, str, str]:
        done = make(target, f"PYTHON={python}", folder=tmp_path)
        return done.returncode, done.stdout, done.stderr

    assert made("list", "false") == (0, "old\n", ".venv is not of these locks: make venv renews it\n")
    assert made("venv", "false")[0] and made("list", "false")[1] == "old\n"
    assert made("venv", "./venv") == (0, "", "") == made("list", "false")
    assert {path.name for path in tmp_path.glob(".*")} == {".venv"}


def test_the_citation_is_of_this_version_and_names_the_study() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in project["authors"]]
    (study,) = citation["references"]
    assert study["identifiers"][0]["value"] == "arXiv:2505.21058"
    assert f"{project['version']}\n" in (ROOT / "CHANGELOG.md").read_text()
