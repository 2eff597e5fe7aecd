"""The tokenizer that Hugging Face's ``AutoTokenizer`` makes of a model folder, written so that nothing else decides it.

What a folder's tokenizer.json says is overruled by tokenizer_config.json, special_tokens_map.json, config.json and the
defaults of the model's family (lower case, accents, added and special tokens). A fetched backbone has the outcome
alone: all that is trained from it, and whoever loads the trained model, makes the same tokens.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

from workflow_scripts.models.model_folders import read_json, write_json
from workflow_scripts.models.tokenizer import SETTINGS, TOKENIZER, Layout, number_of_tokens, read_tokenizer
from workflow_scripts.storage.errors import InputError, one_line, raise_shortage

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from workflow_scripts.models.rankers import AnyRanker

FOLDER_NAMES = (TOKENIZER, SETTINGS, "special_tokens_map.json", "added_tokens.json")
"""Files in which a folder names tokens of its own."""
FILES = (
    *FOLDER_NAMES,
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "spm.model",
    "tokenizer.model",
)
"""What the library reads a tokenizer from."""
SPECIAL = ("cls", "sep", "pad", "unk", "mask", "bos", "eos")
PROBES = (
    "The quick brown Fox's 3.14159 (1,000) tests: e-mail@host.org, don't? #5 & <b>",
    "ÉCOLE Größe naïve Ångström ﬁne \uff21\uff22\uff23 İstanbul ÇAĞ cafe\u0301",
    "中文字符 かな カナ 한국어 ไทย हिन्दी العربية עברית Привет Ελληνικά",
    "😀 👩‍👩‍👧 🇩🇪 a😀b ½ ² ™ ∑ √ €",
    "  blanks\tand\nlines\r\n  at both ends \u00a0\u3000\u200b\u00ad\ufeff ",
    "\x00 \x01 \x7f \x85 \ufffd \ue000 control",
    f"{'long' * 40} a{'́' * 5} ...---''``",
    "a",
    "",
)


def write_library_tokenizer(source: Path, folder: Path, model: AnyRanker, name: str) -> None:
    """Write tokenizer.json and tokenizer_config.json of ``folder`` for the model there, from the files of ``source``.

    Errors call the model ``name``. Raises :class:`InputError` for a tokenizer that the library cannot load without code
    or that is no fast one, that has tokens without an embedding, and where what was written does not make the
    library's tokens.
    """
    library = _load(source, name)
    tokenizer = _with_embeddings(library, source, model.vocabulary_size, name)
    tokenizer.save(str(folder / TOKENIZER))
    inputs = ["input_ids", *(["token_type_ids"] if model.segments else []), "attention_mask"]
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": inputs}
    if model.longest < sys.maxsize:
        settings["model_max_length"] = model.longest
    write_json(folder / SETTINGS, settings | _special_tokens(library))
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    probes = [*PROBES, *(f"a{token} {token}b" for token in added)]
    _compare(library, folder, probes, name)
    _report_difference(source, tokenizer, probes, name)


def _load(source: Path, name: str) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    if (source / SETTINGS).is_file() and "auto_map" in read_json(source / SETTINGS):
        raise InputError(f"{name}: {SETTINGS} asks to run code that comes with the model, which is not done")
    try:
        library = AutoTokenizer.from_pretrained(source, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # broken files raise whatever the library's readers do
        raise_shortage(error)
        raise InputError(f"{name}: transformers cannot make its tokenizer ({one_line(error)})") from None
    if not library.is_fast:
        raise InputError(f"{name} has no fast tokenizer (tokenizer.json): choose a backbone that has one")
    library.model_max_length = sys.maxsize  # what fits is the model's to say
    return library


def _with_embeddings(library: PreTrainedTokenizerBase, source: Path, embeddings: int, name: str) -> Tokenizer:
    """The library's tokenizer, without tokens that have no embedding and that its family alone adds, not the folder."""
    described = json.loads(library.backend_tokenizer.to_str())
    named = {getattr(library, f"{kind}_token", None) for kind in SPECIAL}
    texts = [
        (source / file).read_text(encoding="utf-8", errors="replace")
        for file in FOLDER_NAMES
        if (source / file).is_file()
    ]

    def has_a_place(token: dict) -> bool:
        content = token["content"]
        return token["id"] < embeddings or content in named or any(json.dumps(content) in text for text in texts)

    described["added_tokens"] = list(filter(has_a_place, described["added_tokens"]))
    tokenizer = Tokenizer.from_str(json.dumps(described | {"truncation": None, "padding": None}))
    if (size := number_of_tokens(tokenizer)) > embeddings:
        raise InputError(
            f"{name}: its tokenizer has tokens without an embedding: {tokenizer.id_to_token(size - 1)!r} is number "
            f"{size - 1}, the model has {embeddings} embeddings: correct its tokenizer files or resize the embeddings"
        )
    return tokenizer


def _special_tokens(library: PreTrainedTokenizerBase) -> dict:
    """``cls_token`` and so on as tokenizer_config.json has them, with how each treats the blanks around it."""
    tokens = {token.content: token for token in library.backend_tokenizer.get_added_tokens_decoder().values()}
    special = {}
    for kind in SPECIAL:
        content = getattr(library, f"{kind}_token", None)
        if content is not None:
            token = tokens[content]
            ways = {way: getattr(token, way) for way in ("lstrip", "rstrip", "single_word", "normalized", "special")}
            special[f"{kind}_token"] = {"__type": "AddedToken", "content": content, **ways}
    return special


def _compare(library: PreTrainedTokenizerBase, folder: Path, probes: list[str], name: str) -> None:
    """Raise :class:`InputError` for a text or pair of which token stores, or the library in ``folder``, make others."""
    tokenizer = read_tokenizer(folder)
    layout = Layout.of(tokenizer, name)
    again = _load(folder, name)
    bodies = [tokenizer.encode(text, add_special_tokens=False).ids for text in probes]
    for text, body in zip(probes, bodies, strict=True):
        theirs, saved = (each(text, verbose=False)["input_ids"] for each in (library, again))
        _require(theirs, [layout.cls, *body, layout.sep], saved, text, name)
    for (first, a), (second, b) in itertools.pairwise(zip(probes, bodies, strict=True)):
        own = [layout.cls, *a, *[layout.sep] * layout.separators, *b, layout.sep]
        segments = [0] * (len(own) - len(b) - 1) + [layout.second_segment] * (len(b) + 1)
        theirs, saved = (
            each([first], [second], return_token_type_ids=True, verbose=False) for each in (library, again)
        )
        for kind, expected in (("input_ids", own), ("token_type_ids", segments)):
            _require(theirs[kind][0], expected, saved[kind][0], f"{first} / {second}", name)


def _require(theirs: list[int], own: list[int], saved: list[int], text: str, name: str) -> None:
    if not theirs == own == saved:
        raise InputError(
            f"{name}: of {text!r} transformers makes the tokens {theirs}, here it would be {own}, and {saved} once "
            "saved: its tokenizer cannot be used; choose another backbone"
        )


def _report_difference(source: Path, tokenizer: Tokenizer, probes: list[str], name: str) -> None:
    """Say where tokenizer.json alone would make other tokens: a cased model may lack the line that says so."""
    if not (source / TOKENIZER).is_file():
        return
    alone = read_tokenizer(source)
    for text in probes:
        ours, theirs = (each.encode(text, add_special_tokens=False).tokens for each in (tokenizer, alone))
        if ours != theirs:
            print(
                f"{name}: its tokenizer.json alone would make other tokens than transformers' AutoTokenizer, which is "
                f"followed: of {text!r} {' '.join(ours)} and not {' '.join(theirs)}",
                file=sys.stderr,
            )
            return
