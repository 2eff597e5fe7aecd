"""A backbone's source is a folder or a hub id, never a guess; what is read of a folder is an input."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflow_scripts.experiment.backbone_source import local_files, local_folder
from workflow_scripts.storage.errors import InputError

FILES = (
    "config.json",
    "model.safetensors",
    "vocab.txt",
    "sentencepiece.bpe.model",
    "modules.json",
    "pooling/config.json",
)
MODULES = '[{"type": "x.Transformer", "path": ""}, {"type": "x.Pooling", "path": "pooling"}]'
OTHERS = (
    "pytorch_model.bin",
    ".cache/config.json",
    "checkpoint-5/model.safetensors",
    "1_Dense/model.safetensors",
    ".hidden.json",
)


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in ("model", "org/model", "a/b/model", "my {model}", "-model"):
        for name in (*FILES, *OTHERS):
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(MODULES if name == "modules.json" else "")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ("scratch", None),
        ("bert-base-uncased", None),
        ("google/electra-base", None),
        ("./model", "model"),
        ("~/model", "~/model"),
        ("org/../model", "org/../model"),
        ("a/b/model", "a/b/model"),
        ("my {model}", "my {model}"),
        ("-model", "-model"),
    ],
)
def test_a_source_is_a_folder_or_a_hub_id(folders: Path, source: str, folder: str | None) -> None:
    found = local_folder(source)
    assert found == (Path(folder).expanduser() if folder else None)
    assert sorted(local_files(source)) == (sorted(str(found / name) for name in FILES) if found else [])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("model", "model is a folder here and may be a hub id: write ./model for the folder"),
        ("org/model", "write ./org/model"),
        *((source, "no folder") for source in ("./none", "~/none", "/none", "~nobody-here/x", "a/b/none", "no one")),
        ("/" + "x" * 5000, "no folder"),
        ("./model/config.json", "no folder"),
        ("x\0y", "no folder"),
    ],
)
def test_what_is_neither_or_both_is_refused_in_words(source: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        local_folder(source)
