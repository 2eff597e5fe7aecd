"""Bad input found by a job: one line that names the item, a failed run, nothing half-written."""

from __future__ import annotations

from pathlib import Path

import pytest
from project import Project

from workflow_scripts.storage.locks import STARTED

DOCUMENTS = '{"doc_id": "d1", "text": "one wing"}\n{"doc_id": "d2", "text": "two wings"}\n'
OWN_CORPUS = "corpora:\n", "corpora:\n  own: {source: files, documents: own.jsonl}\n"
TEST = "role: test"
TRAIN = "role: train, pairs: qrels"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project.fresh(tmp_path)
    (tmp_path / "own.jsonl").write_text(DOCUMENTS)
    (tmp_path / "own.tsv").write_text("q1\twing\nq2\ttwo\n")
    (tmp_path / "own.qrels").write_text("q1 0 d1 1\nq2 0 d2 1\n")
    return project


def refused(project: Project, target: str, message: str) -> None:
    """The target fails with exactly one error line and leaves no file of its artifact."""
    output = project.refused(f"results/tiny/{target}/manifest.json")
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and message in errors[0], output
    folder = project.folder / "results" / "tiny" / target
    # The mark of a job that did not end well, and nothing else.
    assert [path.name for path in folder.iterdir()] == [STARTED]


def test_a_duplicate_document_is_named_with_its_line(project: Project) -> None:
    project.edit("tests/config/tiny.yaml", *OWN_CORPUS)
    (project.folder / "own.jsonl").write_text(DOCUMENTS + DOCUMENTS.splitlines()[0] + "\n")
    refused(project, "corpora/own", "own.jsonl:3")


@pytest.mark.parametrize(
    ("role", "qrels", "message"),
    [
        (TRAIN, "q1 0 d1 1\n", "q2"),
        (TEST, "q1 0 d1 1\nq2 0 d2 1\nq3 0 d2 1\n", "own.qrels:3"),
    ],
    ids=["query-without-positives", "unknown-query"],
)
def test_bad_judgements_are_named(project: Project, role: str, qrels: str, message: str) -> None:
    project.edit("tests/config/tiny.yaml", *OWN_CORPUS)
    own = f"  own: {{corpus: own, source: files, {role}, queries: own.tsv, qrels: own.qrels}}\n"
    project.edit("tests/config/tiny.yaml", "collections:\n", "collections:\n" + own)
    (project.folder / "own.qrels").write_text(qrels)
    refused(project, "collections/own", message)


def test_a_pickled_checkpoint_is_never_read(project: Project) -> None:
    model = project.folder / "pickled"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "bert"}')
    # A pickle that would leave a trace if anything loaded it.
    trap = project.folder / "trap"
    (model / "pytorch_model.bin").write_bytes(b"cposix\nsystem\n(S'touch %s'\ntR." % str(trap).encode())
    project.edit("tests/config/tiny.yaml", "source: scratch", "source: ./pickled")
    refused(project, "backbones/mini", "safetensors")
    assert not trap.exists()
