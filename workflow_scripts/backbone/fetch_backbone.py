"""Fetch a pretrained encoder from the Hugging Face hub or a local folder: configuration, safetensors, tokenizer.

The one script of the ranking side that may use the network. No code that comes with a model is run, no pickle is read.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workflow_scripts.backbone import library_tokenizer
from workflow_scripts.experiment.backbone_source import local_folder
from workflow_scripts.models import model_folders, sentence_transformers
from workflow_scripts.models.tokenizer import read_tokenizer
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.checksums import sha256
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError, one_line, raise_shortage

if TYPE_CHECKING:
    from workflow_scripts.models.padded import PaddedRanker
    from workflow_scripts.models.rankers import RankerModel

SHORT_TRIED, LONGEST_TRIED = 4, 1024
PADDING_TELLS = 1e-3
"""Difference, to a vector's largest number, that is no rounding."""
PATTERNS = (
    model_folders.CONFIG,
    model_folders.ADAPTER,
    "*.safetensors",
    f"{model_folders.WEIGHTS}.index.json",
    *library_tokenizer.FILES,
    *sentence_transformers.PATTERNS,
)


def fetch_backbone(spec: Mapping, output: Path, files: Sequence[Path] = ()) -> None:
    """Write a model folder: ``config.json``, one ``model.safetensors``, ``tokenizer.json`` and its settings.

    ``spec``: ``source`` (a local folder or a hub id), ``revision`` (of a hub id: a commit; an experiment has no other).
    ``files``: those of a local folder, whose change makes another backbone. The commit that was fetched, and the
    checksum of each file as it came, are in the counts. Raises :class:`InputError` for a source that cannot be reached,
    has pickled weights only, brings its own code, lacks a weight, whose tokens are not those of the library, or whose
    vectors depend on padding.
    """
    source, revision = spec["source"], spec.get("revision")
    local = local_folder(source)
    with (
        ArtifactWriter(output, kind="backbones", spec=spec, inputs={"files": list(files)}) as writer,
        tempfile.TemporaryDirectory() as scratch,
    ):
        if local is None:
            local = Path(scratch)
            writer.counts["revision"], writer.counts["checksums"] = _download(source, revision, local)
        folder = writer.path("")
        _copy(local, folder)
        writer.counts |= _complete(local, folder, name=source)
        if other := sentence_transformers.other_embedding(folder):
            print(f"{source}: {other}: trained here it is only where a student starts", file=sys.stderr)


def _download(source: str, revision: str | None, folder: Path) -> tuple[str, dict[str, str]]:
    """Download a hub model's files into ``folder``; returns the commit, and each file's SHA-256."""
    from huggingface_hub import HfApi, snapshot_download

    try:
        info = HfApi().model_info(source, revision=revision, files_metadata=True)
        names = [file.rfilename for file in info.siblings]
        if not any(name.endswith(".safetensors") and "/" not in name for name in names):
            raise InputError(
                f"{source} (revision {revision or 'main'}) has no safetensors: set the revision to one that has "
                "(the hub's conversion bot opens pull requests, refs/pr/1 and so on), or convert it into a local folder"
            )
        snapshot_download(source, revision=info.sha, allow_patterns=list(PATTERNS), local_dir=folder)
        files = {file.rfilename: file for file in info.siblings if (folder / file.rfilename).is_file()}
        for name, listed in files.items():
            _check_file(source, folder / name, listed)
    except InputError:
        raise
    except Exception as error:  # the hub's client lets its HTTP library's errors through, whichever that is
        raise_shortage(error)
        raise InputError(
            f"{source} cannot be fetched from the Hugging Face hub ({one_line(error)}): check the id and the network, "
            "or give as source the path of a local folder with config.json, model.safetensors and tokenizer.json"
        ) from None
    return info.sha, {name: sha256(folder / name) for name in sorted(files)}


def _check_file(source: str, path: Path, listed: Any) -> None:
    """Hold a downloaded file to what the hub lists: its SHA-256, or of a small file the name of git's blob."""
    if listed.lfs is not None:
        wanted, found = listed.lfs.sha256, sha256(path)
    else:
        content = path.read_bytes()
        wanted = listed.blob_id
        found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if wanted is None:
        print(f"warning: the hub lists no checksum of {source}'s {listed.rfilename}", file=sys.stderr, flush=True)
    elif found != wanted:
        raise InputError(
            f"{source}: {listed.rfilename} came with the checksum {found}, and the hub lists {wanted}: run this again"
        )


def _copy(source: Path, folder: Path) -> None:
    """Copy configuration and weights, shards joined, and what sentence-transformers would do with the encoder."""
    model_folders.read_config(source)
    for path in (source / model_folders.CONFIG, *sentence_transformers.files(source)):
        target = folder / path.relative_to(source)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)
    files = model_folders.weight_files(source)
    if len(files) == 1:
        shutil.copyfile(files[0], folder / model_folders.WEIGHTS)
    else:
        model_folders.write_weights(folder / model_folders.WEIGHTS, model_folders.read_weights(source))
        model_folders.share(folder)


def _complete(source: Path, folder: Path, name: str) -> dict:
    """Write the tokenizer of the model in ``folder`` and try both; returns what the manifest counts of the model."""
    from workflow_scripts.backbone.library_tokenizer import write_library_tokenizer
    from workflow_scripts.models.rankers import load_ranker

    try:
        model = load_ranker(folder, "bi-encoder", initialise_seed=0)
    except InputError as error:
        line = str(error).replace(str(folder), name)
        raise InputError(line if name in line else f"{name}: {line}") from None
    write_library_tokenizer(source, folder, model, name)
    _try(model, folder, name)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"parameters": parameters, "model_type": model.config["model_type"]}


def _try(model: RankerModel | PaddedRanker, folder: Path, name: str) -> None:
    """Encode a short text, alone and beside the longest that shall fit, so that no training finds what is wrong.

    Raises :class:`InputError`.
    """
    import torch

    from workflow_scripts.models.token_store import Sequences

    length = min(model.longest, LONGEST_TRIED)
    tokens = read_tokenizer(folder).encode(" ".join(library_tokenizer.PROBES)).ids
    long = np.resize(np.array(tokens, np.int32), length)
    short = long[:SHORT_TRIED]
    both = np.concatenate([short, long])
    try:
        with torch.inference_mode():
            alone = model(Sequences(short, np.zeros_like(short), np.array([len(short)])))[0]
            beside = model(Sequences(both, np.zeros_like(both), np.array([len(short), length])))[0]
    except Exception as error:  # whatever a model of the library raises that asks for more than tokens
        raise_shortage(error)
        raise InputError(f"{name}: the model does not encode {length} tokens alone ({one_line(error)})") from None
    if (alone - beside).abs().max() > PADDING_TELLS * alone.abs().max():
        raise InputError(f"{name}: a text's vector depends on the padding beside it; choose another encoder")


if __name__ == "__main__":
    run(fetch_backbone)
