"""Fetch a pretrained encoder from the Hugging Face hub or a local folder: configuration, safetensors, tokenizer.

The one script of the ranking side that may use the network. No code that comes with a model is run, no pickle is read.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow_scripts.experiment.backbone_source import local_folder
from workflow_scripts.models import model_folders
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError

PATTERNS = (
    model_folders.CONFIG,
    "*.safetensors",
    f"{model_folders.WEIGHTS}.index.json",
    *model_folders.TOKENIZER_FILES,
)


def fetch_backbone(spec: Mapping, output: Path, files: Sequence[Path] = ()) -> None:
    """Write a model folder: ``config.json``, one ``model.safetensors``, ``tokenizer.json`` and its settings.

    ``spec``: ``source`` (a local folder or a hub id), ``revision`` (a hub branch, tag or commit; None for the main
    branch). ``files``: those of a local folder, whose change makes another backbone. The commit that was fetched is in
    the counts. Raises :class:`InputError` for a source that cannot be reached, has pickled weights only, brings its own
    code, or lacks a weight.
    """
    source, revision = spec.get("source"), spec.get("revision")
    if not source:
        raise InputError("the spec has no source: name a hub id or a local model folder")
    local = local_folder(source)
    with (
        ArtifactWriter(output, kind="backbones", spec=spec, inputs={"files": list(files)}) as writer,
        tempfile.TemporaryDirectory() as scratch,
    ):
        if local is None:
            local = Path(scratch)
            writer.counts["revision"] = _download(source, revision, local)
        folder = writer.path("")
        _copy(local, folder, name=source)
        config = model_folders.read_config(folder)
        writer.counts["parameters"] = _check(folder, name=source)
        writer.counts["model_type"] = config["model_type"]


def _download(source: str, revision: str | None, folder: Path) -> str:
    """Download a hub model's files into ``folder``; returns the commit."""
    from huggingface_hub import HfApi, snapshot_download

    try:
        info = HfApi().model_info(source, revision=revision)
        names = [file.rfilename for file in info.siblings]
        if not any(name.endswith(".safetensors") and "/" not in name for name in names):
            raise InputError(
                f"{source} (revision {revision or 'main'}) has no safetensors: set the revision to one that has "
                "(the hub's conversion bot opens pull requests, refs/pr/1 and so on), or convert it into a local folder"
            )
        snapshot_download(source, revision=info.sha, allow_patterns=list(PATTERNS), local_dir=folder)
    except InputError:
        raise
    except Exception as error:  # the hub's client lets its HTTP library's errors through, whichever that is
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{source} cannot be fetched from the Hugging Face hub ({reason}): check the id and the network, or give "
            "as source the path of a local folder with config.json, model.safetensors and tokenizer.json"
        ) from None
    return info.sha


def _copy(source: Path, folder: Path, name: str) -> None:
    model_folders.read_config(source)
    shutil.copyfile(source / model_folders.CONFIG, folder / model_folders.CONFIG)
    files = model_folders.weight_files(source)
    if len(files) == 1:
        shutil.copyfile(files[0], folder / model_folders.WEIGHTS)
    else:
        model_folders.write_weights(folder / model_folders.WEIGHTS, model_folders.read_weights(source))
    model_folders.copy_tokenizer(source, folder)
    if not (folder / "tokenizer.json").is_file():
        _convert_tokenizer(source, folder, name)


def _convert_tokenizer(source: Path, folder: Path, name: str) -> None:
    """Write ``tokenizer.json`` for a model that has only its vocabulary."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{name} has no tokenizer that can be read ({str(error).splitlines()[0]})") from None
    tokenizer.save_pretrained(folder)
    if not (folder / "tokenizer.json").is_file():
        raise InputError(f"{name} has no fast tokenizer (tokenizer.json): choose a backbone that has one")


def _check(folder: Path, name: str) -> int:
    """Load the encoder once, so that a broken folder is found here; returns the number of its parameters."""
    from workflow_scripts.models.rankers import load_ranker

    try:
        model = load_ranker(folder, "bi-encoder", initialise_seed=0)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return sum(parameter.numel() for parameter in model.parameters())


if __name__ == "__main__":
    run(fetch_backbone)
