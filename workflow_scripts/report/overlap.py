"""Overlap of two sets of queries: the same text, and nearly the same words."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

from workflow_scripts.storage.errors import InputError


class Match(NamedTuple):
    """A test query and the training query most like it; ``jaccard`` is that of their sets of words."""

    test: str
    train: str
    jaccard: float
    exact: bool


def normalise(text: str) -> str:
    """Words in lower case, a blank between two: NFKC, case folded, all but letters, marks and digits made blanks."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(char if unicodedata.category(char)[0] in "LMN" else " " for char in folded).split())


def closest(test: Mapping[str, str], train: Mapping[str, str], threshold: float) -> list[Match]:
    """The training query most like each test query, of those whose Jaccard similarity is at least ``threshold``.

    Queries are given as id to text. With A, B the sets of words of two normalised texts, J = |A & B| / |A | B|; equal
    normalised texts are ``exact`` (J = 1), the same words in another order are not. Ties break by exactness, then by
    the training query's id. Sorted by test id. A text without words is like none.

    Exact by a prefix filter (Chaudhuri et al. 2006, Bayardo et al. 2007): two sets with J >= t share one of the first
    |A| - ceil(t |A|) + 1 words of each when words are ordered from rare to common, so that only pairs sharing a rare
    word are compared. Bound by Python's sets, some microseconds a pair compared.
    """
    if not 0 < threshold <= 1:
        raise InputError(f"the overlap's threshold is {threshold}, not above 0 and at most 1")
    limit = Fraction(str(threshold))
    texts = {name: normalise(text) for name, text in train.items()}
    words = {name: frozenset(text.split()) for name, text in texts.items()}
    frequency = Counter(word for own in words.values() for word in own)
    holders: dict[str, list[str]] = {}
    for name in sorted(words):
        for word in _prefix(words[name], frequency, limit):
            holders.setdefault(word, []).append(name)
    matches = []
    for name in sorted(test):
        text = normalise(test[name])
        own, found = frozenset(text.split()), []
        for other in {other for word in _prefix(own, frequency, limit) for other in holders.get(word, ())}:
            shared = len(own & words[other])
            union = len(own) + len(words[other]) - shared
            # In whole numbers: 4/5 in floating point would miss 0.8.
            if shared * limit.denominator >= union * limit.numerator:
                found.append((-shared / union, texts[other] != text, other))
        if found:
            jaccard, differs, other = min(found)
            matches.append(Match(name, other, -jaccard, not differs))
    return matches


def _prefix(words: Iterable[str], frequency: Mapping[str, int], limit: Fraction) -> list[str]:
    ordered = sorted(words, key=lambda word: (frequency[word], word))
    return ordered[: len(ordered) - math.ceil(limit * len(ordered)) + 1] if ordered else []
