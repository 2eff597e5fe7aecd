"""Hugging Face model folders: configuration, safetensors weights, tokenizer files.

Read and written without ``transformers``: a folder is ``config.json``, ``model.safetensors`` and tokenizer files.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.models.tokenizer import SETTINGS, TOKENIZER
from workflow_scripts.storage.errors import InputError, one_line, raise_shortage

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
ADAPTER = "adapter_config.json"


@dataclass(frozen=True)
class Family:
    """An architecture that the packed encoder computes: its names in checkpoints and what differs from BERT.

    ``library`` starts the names of its classes; ``dense`` and ``out`` are the two layers of the classification head;
    ``drop_first`` says whether the head drops before its first layer too (BERT's own starts with the pooler, without).
    """

    library: str
    dense: str
    out: str
    activation: str
    drop_first: bool
    position_offset: int = 0

    @property
    def prefix(self) -> str:
        """What the names of the encoder's weights start with, in a checkpoint with a head."""
        return self.library.lower()


FAMILIES = {
    "bert": Family("Bert", "bert.pooler.dense", "classifier", "tanh", False),
    "electra": Family("Electra", "classifier.dense", "classifier.out_proj", "gelu", True),
    "roberta": Family("Roberta", "classifier.dense", "classifier.out_proj", "tanh", True, 1),
}


def read_config(folder: str | Path) -> dict:
    """``config.json`` as a dict; :class:`InputError` where it is missing, broken or asks for what is not computed."""
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise InputError(f"{path} is missing: {folder} is not a Hugging Face model folder")
    config = read_json(path)
    if not isinstance(config.get("model_type"), str):
        raise InputError(f"{path} names no model_type: save the model with Hugging Face transformers")
    if "auto_map" in config:
        raise InputError(f"{path} asks to run code that comes with the model: only the library's own models are loaded")
    if str(config.get("position_embedding_type")).startswith("relative"):  # the library has dropped them
        raise InputError(f"{path} asks for relative positions, which are not computed: take a model with absolute ones")
    if (Path(folder) / ADAPTER).is_file():
        raise InputError(f"{folder} holds an adapter ({ADAPTER}): merge it into the weights first (merge_and_unload)")
    return config


def packable(config: Mapping) -> Family | None:
    """The family where the packed encoder can compute this model, else None."""
    from workflow_scripts.models.packed_encoder import ACTIVATIONS

    plain = not config.get("is_decoder") and config.get("hidden_act", "gelu") in ACTIVATIONS
    return FAMILIES.get(config["model_type"]) if plain else None


def encoder_shape(config: Mapping, dropout: float | None = None):
    """A configuration's :class:`~workflow_scripts.models.packed_encoder.EncoderShape`; absent values as the library's.

    ``dropout`` replaces the configuration's dropouts.
    """
    from workflow_scripts.models.packed_encoder import EncoderShape

    electra = config["model_type"] == "electra"
    hidden = config.get("hidden_size", 256 if electra else 768)
    heads = config.get("num_attention_heads", 4 if electra else 12)
    if hidden % heads:
        raise InputError(f"the configuration's hidden_size {hidden} is not a multiple of its {heads} attention heads")
    offset = FAMILIES[config["model_type"]].position_offset
    return EncoderShape(
        vocabulary=config.get("vocab_size", 50265 if config["model_type"] == "roberta" else 30522),
        hidden=hidden,
        layers=config.get("num_hidden_layers", 12),
        heads=heads,
        feed_forward=config.get("intermediate_size", 1024 if electra else 3072),
        positions=config.get("max_position_embeddings", 512),
        token_types=config.get("type_vocab_size", 2),
        embedding=config.get("embedding_size", 128) if electra else hidden,
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
        activation=config.get("hidden_act", "gelu"),
        dropout=float(config.get("hidden_dropout_prob", 0.1) if dropout is None else dropout),
        attention_dropout=float(config.get("attention_probs_dropout_prob", 0.1) if dropout is None else dropout),
        # RoBERTa counts positions from its padding id + 1.
        position_offset=offset and offset + config.get("pad_token_id", 1),
    )


def head_dropout(config: Mapping, dropout: float | None = None) -> float:
    """Dropout of the classification head: ``classifier_dropout``, or the hidden layers'."""
    if dropout is not None:
        return dropout
    own = config.get("classifier_dropout")
    return config.get("hidden_dropout_prob", 0.1) if own is None else own


def read_weights(folder: str | Path) -> dict:
    """All tensors of a folder's safetensors file(s), legacy norm names made current.

    Raises :class:`InputError` for a folder with pickled weights only: unpickling runs code.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    tensors = {}
    for path in weight_files(folder):
        try:
            tensors.update(load_file(path))
        except (SafetensorError, OSError, ValueError) as error:
            raise_shortage(error)
            raise InputError(f"{path} cannot be read ({one_line(error)}): fetch or save the model again") from None
    return {
        name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias"): tensor
        for name, tensor in tensors.items()
    }


def refuse_unread(folder: str | Path, unread: Iterable[str], prefix: str, parts: Collection[str]) -> None:
    """Raise :class:`InputError` for a weight of the encoder that is in the checkpoint and not in the model.

    ``unread``: names in the checkpoint that the model has no use for, a head's among them; ``parts``: what the names of
    an encoder's weights begin with, behind the ``prefix`` that they have in a checkpoint with a head.
    """
    for name in sorted(unread):
        part, _, inside = name.removeprefix(f"{prefix}.").partition(".")
        if part in parts and part != "pooler" and inside not in ("position_ids", "token_type_ids"):
            raise InputError(
                f"{folder}: weight {name} has no place in the encoder that config.json describes, and would be left "
                "out: save the whole model and its configuration together, adapters merged"
            )


def weight_files(folder: str | Path) -> list[Path]:
    """The safetensors files of a model folder, one or the shards that its index names.

    Raises :class:`InputError` where there are none, or the index names a file of another kind or folder.
    """
    folder = Path(folder)
    index = folder / f"{WEIGHTS}.index.json"
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if index.is_file():
        names = read_json(index).get("weight_map")
        names = sorted(set(map(str, names.values()))) if isinstance(names, dict) else [""]
        for name in names:
            if Path(name).name != name or not name.endswith(".safetensors"):
                raise InputError(
                    f"{index} names {name!r}: shards are .safetensors files of the same folder, fetch it anew"
                )
        return [folder / name for name in names]
    found = sorted(path.name for path in folder.glob("*.bin")) + sorted(path.name for path in folder.glob("*.pt"))
    if found:
        raise InputError(
            f"{folder} holds pickled weights ({found[0]}) and no {WEIGHTS}: loading a pickle can run code; "
            "save the model as safetensors first (save_pretrained does)"
        )
    raise InputError(f"{folder} holds no {WEIGHTS}: it is not a model saved as safetensors")


def write_weights(path: str | Path, tensors: Mapping) -> None:
    """Write tensors as one safetensors file."""
    from safetensors.torch import save_file

    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path, metadata={"format": "pt"}
    )


def share(folder: Path) -> None:
    """Let whom the umask allows read the weights, as config.json: safetensors makes its files the owner's alone."""
    for path in weight_files(folder):
        path.chmod((folder / CONFIG).stat().st_mode)


def read_json(path: Path, kind: type = dict):
    """What a JSON file holds; :class:`InputError` where that is not of the ``kind``: an object, or a list."""
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({one_line(error)}): fetch or save the model again") from None
    if not isinstance(value, kind):
        raise InputError(f"{path} holds no JSON {'object' if kind is dict else 'list'}: fetch or save the model again")
    return value


def write_json(path: Path, value: object) -> None:
    """Indented JSON with sorted keys."""
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def copy_tokenizer(source: str | Path, folder: str | Path) -> None:
    """Copy the tokenizer's files from one model folder to another."""
    for name in (TOKENIZER, SETTINGS):
        if (Path(source) / name).is_file():
            shutil.copyfile(Path(source) / name, Path(folder) / name)


def saved_config(config: Mapping, architecture: str, *, one_label: bool) -> dict:
    """The configuration to save: what came, with the class that loads it and, for a cross-encoder, its one label."""
    saved = {name: value for name, value in config.items() if name not in ("_name_or_path", "problem_type")}
    saved |= {"architectures": [architecture], "dtype": "float32"}
    if one_label:
        saved |= {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
        # By default sentence-transformers puts a sigmoid on one label.
        saved["sentence_transformers"] = {"activation_fn": "torch.nn.modules.linear.Identity"}
    return saved


def headless(folder: str | Path, name: str, problem: str) -> str:
    """What is said of a model that shall score and has no head for it."""
    return f"{folder}: weight {name} {problem}: scoring needs a trained cross-encoder with one label"
