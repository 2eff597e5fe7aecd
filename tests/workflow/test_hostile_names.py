"""No value of a config and no name of a file runs as a command: each is one word of its job's command line."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from pathlib import Path

import yaml
from project import Project

WORDS = (
    "a b",
    "'",
    '"',
    "$(touch pwned)",
    "`touch pwned`",
    ";touch pwned",
    "&",
    "|",
    ">",
    "*",
    "\\",
    "#",
    "!",
    "é",
    "%",
)
FILE = "".join(WORDS) + ".jsonl"
DOCUMENTS = '{"doc_id": "d1", "text": "one wing"}\n{"doc_id": "d2", "text": "two wings"}\n'


def hostile(folder: Path) -> list[str]:
    """The tiny experiment with hostile names wherever the config takes free text; those names."""
    config = yaml.safe_load((folder / "tests/config/tiny.yaml").read_text())
    names = {key: f"-{key} {FILE}" for key in ("documents", "queries", "qrels")}
    model = f"./{FILE}"
    (folder / model).mkdir()
    pooling = f"1_{FILE[:-6]}"
    modules = [{"type": "x.Pooling", "path": pooling}]
    described = {"model_type": "bert", "hidden_size": 8, "num_attention_heads": 1, "vocab_size": 9}
    written = {"config.json": described, "modules.json": modules, "model.safetensors": {}, f"{pooling}/config.json": {}}
    for name, content in written.items():
        (folder / model / name).parent.mkdir(exist_ok=True)
        (folder / model / name).write_text(json.dumps(content))
    (folder / names["documents"]).write_text(DOCUMENTS)
    (folder / names["queries"]).write_text("".join(f'{{"query_id": "q{n}", "text": "wing"}}\n' for n in range(4)))
    (folder / names["qrels"]).write_text("".join(f"q{n} 0 d1 1\n" for n in range(4)))
    config["corpora"]["own"] = {"source": "files", "documents": names["documents"]}
    own = {"corpus": "own", "source": "files", "role": "test", "queries": names["queries"], "qrels": names["qrels"]}
    public = {"source": "ir_datasets", "id": "cranfield", "title_separator": f"{{input}}{{{FILE}"}
    config["corpora"]["public"] = public
    config["collections"] |= {
        "own": own,
        "public": {"corpus": "public", "source": "ir_datasets", "role": "test", "id": "cranfield"},
    }
    config["domains"]["own"] = ["own", "public"]
    config["backbones"]["fetched"] = {"source": model, "vocabulary": "fetched"}
    config["students"]["fetched"] = {"architecture": "bi-encoder", "backbone": "fetched", "learning_rate": 0.1}
    copies = folder / FILE.replace("#", "")
    copies.mkdir()
    (copies / "a.gz").write_text("")
    url = f"file://{copies}/a.gz"
    config["systems"]["published"] = {"model": "import", "url": url, "systems": ["a"], "depth": 20}
    config["pools"]["published"] = {"systems": ["published"], "depth": 10}
    config["samplers"]["crossencoder"]["pools"].append("published")
    (folder / "hostile.yaml").write_text(yaml.safe_dump(config, allow_unicode=True))
    return [*names.values(), model.removeprefix("./"), FILE, url]


def test_every_value_is_one_word_of_its_command_line(tmp_path: Path) -> None:
    project = Project.fresh(tmp_path)
    names, words = hostile(tmp_path), []
    done = project.run("--dry-run", "--printshellcmds", "--forceall", config="hostile.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    commands = re.findall(r"^ *Shell command: (python .*)$", done.stdout + done.stderr, re.MULTILINE)
    for command in commands:
        split = shlex.split(command)
        words += split
        # Nothing of a name became a word of its own, and nothing outside of quotes is more than plain text.
        assert all(re.fullmatch(r"-m|--[a-z-]+", word) for word in split if word.startswith("-")), command
        assert re.fullmatch(r"[\w ./:,=@%+-]*", re.sub(r"'[^']*'|\"'\"", "", command), re.ASCII), command
        json.loads(dict(itertools.pairwise(split))["--spec"])
    modules = {command.split()[2].split(".")[1] for command in commands}
    assert modules >= {"collect", "index", "backbone", "mine", "teach", "train", "evaluate", "report"}
    texts = words + [json.dumps(json.loads(word), ensure_ascii=False) for word in words if word.startswith("{")]
    for name in names:
        assert any(name in text or json.dumps(name, ensure_ascii=False)[1:-1] in text for text in texts), name


def test_a_job_reads_a_file_with_a_hostile_name_and_runs_nothing_of_it(tmp_path: Path) -> None:
    project = Project.fresh(tmp_path)
    hostile(tmp_path)
    project.build("results/tiny/collections/own/manifest.json", config="hostile.yaml")
    log = project.refused("results/tiny/backbones/fetched/manifest.json", config="hostile.yaml")
    assert "model.safetensors cannot be read" in log
    assert not list(tmp_path.rglob("pwned*"))


def test_braces_in_a_path_are_refused_in_one_line(tmp_path: Path) -> None:
    project = Project.fresh(tmp_path)
    (tmp_path / "a{b}.jsonl").write_text(DOCUMENTS)
    old = "demo-hard: {source: generated, world: hard-shift, seed: 7, documents: 200}"
    project.edit("tests/config/tiny.yaml", old, 'demo-hard: {source: files, documents: "a{b}.jsonl"}')
    project.edit("tests/config/tiny.yaml", "  demo-hard: {corpus: demo-hard", "  # demo-hard: {corpus: demo-hard")
    project.edit("tests/config/tiny.yaml", "  hard-shift: [demo-hard]", "")
    project.edit("tests/config/tiny.yaml", "sets: {all: [demo, demo-hard]}", "sets: {all: [demo]}")
    assert "corpora.demo-hard.documents: Snakemake would read the braces of 'a{b}.jsonl'" in project.refused("-n")
