"""sentence-transformers' files of a model folder: how texts become vectors, and how vectors are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.models.model_folders import CONFIG, read_json, write_json
from workflow_scripts.storage.errors import InputError

MODULES = "modules.json"
SETTINGS = "config_sentence_transformers.json"
TEXT_SETTINGS = "sentence_bert_config.json"
ANY_TEXT_SETTINGS = "sentence_*_config.json"
"""Older folders have the model's family in the name, as in sentence_roberta_config.json."""
PATTERNS = (MODULES, SETTINGS, ANY_TEXT_SETTINGS, f"*/{CONFIG}")


def files(folder: Path) -> list[Path]:
    """The folder's files by which sentence-transformers would embed with it; none where it does not say."""
    modules = [settings for _, settings in _modules(folder)]
    named = [folder / MODULES, folder / SETTINGS, *_text_settings(folder), *modules] if modules else []
    return [path for path in named if path.is_file()]


class Embedding(NamedTuple):
    """How a text becomes a vector, and how two vectors are compared.

    ``pooling``: "cls", the hidden state of the first token, or "mean", the mean over all tokens, special ones among
    them. ``similarity``: "dot", or "cosine": vectors are scaled to length 1, and compared by their dot product.
    """

    pooling: str = "cls"
    similarity: str = "dot"


POOLINGS, SIMILARITIES = ("cls", "mean"), {"dot": "dot", "dot_product": "dot", "cosine": "cosine"}


def read_embedding(folder: str | Path, pooling: str | None = None, similarity: str | None = None) -> Embedding:
    """How a folder asks to be used, where ``pooling`` and ``similarity`` do not say otherwise.

    A folder that does not say is pooled by [CLS] and compared by the dot product, which is also what stands for a way
    that is not computed here (see :func:`other_embedding`). Raises :class:`InputError` for files that are not as
    sentence-transformers writes them.
    """
    asked = _asked(Path(folder))
    (own,) = asked.poolings if len(asked.poolings) == 1 else ("",)
    return Embedding(
        pooling or (own if own in POOLINGS else "cls"), similarity or SIMILARITIES.get(asked.similarity or "", "dot")
    )


def other_embedding(folder: str | Path, pooling: str | None = None, similarity: str | None = None) -> str | None:
    """What a folder asks for beyond its :func:`read_embedding`, in words; None where it asks for nothing else."""
    asked = _asked(Path(folder))
    found = list(asked.others)
    if similarity is None and asked.similarity not in (None, *SIMILARITIES):
        found.insert(0, f"{asked.similarity} similarity")
    if pooling is None and not (len(asked.poolings) == 1 and asked.poolings[0] in POOLINGS):
        found.insert(0, f"{' and '.join(asked.poolings)} pooling")
    return f"sentence-transformers would embed with {', '.join(found)}, which is not done here" if found else None


def says_similarity(folder: str | Path) -> bool:
    """Whether a folder with modules says how its vectors are compared; older ones leave it to whoever uses them."""
    return _asked(Path(folder)).similarity is not None


def other_scoring(folder: Path) -> str | None:
    """What sentence-transformers' CrossEncoder would do to a pair's text before it is scored, in words, or None."""
    settings = read_json(folder / SETTINGS) if (folder / SETTINGS).is_file() else {}
    prompts = settings.get("prompts")
    # Of several prompts it puts the default one in front, if there is one; an encoder has one for each kind of text.
    chosen = prompts.get(settings.get("default_prompt_name")) if isinstance(prompts, dict) else None
    found = [f"the prompt {chosen!r}"] * bool(chosen) + ["lower-cased text"] * _lowers(folder)
    return f"sentence-transformers would score with {', '.join(found)}, which is not done here" if found else None


class _Asked(NamedTuple):
    poolings: Sequence[str] = ("cls",)
    similarity: str | None = "dot"
    """None where there are modules and none of their files says."""
    others: Sequence[str] = ()
    """Modules and treatments of text that have no counterpart here."""


def _asked(folder: Path) -> _Asked:
    modules = _modules(folder)
    if not modules:
        return _Asked()
    try:
        poolings: list[str] = []
        for kind, path in modules:
            if kind == "Pooling":
                poolings += _poolings(read_json(path) if path.is_file() else {})
        kinds = [kind for kind, _ in modules]
        settings = read_json(folder / SETTINGS) if (folder / SETTINGS).is_file() else {}
        named = settings.get("similarity_fn_name")
        # Vectors of length 1 have one similarity, whatever its name.
        similarity = "cosine" if "Normalize" in kinds and named in (None, *SIMILARITIES) else named
        others = [f"the module {kind}" for kind in kinds if kind not in ("Transformer", "Pooling", "Normalize")]
        if size := settings.get("truncate_dim"):
            others.append(f"vectors cut to their first {size} numbers")
        return _Asked(poolings or ["no"], similarity, [*others, *_text(folder, settings)])
    except (AttributeError, TypeError):
        raise InputError(f"{folder / MODULES} names files that are not as sentence-transformers writes them") from None


def _modules(folder: Path) -> list[tuple[str, Path]]:
    """Kind and settings of each step from a text to its vector, which lie in the folder itself or in one within."""
    if not (folder / MODULES).is_file():
        return []
    try:
        listed = [(module["type"].rsplit(".", 1)[-1], module["path"]) for module in read_json(folder / MODULES, list)]
        return [(kind, folder / Path(path).name / CONFIG) for kind, path in listed]
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"{folder / MODULES} lists no modules of sentence-transformers, by type and path") from None


def _text(folder: Path, settings: Mapping) -> Iterator[str]:
    """What is done to a text before it is tokenised."""
    yield from (f"the prompt {prompt!r}" for prompt in (settings.get("prompts") or {}).values() if prompt)
    if _lowers(folder):
        yield "lower-cased text"


def _lowers(folder: Path) -> bool:
    return any(
        read_json(path).get("do_lower_case") for path in (folder / SETTINGS, *_text_settings(folder)) if path.is_file()
    )


def _text_settings(folder: Path) -> list[Path]:
    return sorted(folder.glob(ANY_TEXT_SETTINGS))


def _poolings(settings: dict) -> list[str]:
    """Names of the poolings, ``cls`` and so on: older files have a flag for each, newer ones name them."""
    names = settings.get("pooling_mode") or [
        name.removeprefix("pooling_mode_") for name, value in settings.items() if value is True and "_mode_" in name
    ]
    names = names if isinstance(names, list) else [names]
    return [name.removesuffix("_token").removesuffix("_tokens") for name in names] or ["mean"]


def write_files(folder: Path, architecture: str, embedding: Embedding, *, hidden_size: int, max_tokens: int) -> None:
    """The files by which sentence-transformers knows a model: its modules, pooling, similarity, longest input."""
    write_json(folder / TEXT_SETTINGS, {"max_seq_length": max_tokens, "do_lower_case": False})
    if architecture == "cross-encoder":
        return
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    modules += [("2_Normalize", "Normalize")] * (embedding.similarity == "cosine")
    write_json(
        folder / MODULES,
        [
            {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for place, (path, kind) in enumerate(modules)
        ],
    )
    for path, _ in modules[1:]:
        (folder / path).mkdir(exist_ok=True)
    chosen = {"cls": "cls_token", "mean": "mean_tokens"}[embedding.pooling]
    pooling = {f"pooling_mode_{mode}": mode == chosen for mode in ("cls_token", "mean_tokens", "max_tokens")}
    write_json(folder / "1_Pooling" / CONFIG, pooling | {"word_embedding_dimension": hidden_size})
    write_json(folder / SETTINGS, {"prompts": {}, "similarity_fn_name": embedding.similarity})
