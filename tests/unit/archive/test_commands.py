"""The commands that docs/archives.md shows, and the settings that an archive goes by."""

from __future__ import annotations

import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest
from factories import artifact
from project import commands_of
from snakemake.common.configfile import load_configfile

from workflow_scripts.archive import pack, rebuild
from workflow_scripts.archive.container import write_archive
from workflow_scripts.archive.contents import (
    ASKED,
    MODELS,
    OF_KIND,
    REMADE,
    SOURCES,
    TEXTS,
    UNNEEDED,
    entries,
    not_rebuilt,
    path_of,
)
from workflow_scripts.archive.restore import _line, restore
from workflow_scripts.report.lineage import STAGES
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError

SLOW = pytest.param("x", "could not be rebuilt", marks=pytest.mark.slow)


def made(results: Path) -> Path:
    """Artifacts of some kinds and a few products, as their jobs would leave them."""
    artifacts = {
        "students/a": ("students", ["model.safetensors", "history.parquet", "README.md"]),
        "corpora/c": ("corpora", ["documents.parquet", "truth.parquet"]),
        "collections/c": ("collections", ["queries.parquet", "qrels.parquet"]),
        "index/c": ("indexes", ["segments"]),
        "runs/a/all": ("runs", ["c.run.gz"]),
        "exports/a": ("export", ["texts.jsonl"]),
    }
    for place, (kind, names) in artifacts.items():
        artifact(results / place / "manifest.json", {name: name for name in names}, kind=kind)
    for name in ("analysis/contamination_pairs.parquet", "tables/main.csv", "report.html", "notes.txt"):
        (results / name).parent.mkdir(exist_ok=True)
        (results / name).touch()
    return results


@pytest.mark.parametrize("options", [frozenset(), frozenset({MODELS}), frozenset({TEXTS}), frozenset({MODELS, TEXTS})])
def test_models_and_texts_leave_unless_they_are_asked_for(tmp_path: Path, options: frozenset[str]) -> None:
    found = {entry.name: entry.left_out for entry in entries(made(tmp_path / "results" / "x"), options, ("runs/a/",))}
    models, texts = (None if option in options else option for option in (MODELS, TEXTS))
    assert found == {
        **{
            f"{place}/manifest.json": None
            for place in ("students/a", "corpora/c", "collections/c", "index/c", "exports/a")
        },
        "students/a/model.safetensors": models,
        **dict.fromkeys(("students/a/history.parquet", "students/a/README.md"), None),
        "corpora/c/documents.parquet": texts,
        "corpora/c/truth.parquet": None,
        "collections/c/queries.parquet": texts,
        "collections/c/qrels.parquet": None,
        "index/c/segments": REMADE,
        "exports/a/texts.jsonl": UNNEEDED,
        **dict.fromkeys(("runs/a/all/manifest.json",), None),
        "runs/a/all/c.run.gz": ASKED,
        "analysis/contamination_pairs.parquet": texts,
        "tables/main.csv": None,
        "report.html": texts,
    }


def test_every_kind_behind_the_numbers_is_packed_or_not_on_purpose() -> None:
    assert set(STAGES) == OF_KIND.keys()


def test_what_is_not_packed_says_what_is_not_rebuilt() -> None:
    assert not_rebuilt({"index/c/segments": 0}, texts=False) == {}
    left_out = ["students/be/kl/seed0/model.safetensors", "corpora/c/documents.parquet"]
    lacking = not_rebuilt(dict.fromkeys(left_out), texts=True)
    assert lacking == {
        "make_bound_table": left_out[:1],
        "make_locality_table": left_out[1:],
        "make_report": left_out[1:],
    }
    assert "make_report" not in not_rebuilt(dict.fromkeys(left_out), texts=False)


def test_sources_name_rules_and_products_that_are_there() -> None:
    rules = "\n".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    bodies = dict(re.findall(r"^use rule \w+ as (\w+) with:(.*?)(?=^use rule |\Z)", rules, re.DOTALL | re.MULTILINE))
    for rule, source in SOURCES.items():
        output = bodies[rule].partition("output:")[2].partition("log:")[0]
        for product in source.products:
            assert f'"{product}"' in output or f"/{path_of(product)}" in output, (rule, product)
        folders = {pattern.partition("/")[0] for pattern in source.opens}
        assert all(re.search(rf"\b{folder}\b|{folder}=", rules) for folder in folders)
        assert not any(fnmatch("metrics.parquet", pattern) for pattern in source.opens)


def test_a_folder_on_another_disk_is_packed_too(tmp_path: Path) -> None:
    results = made(tmp_path / "results" / "x")
    before = list(entries(results, frozenset()))
    (results / "students").rename(tmp_path / "students")
    (results / "students").symlink_to(tmp_path / "students")
    assert list(entries(results, frozenset())) == before


def test_what_git_does_not_know_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "ROOT", tmp_path)
    monkeypatch.setattr("workflow_scripts.storage.code.ROOT", tmp_path)
    for name in ("README.md", "config/demo.yaml", "notes.txt", "config/keys/id_rsa"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert pack._code()[0].keys() == {"README.md", "config/demo.yaml", "notes.txt", "config/keys/id_rsa"}
    for arguments in (["init"], ["add", "README.md", "config/demo.yaml"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, capture_output=True, check=True)
    code, unknown = pack._code()
    assert code.keys() == {"README.md", "config/demo.yaml"} and unknown == {"notes.txt", "config/keys/id_rsa"}
    (tmp_path / ".git/HEAD").unlink()
    with pytest.raises(InputError, match="git cannot list"):
        pack._code()


def test_a_pattern_that_leaves_nothing_out_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "missing_products", lambda configs: [])
    pack._check([], ("runs/be", "rankings/*"), ["runs/be/a", "rankings/b/c"])
    with pytest.raises(InputError, match="WITHOUT=runs/bf names no file"):
        pack._check([], ("runs/be", "runs/bf"), ["runs/be/a"])


@pytest.mark.parametrize(
    ("measured", "others", "lines"),
    [
        (["a"], [], ["metrics: same bytes", "cells: same bytes"]),
        (
            ["a"],
            ["b"],
            [
                "metrics: same bytes; 1 of 2 files as packed, since their runs or judgements are not",
                "cells: 1 of 1 files as packed, since their runs or judgements are not",
            ],
        ),
    ],
)
def test_what_is_not_measured_again_is_said(tmp_path: Path, measured: list, others: list, lines: list[str]) -> None:
    folders = {name: f"metrics/be/{name}/seed0/all" for name in [*measured, *others]}
    names = [*(f"{folder}/metrics.parquet" for folder in folders.values()), f"cells/be.{max(folders)}.seed0.d.csv"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    packed = {name: tmp_path / name for name in names}
    kept = [folders[name] for name in others]
    again = {name for name in names if rebuild._is_made(name, [folders[name] for name in measured], kept)}
    compared = [rebuild._compare(*each, again, {}, packed, tmp_path) for each in rebuild._by_product(packed).items()]
    assert [_line(each) for each in compared] == lines


@pytest.mark.parametrize(("written", "message"), [("demo", "are of demo"), ("y z", "experiment"), SLOW])
def test_what_cannot_be_rebuilt_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, message: str
) -> None:
    """An experiment of another name, one that Snakemake refuses, one that no reader of settings takes."""
    monkeypatch.chdir(tmp_path)
    name = "profiles/default/config.yaml"  # where Snakemake looks for options
    settings = (ROOT / "config/demo.yaml").read_text().replace("experiment: demo", f"experiment: {written}")
    files = {name: settings.encode(), "results/x/tables/main.csv": b"a\n"}
    about = {"format": 1, "experiment": "x", "configs": [name], "models": False, "texts": False}
    about |= {"left_out": {}, "files": {path: pack._listed(content) for path, content in files.items()}}
    write_archive(Path("x.tar"), about, files)
    with pytest.raises(InputError, match=message):
        list(restore(Path("x.tar"), "1"))
    assert not list(Path("results").iterdir())


def test_snakemake_reads_configs_as_data(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    config = tmp_path / "x.yaml"
    config.write_text(f"__use_yte__: true\n__definitions__:\n  - open({str(ran)!r}, 'w')\na: [1, 0.5, null]\n")
    rebuild._lay_out(tmp_path / "here", {"configs": ["config/x.yaml"]}, {"config/x.yaml": config})
    read = load_configfile(tmp_path / "here/config/x.yaml")
    assert read["a"] == [1, 0.5, None] and "__use_yte__" in read and not ran.exists()
    load_configfile(config)
    assert ran.exists()


def test_the_commands_of_the_page_are_make_targets() -> None:
    page = (ROOT / "docs/archives.md").read_text()
    lines = [line.partition("  #")[0].strip() for line in page.split("```bash\n")[1].split("```")[0].splitlines()]
    given = {"make archive EXPERIMENT=demo": "pack", "make check-archive": "check", "make restore": "restore"}
    for line, (start, module) in zip(lines, given.items(), strict=True):
        assert line.startswith(start)
        assert f"python -m workflow_scripts.archive.{module} " in commands_of(*line.split()[1:])
    options = ("MODELS=1", "TEXTS=1", "WITHOUT=runs/be rankings")
    assert commands_of("archive", "EXPERIMENT=study", *options).split("-m workflow_scripts")[1] == (
        ".archive.pack config/demo.yaml config/study.yaml --output results/study.tar --models --texts "
        "--without runs/be rankings"
    )
