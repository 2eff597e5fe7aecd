"""Generated collections: documents and queries whose latent concepts, and so whose true relevance, are known.

A document speaks of 3 to 5 *focal* concepts of one topic, in a register (a preferred synonym). A query names 2 or 3 of
the focal concepts of its source document in a register of its own (each equally often), so that term matching meets
other words.

What a corpus is drawn from stays in memory, some 0.3 kB a document: numbers of words, not their text. Every array is
drawn in blocks of rows, which gives the very numbers that one draw of the whole would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import sparse

from workflow_scripts.collect.language import (
    CONCEPTS,
    SYNONYMS,
    WORLDS,
    Language,
    function_weights,
    generator,
    topic_weights,
)
from workflow_scripts.experiment.shares import TEST_SOURCES
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_arrow

FOCAL = (3, 5)  # fewest and most focal concepts of a document
QUERY_CONCEPTS = (2, 3)
FOCAL_TOKEN, TOPIC_TOKEN, OTHER_TOKEN, FUNCTION_TOKEN = range(4)
TOKEN_SHARES = (0.45, 0.20, 0.10, 0.25)  # of focal, topic, other topic's and function words
REGISTER_USE = 0.6  # how often the preferred synonym is taken; otherwise any, by the world's shares of registers
BLOCK = 20_000  # rows drawn at a time


@dataclass(frozen=True)
class Documents:
    """A world's documents with what they mean; row i is document i."""

    vocabulary: np.ndarray  # (words,) text
    tokens: np.ndarray  # (docs, longest) int16 rows of the vocabulary
    lengths: np.ndarray  # (docs,) int, how many of them the document has
    topics: np.ndarray  # (docs,) int
    registers: np.ndarray  # (docs,) int, the preferred synonym
    focal: np.ndarray  # (docs, 5) int16 concept numbers, -1 where the document has fewer
    prefix: str

    def ids(self) -> Iterator[str]:
        return _make_ids(self.prefix, len(self.lengths))

    def texts(self) -> Iterator[str]:
        for first in range(0, len(self.tokens), BLOCK):
            block = slice(first, first + BLOCK)
            words = self.vocabulary[self.tokens[block]]
            for row, length in zip(words, self.lengths[block], strict=True):
                yield " ".join(row[:length])


@dataclass(frozen=True)
class Meanings:
    """What a corpus' documents mean, as its truth.parquet says; row i is its i-th document by id."""

    ids: pa.StringArray
    topics: np.ndarray  # (docs,) int
    focal: np.ndarray  # (docs, 5) int16 concept numbers, -1 where the document has fewer

    @classmethod
    def read(cls, path: Path) -> Meanings:
        """Read truth.parquet. Memory: ids, and 14 bytes a document."""
        table = read_arrow(path, ["doc_id", "topic", "focal"]).combine_chunks()
        lists = table["focal"].chunk(0)
        focal = np.full((len(lists), FOCAL[1]), -1, np.int16)
        focal[np.arange(FOCAL[1]) < lists.value_lengths().to_numpy()[:, None]] = lists.flatten().to_numpy()
        return cls(table["doc_id"].chunk(0), table["topic"].to_numpy(), focal)

    def __len__(self) -> int:
        return len(self.ids)

    def names(self, rows: np.ndarray) -> np.ndarray:
        """Ids of the documents at ``rows``  # (rows,) text"""
        return self.ids.take(pa.array(rows)).to_numpy(zero_copy_only=False)


@dataclass(frozen=True)
class Queries:
    """Queries with what they mean; row i is query i."""

    ids: list[str]
    texts: list[str]
    sources: np.ndarray  # (queries,) row of the source document
    registers: np.ndarray  # (queries,) int
    concepts: np.ndarray  # (queries, 3) concept numbers, -1 where the query has two


def make_documents(language: Language, world: str, number: int, seed: int) -> Documents:
    """``number`` documents of ``world``, drawn from the seed (seed, "documents", world)."""
    settings, draw = WORLDS[world], generator(seed, "documents", world)
    topics = draw.integers(settings.topics, size=number)
    registers = draw.choice(SYNONYMS, size=number, p=settings.registers)
    focal = _draw_focal(draw, language.topics[world], topics)
    longest = settings.tokens[1]
    lengths = draw.integers(settings.tokens[0], longest + 1, size=number)
    concepts = _draw_concepts(draw, language.topics[world], topics, focal, longest)
    tokens = _draw_synonyms(draw, registers, longest, settings.registers).astype(np.int16)
    tokens += SYNONYMS * concepts
    functions, shares = len(language.function_words), function_weights()
    # Function words stand behind the concepts' in the vocabulary.
    drawn = _draw(number, longest, np.int16, lambda rows, shape: draw.choice(functions, size=shape, p=shares))
    np.copyto(tokens, language.words.size + drawn, where=concepts < 0)
    vocabulary = np.concatenate([language.words.ravel(), language.function_words])
    return Documents(vocabulary, tokens, lengths, topics, registers, focal, settings.prefix)


def make_queries(words: np.ndarray, documents: Meanings, world: str, role: str, number: int, seed: int) -> Queries:
    """``number`` queries about ``documents``.

    ``words``: (concepts, synonyms). A test query has a source of its own; so has a development query, taken from the
    other end of the same documents; training queries come from the other documents, each taken once before any is
    taken again. Raises :class:`InputError` for more test or development queries than sources.
    """
    settings, draw = WORLDS[world], generator(seed, "queries", world, role)
    sources = _split_sources(len(documents), world, role, seed)
    if role != "train" and number > len(sources):
        raise InputError(
            f"{number} {role} queries need as many source documents, and {len(documents)} documents keep "
            f"{len(sources)} for them: ask for fewer queries or more documents"
        )
    if not len(sources):
        raise InputError(f"{len(documents)} documents leave none as a source of {role} queries: ask for more documents")
    if role == "dev":
        sources = generator(seed, "queries", world, "test").permutation(sources)[::-1][:number]
    else:
        sources = np.concatenate([draw.permutation(sources) for _ in range(-(-number // len(sources)))])[:number]
    focal = documents.focal[sources]
    wanted = draw.integers(QUERY_CONCEPTS[0], QUERY_CONCEPTS[1] + 1, size=number)
    order = np.where(focal < 0, np.inf, draw.random(focal.shape)).argsort(axis=1)
    concepts = np.take_along_axis(focal, order, axis=1)[:, : QUERY_CONCEPTS[1]]
    concepts[np.arange(QUERY_CONCEPTS[1]) >= wanted[:, None]] = -1
    registers = draw.integers(SYNONYMS, size=number)
    synonyms = _draw_synonyms(draw, registers, concepts.shape[1], settings.registers)
    tokens = words[concepts, synonyms]
    texts = [" ".join(row[:length]) for row, length in zip(tokens, wanted, strict=True)]
    return Queries(list(_make_ids(f"{settings.prefix}-{role}-", number)), texts, sources, registers, concepts)


def judge(queries: Queries, documents: Meanings) -> pd.DataFrame:
    """True relevance of every pair above 0 (columns query_id, doc_id, relevance), sorted by both ids.

    3: every concept of the query is focal in the document. 2: two of three are, and the document is of the topic that
    the query comes from. 1: two of three are, in another topic. Memory: the pairs that share a focal concept.
    """
    shared = (_incidence(queries.concepts) @ _incidence(documents.focal).T).tocoo()
    query, document, matched = (part[shared.data > 1] for part in (shared.row, shared.col, shared.data))
    asked = (queries.concepts >= 0).sum(axis=1)[query]
    same_topic = documents.topics[queries.sources[query]] == documents.topics[document]
    grades = np.where(matched == asked, 3, np.where(matched == 2, np.where(same_topic, 2, 1), 0))
    keep = grades > 0
    frame = pd.DataFrame(
        {
            "query_id": np.array(queries.ids, dtype=object)[query[keep]],
            "doc_id": documents.names(document[keep]),
            "relevance": grades[keep].astype(np.int32),
        }
    )
    return frame.sort_values(["query_id", "doc_id"], ignore_index=True)


def _draw(rows: int, width: int, kind: type, choose: Callable[[slice, tuple[int, int]], np.ndarray]) -> np.ndarray:
    """(rows, width) of ``kind``, filled block by block with ``choose(rows, shape)``."""
    drawn = np.empty((rows, width), kind)
    for first in range(0, rows, BLOCK):
        block = slice(first, min(first + BLOCK, rows))
        drawn[block] = choose(block, drawn[block].shape)
    return drawn


def _draw_focal(draw: np.random.Generator, world: np.ndarray, topics: np.ndarray) -> np.ndarray:
    """Draw each document's focal concepts from its topic, without replacement by weight (Gumbel top-k).

    ``world``: (topics, concepts of a topic); ``topics``: (docs,) -> (docs, 5), padded with -1.
    """
    weights = np.log(topic_weights())

    def choose(rows: slice, shape: tuple[int, int]) -> np.ndarray:
        own = world[topics[rows]]
        best = np.argsort(-(weights + draw.gumbel(size=own.shape)), axis=1)
        return np.take_along_axis(own, best[:, : shape[1]], axis=1)

    chosen = _draw(len(topics), FOCAL[1], np.int16, choose)
    numbers = draw.integers(FOCAL[0], FOCAL[1] + 1, size=len(topics))
    chosen[np.arange(FOCAL[1]) >= numbers[:, None]] = -1
    return chosen


def _draw_concepts(
    draw: np.random.Generator, world: np.ndarray, topics: np.ndarray, focal: np.ndarray, longest: int
) -> np.ndarray:
    """The concept behind each token, -1 for a function word.  # (docs, longest) int16"""

    def each(choose: Callable[[slice, tuple[int, int]], np.ndarray]) -> np.ndarray:
        return _draw(len(topics), longest, np.int8, choose)

    weights, focused = topic_weights(), (focal >= 0).sum(axis=1, keepdims=True)
    kinds = each(lambda rows, shape: draw.choice(len(TOKEN_SHARES), size=shape, p=TOKEN_SHARES))
    others = each(lambda rows, shape: (topics[rows, None] + draw.integers(1, len(world), size=shape)) % len(world))
    ranks = each(lambda rows, shape: draw.choice(world.shape[1], size=shape, p=weights))
    which = each(lambda rows, shape: draw.random(shape) * focused[rows])

    def select(rows: slice, shape: tuple[int, int]) -> np.ndarray:
        return np.select(
            [kinds[rows] == FOCAL_TOKEN, kinds[rows] == TOPIC_TOKEN, kinds[rows] == OTHER_TOKEN],
            [
                np.take_along_axis(focal[rows], which[rows].astype(int), axis=1),
                world[topics[rows, None], ranks[rows]],
                world[others[rows], ranks[rows]],
            ],
            default=-1,
        )

    return _draw(len(topics), longest, np.int16, select)


def _draw_synonyms(
    draw: np.random.Generator, registers: np.ndarray, width: int, shares: tuple[float, ...]
) -> np.ndarray:
    """The synonym that each token takes: the register's with probability 0.6.  # (rows, width) int8"""
    own = _draw(len(registers), width, np.bool_, lambda rows, shape: draw.random(shape) < REGISTER_USE)
    synonyms = _draw(len(registers), width, np.int8, lambda rows, shape: draw.choice(SYNONYMS, size=shape, p=shares))
    return np.where(own, registers[:, None].astype(np.int8), synonyms)


def _split_sources(number: int, world: str, role: str, seed: int) -> np.ndarray:
    """Rows of the documents that queries of ``role`` may come from; the roles test and dev share theirs."""
    order = generator(seed, "sources", world).permutation(number)
    split = int(number * TEST_SOURCES)
    return np.sort(order[split:] if role == "train" else order[:split])


def _incidence(concepts: np.ndarray) -> sparse.csr_matrix:
    """(rows, width) concept numbers, -1 as padding -> (rows, concepts) zeros and ones."""
    rows, columns = np.nonzero(concepts >= 0)
    ones = np.ones(len(rows), dtype=np.int32)
    return sparse.csr_matrix((ones, (rows, concepts[rows, columns])), shape=(len(concepts), CONCEPTS))


def _make_ids(prefix: str, number: int) -> Iterator[str]:
    width = max(5, len(str(number)))
    return (f"{prefix}{row + 1:0{width}d}" for row in range(number))
