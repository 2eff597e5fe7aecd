"""sentence-transformers' files of a model folder: how texts become vectors, and how vectors are compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workflow_scripts.models.model_folders import CONFIG, read_json, write_json
from workflow_scripts.storage.errors import InputError

MODULES = "modules.json"
SETTINGS = "config_sentence_transformers.json"
TEXT_SETTINGS = "sentence_bert_config.json"
PATTERNS = (MODULES, SETTINGS, TEXT_SETTINGS, f"*/{CONFIG}")


def files(folder: Path) -> list[Path]:
    """The folder's files by which sentence-transformers would embed with it; none where it does not say."""
    modules = [settings for _, settings in _modules(folder)]
    named = [folder / MODULES, folder / SETTINGS, folder / TEXT_SETTINGS, *modules] if modules else []
    return [path for path in named if path.is_file()]


def other_embedding(folder: str | Path) -> str | None:
    """How a folder asks to be used where it is otherwise than here, in words; None where it asks for nothing else.

    Here a text's vector is the hidden state of [CLS], and vectors are compared by their dot product. Raises
    :class:`InputError` for files that are not as sentence-transformers writes them.
    """
    folder = Path(folder)
    try:
        found = [*_embedding(folder), *_text(folder)] if _modules(folder) else []
    except (AttributeError, TypeError):
        raise InputError(f"{folder / MODULES} names files that are not as sentence-transformers writes them") from None
    if not found:
        return None
    return f"sentence-transformers would embed with {', '.join(found)}; here it is [CLS] pooling and the dot product"


def _modules(folder: Path) -> list[tuple[str, Path]]:
    """Kind and settings of each step from a text to its vector, which lie in the folder itself or in one within."""
    if not (folder / MODULES).is_file():
        return []
    try:
        listed = [(module["type"].rsplit(".", 1)[-1], module["path"]) for module in read_json(folder / MODULES, list)]
        return [(kind, folder / Path(path).name / CONFIG) for kind, path in listed]
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"{folder / MODULES} lists no modules of sentence-transformers, by type and path") from None


def _embedding(folder: Path) -> Iterator[str]:
    for kind, path in _modules(folder):
        if kind == "Pooling":
            names = _poolings(read_json(path) if path.is_file() else {})
            if names != ["cls"]:
                yield f"{' and '.join(names)} pooling"
        elif kind != "Transformer":
            yield f"the module {kind}"
    settings = read_json(folder / SETTINGS) if (folder / SETTINGS).is_file() else {}
    if (similarity := settings.get("similarity_fn_name") or "dot") not in ("dot", "dot_product"):
        yield f"{similarity} similarity"


def _text(folder: Path) -> Iterator[str]:
    """What is done to a text before it is tokenised."""
    for name in (SETTINGS, TEXT_SETTINGS):
        settings = read_json(folder / name) if (folder / name).is_file() else {}
        yield from (f"the prompt {prompt!r}" for prompt in (settings.get("prompts") or {}).values() if prompt)
        if settings.get("do_lower_case"):
            yield "lower-cased text"


def _poolings(settings: dict) -> list[str]:
    """Names of the poolings, ``cls`` and so on: older files have a flag for each, newer ones name them."""
    names = settings.get("pooling_mode") or [
        name.removeprefix("pooling_mode_") for name, value in settings.items() if value is True and "_mode_" in name
    ]
    names = names if isinstance(names, list) else [names]
    return [name.removesuffix("_token").removesuffix("_tokens") for name in names] or ["mean"]


def write_files(folder: Path, architecture: str, *, hidden_size: int, max_tokens: int) -> None:
    """The files by which sentence-transformers knows a model: its modules, pooling, similarity, longest input."""
    write_json(folder / TEXT_SETTINGS, {"max_seq_length": max_tokens, "do_lower_case": False})
    if architecture == "cross-encoder":
        return
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    write_json(
        folder / MODULES,
        [
            {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for place, (path, kind) in enumerate(modules)
        ],
    )
    (folder / "1_Pooling").mkdir(exist_ok=True)
    pooling = {f"pooling_mode_{mode}": mode == "cls_token" for mode in ("cls_token", "mean_tokens", "max_tokens")}
    write_json(folder / "1_Pooling" / CONFIG, pooling | {"word_embedding_dimension": hidden_size})
    write_json(folder / SETTINGS, {"prompts": {}, "similarity_fn_name": "dot"})
