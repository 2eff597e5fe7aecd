"""The generated language: concepts that have synonyms, function words, and the topics of three worlds.

The worlds share one language, so that they differ only in what they talk about and how:

- ``in-domain``: 30 topics over three quarters of the concepts;
- ``mild-shift``: 10 new topics recombined from the same concepts;
- ``hard-shift``: 10 topics with half of their concepts held out of the other worlds, longer documents, other registers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workflow_scripts.storage.seeds import derive_seed

CONCEPTS = 480
SYNONYMS = 3
FUNCTION_WORDS = 40
TOPIC_CONCEPTS = 32
HELD_OUT = 1 / 4  # share of the concepts that only the hard shift speaks of
SHARED = 0.1  # share of the rarer synonyms that also name another concept
CONSONANTS, VOWELS, LAST_VOWELS = "bdfgklmnrstvz", "aeiou", "aou"


@dataclass(frozen=True)
class World:
    """What a world is made of; ``registers`` is the share of documents and queries that prefer each synonym."""

    prefix: str  # first letter of its document and query ids
    topics: int
    held_out: float  # share of a topic's concepts that are held out of the other worlds
    documents: int
    queries: int
    tokens: tuple[int, int]  # shortest and longest document
    registers: tuple[float, float, float]


WORLDS = {
    "in-domain": World("d", 30, 0.0, 4000, 250, (20, 34), (0.5, 0.3, 0.2)),
    "mild-shift": World("m", 10, 0.0, 1500, 150, (20, 34), (0.5, 0.3, 0.2)),
    "hard-shift": World("h", 10, 0.5, 1500, 150, (28, 40), (0.2, 0.3, 0.5)),
}


@dataclass(frozen=True)
class Language:
    """Words by meaning, and what each world's topics speak of."""

    words: np.ndarray  # (concepts, synonyms) text; a shared word stands in two rows
    held_out: np.ndarray  # (concepts,) bool
    function_words: np.ndarray  # (function words,) text
    topics: dict[str, np.ndarray]  # world -> (topics, concepts of a topic) concept numbers, most frequent first


def generator(seed: int, *parts: object) -> np.random.Generator:
    """A PCG64 generator for one purpose."""
    return np.random.Generator(np.random.PCG64(derive_seed(seed, *parts)))


def make_language(seed: int) -> Language:
    """The language of ``seed``: the same for every world and any number of documents or queries."""
    draw = generator(seed, "language")
    words = _make_words(draw, CONCEPTS * SYNONYMS + FUNCTION_WORDS)
    meanings = words[: CONCEPTS * SYNONYMS].reshape(CONCEPTS, SYNONYMS)
    held_out = np.zeros(CONCEPTS, dtype=bool)
    held_out[draw.permutation(CONCEPTS)[: int(CONCEPTS * HELD_OUT)]] = True
    topics = {
        name: np.stack([_make_topic(draw, held_out, world.held_out) for _ in range(world.topics)])
        for name, world in WORLDS.items()
    }
    return Language(_share_words(draw, meanings), held_out, words[CONCEPTS * SYNONYMS :], topics)


def topic_weights() -> np.ndarray:
    """How often a topic speaks of its concepts: ``1 / (rank + 3)^0.8``, rank from 0, summing to 1.  # (concepts,)"""
    weights = 1 / (np.arange(TOPIC_CONCEPTS) + 3) ** 0.8
    return weights / weights.sum()


def function_weights() -> np.ndarray:
    """Zipf weights of the function words, summing to 1.  # (function words,)"""
    weights = 1 / np.arange(1, FUNCTION_WORDS + 1)
    return weights / weights.sum()


def _make_words(draw: np.random.Generator, number: int) -> np.ndarray:
    """Distinct words of three syllables. None ends as an English suffix does, so that a stemmer leaves them apart."""
    words: dict[str, None] = {}
    while len(words) < number:
        consonants, vowels = draw.integers(len(CONSONANTS), size=3), draw.integers(len(VOWELS), size=2)
        last = LAST_VOWELS[draw.integers(len(LAST_VOWELS))]
        syllables = [CONSONANTS[c] + v for c, v in zip(consonants, [*(VOWELS[v] for v in vowels), last], strict=True)]
        words["".join(syllables)] = None
    return np.array(list(words), dtype=object)


def _share_words(draw: np.random.Generator, words: np.ndarray) -> np.ndarray:
    """Let some of the rarer synonyms also name another concept, in place of one of that concept's own."""
    rarer = [(concept, synonym) for concept in range(CONCEPTS) for synonym in range(1, SYNONYMS)]
    order = draw.permutation(len(rarer))
    number = int(len(rarer) * SHARED)
    shared = words.copy()
    for giver, taker in zip(order[:number], order[number : 2 * number], strict=True):
        if rarer[giver][0] != rarer[taker][0]:
            shared[rarer[taker]] = words[rarer[giver]]
    return shared


def _make_topic(draw: np.random.Generator, held_out: np.ndarray, share: float) -> np.ndarray:
    number = int(TOPIC_CONCEPTS * share)
    new = draw.choice(np.flatnonzero(held_out), number, replace=False)
    others = draw.choice(np.flatnonzero(~held_out), TOPIC_CONCEPTS - number, replace=False)
    return draw.permutation(np.concatenate([new, others]))
