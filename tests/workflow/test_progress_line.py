"""``--logger distillery`` on the real Snakemake: what it says of a run, of a job that fails, of a name that is none."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest
from project import Project

pytestmark = pytest.mark.slow
LOGGER = ("--logger", "distillery")
DOCUMENTS = '{"doc_id": "d1", "text": "one wing"}\n{"doc_id": "d2", "text": "two wings"}\n'
OWN = "results/tiny/corpora/own/manifest.json"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project.fresh(tmp_path_factory.mktemp("progress"))
    project.edit("tests/config/tiny.yaml", "corpora:\n", "corpora:\n  own: {source: files, documents: own.jsonl}\n")
    (project.folder / "own.jsonl").write_text(DOCUMENTS)
    return project


def test_a_failed_job_is_reported_with_the_command_that_makes_it(project: Project) -> None:
    documents = project.folder / "own.jsonl"
    documents.write_text(DOCUMENTS * 2)
    said = project.refused(*LOGGER, "--profile", "config/profiles/local", "--", OWN)
    error = "own.jsonl:3 repeats the document id 'd1' of own.jsonl:1: remove one"
    at_once, at_the_end = said.split("failed: prepare_corpus own, after ")[1:]
    log = "results/tiny/logs/prepare_corpus/own.log"
    assert at_once.splitlines()[1:3] == [f"  reason: {error}", f"  log: {log}"]
    lines = at_the_end.splitlines()
    assert lines[1:4] == [f"  reason: {error}", f"  {log} ends:", f"    error: {error}"], said
    assert re.fullmatch("0 of 1 jobs done in .+; 1 failed", lines[-1]), said
    assert "CalledProcessError" not in said and "Error in rule" not in said
    documents.write_text(DOCUMENTS)
    command = shlex.split(lines[4].removeprefix("  again: "))
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True)
    assert done.returncode == 0 and (project.folder / OWN).exists(), done.stderr
    assert done.stderr.splitlines()[-1].startswith("1 of 1 jobs done in ")


def test_time_left_is_told_from_the_start_by_an_earlier_run(project: Project) -> None:
    target = "results/tiny/corpora/demo/manifest.json"
    project.build(*LOGGER, "--", target)
    (project.folder / target).unlink()
    first = next(line for line in project.build(*LOGGER, "--", target).splitlines() if " of 1 jobs" in line)
    assert re.fullmatch(r"[\d:]{8} 0 of 1 jobs, about \d+ s to go: prepare_corpus demo \(0 s\)", first)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--", "results/tiny/tables/none.md"], "no 'none.md' among the tables of tiny: it has claims, main, "),
        (["--", "results/tiny/figures/main.md"], "no 'main.md' among the figures of tiny: it has pipeline, "),
        (
            ["--", "results/tiny/cells/ce.lce.bm25.none.seed0.none.csv"],
            "no 'none' among the domains of tiny: it has in-domain, hard-shift",
        ),
        (
            ["--configfile", "tests/config/tiny.yaml", "results/tiny/report.html"],
            "there is no configuration file results/tiny/report.html: a target goes behind --",
        ),
    ],
    ids=["table", "figure", "domain", "target taken for a configuration file"],
)
def test_a_name_that_is_none_is_answered_in_one_line(project: Project, arguments: list[str], answer: str) -> None:
    *_, line = project.refused(*LOGGER, *arguments).splitlines()
    assert line.startswith(f"error: {answer}")
