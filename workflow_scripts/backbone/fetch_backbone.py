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
from workflow_scripts.backbone.shared_vocabulary import refuse_other_tokens
from workflow_scripts.experiment.backbone_source import local_folder
from workflow_scripts.models import model_folders, sentence_transformers
from workflow_scripts.models.tokenizer import Layout, read_tokenizer
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.checksums import sha256
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError, one_line, raise_shortage

if TYPE_CHECKING:
    from torch import Tensor

    from workflow_scripts.models.rankers import AnyRanker

SHORT_TRIED, LONGEST_TRIED = 4, 1024
SEEDS_TRIED = 8
"""Enough that layers dropped one time in twenty are seen."""
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


def fetch_backbone(spec: Mapping, output: Path, files: Sequence[Path] = (), first: Sequence[Path] = ()) -> None:
    """Write a model folder: ``config.json``, one ``model.safetensors``, ``tokenizer.json`` and its settings.

    ``spec``: ``source`` (a local folder or a hub id), ``revision`` (of a hub id: a commit; an experiment has no other),
    and what is asked of the model, see :func:`~workflow_scripts.experiment.backbone_uses.asked_of`.
    ``files``: those of a local folder, whose change makes another backbone; ``first``: another backbone, whose
    tokenizer makes the token stores. The commit that was fetched, and the checksum of each file as it came, are in the
    counts. Raises :class:`InputError` for a source that cannot be reached, has pickled weights only, brings its own
    code, lacks a weight, whose tokens are not those of the library, whose vectors depend on padding, or that cannot do
    what is asked of it.
    """
    source, revision = spec["source"], spec.get("revision")
    local = local_folder(source)
    with ArtifactWriter(output, kind="backbones", spec=spec) as writer, tempfile.TemporaryDirectory() as scratch:
        if local is None:
            local = Path(scratch)
            writer.counts["revision"], writer.counts["checksums"] = _download(source, revision, local)
        folder = writer.path("")
        _copy(local, folder)
        model = _complete(local, folder, source)
        refuse_other_tokens(read_tokenizer(folder), output, first)
        _try_what_is_asked(spec, model, folder)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        writer.counts |= {"parameters": parameters, "model_type": model.config["model_type"]}
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


def _complete(source: Path, folder: Path, name: str) -> AnyRanker:
    """Write the tokenizer of the model in ``folder`` and try both; returns the model."""
    from workflow_scripts.backbone.library_tokenizer import write_library_tokenizer

    model = _load(folder, "bi-encoder", name)
    write_library_tokenizer(source, folder, model, name)
    alone, beside = _try(model, folder, name)
    if not (alone - beside).abs().max() <= PADDING_TELLS * alone.abs().max():
        raise InputError(f"{name}: a text's vector depends on the padding beside it; choose another encoder")
    return model


def _load(
    folder: Path, architecture: str, name: str, *, new_head: bool = True, dropout: float | None = None
) -> AnyRanker:
    """The model in ``folder``, which a refusal calls ``name``."""
    from workflow_scripts.models.rankers import load_ranker

    try:
        model = load_ranker(folder, architecture, initialise_seed=0, new_head=new_head, dropout=dropout)
    except InputError as error:
        line = str(error).replace(str(folder), name)
        raise InputError(line if name in line else f"{name}: {line}") from None
    except Exception as error:  # whatever the library makes of a configuration that it does not check
        raise_shortage(error)
        raise InputError(f"{name}: cannot be loaded as a {architecture} ({one_line(error)})") from None
    _check(model, name)
    return model


def _check(model: AnyRanker, name: str) -> None:
    """Raise :class:`InputError` for a weight that is no number, and for a model that has no room for a text."""
    for weight, values in model.named_parameters():
        if not values.isfinite().all():
            known_as = getattr(model, "checkpoint_name", str)(weight).removeprefix("library.")
            raise InputError(f"{name}: weight {known_as} holds NaN or infinity: fetch or save the model again")
    if model.longest < SHORT_TRIED:
        raise InputError(
            f"{name}: its positions have no room for {SHORT_TRIED} tokens: mend config.json (max_position_embeddings, "
            "pad_token_id), or choose another model"
        )


def _try_what_is_asked(spec: Mapping, encoder: AnyRanker, folder: Path) -> None:
    """Raise :class:`InputError` for a model that cannot do what the experiment asks, as a job hours later would."""
    name, longest, ranks = spec["source"], spec.get("longest"), spec.get("ranks", False)
    pair = longest is not None and longest["texts"] == 2
    special = 2 + (Layout.of(read_tokenizer(folder), name).separators if pair else 0)
    if longest and longest["tokens"] + special > encoder.longest:
        raise InputError(
            f"{name}: {'a query and a document' if pair else 'a text'} of {longest['tokens']} tokens, and {special} "
            f"special ones, exceed the model's {encoder.longest} positions; lower the config's lengths"
        )
    if pair:
        try:
            ranker = _load(folder, "cross-encoder", name, new_head=not ranks)
        except InputError as error:
            raise InputError(f"{error} (its teacher has trained: false)" if ranks else str(error)) from None
        _try(ranker, folder, name)
    if ranks and (other := sentence_transformers.other_scoring(folder)):
        raise InputError(f"{name} is no teacher as it is: {other}; leave trained: false out, or choose another")
    if spec.get("still"):
        _refuse_noise(_load(folder, "cross-encoder" if pair else "bi-encoder", name, dropout=0.0), folder, name)
    for chosen in spec.get("encodes", ()):
        if other := sentence_transformers.other_embedding(folder, **chosen):
            raise InputError(f"{name} is no dense encoder as it is: {other}; train a bi-encoder from it")


def _refuse_noise(model: AnyRanker, folder: Path, name: str) -> None:
    """Raise :class:`InputError` for a model without dropout that is still random in training."""
    import torch

    model.train()
    text, results = _text(folder)[:SHORT_TRIED], []
    with torch.random.fork_rng(devices=[]):
        for seed in range(SEEDS_TRIED):
            torch.manual_seed(seed)
            results.append(_forward(model, [text], name))
    if any(not torch.equal(result, results[0]) for result in results):
        raise InputError(
            f"{name}: the model is random in training where training.dropout is 0, by something that this setting does "
            "not reach: choose another encoder, or set training.dropout to null"
        )


def _try(model: AnyRanker, folder: Path, name: str) -> tuple[Tensor, Tensor]:
    """What the model makes of a short text, alone and beside the longest that shall fit.

    Raises :class:`InputError` for one that makes nothing of them, so that no training finds what is wrong.
    """
    long = np.resize(_text(folder), min(model.longest, LONGEST_TRIED))
    short = long[:SHORT_TRIED]
    return _forward(model, [short], name)[0], _forward(model, [short, long], name)[0]


def _text(folder: Path) -> np.ndarray:
    """Tokens that models are tried with."""
    return np.array(read_tokenizer(folder).encode(" ".join(library_tokenizer.PROBES)).ids, np.int32)


def _forward(model: AnyRanker, texts: Sequence[np.ndarray], name: str) -> Tensor:
    """Scores or embeddings of texts' tokens; :class:`InputError` where the model has none, or they are no numbers."""
    import torch

    from workflow_scripts.models.token_store import Sequences

    tokens, lengths = np.concatenate(texts), np.array([len(text) for text in texts])
    try:
        with torch.inference_mode():
            results = model(Sequences(tokens, np.zeros_like(tokens), lengths))
    except Exception as error:  # whatever a model of the library raises that asks for more than tokens
        raise_shortage(error)
        raise InputError(f"{name}: the model does not encode {max(lengths)} tokens alone ({one_line(error)})") from None
    if not results.isfinite().all():
        raise InputError(f"{name}: what the model makes of a text holds NaN or infinity; choose another model")
    return results


if __name__ == "__main__":
    run(fetch_backbone)
