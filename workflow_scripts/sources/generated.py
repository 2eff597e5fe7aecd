"""Generated collections: documents and queries whose latent concepts, and so whose true relevance, are known.

A document speaks of 3 to 5 *focal* concepts of one topic, in a register (a preferred synonym). A query names 2 or 3 of
the focal concepts of its source document in a register of its own (each equally often), so that term matching meets
other words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from workflow_scripts.sources.language import (
    CONCEPTS,
    SYNONYMS,
    WORLDS,
    Language,
    function_weights,
    generator,
    topic_weights,
)
from workflow_scripts.storage.artifacts import InputError

FOCAL = (3, 5)  # fewest and most focal concepts of a document
QUERY_CONCEPTS = (2, 3)
FOCAL_TOKEN, TOPIC_TOKEN, OTHER_TOKEN, FUNCTION_TOKEN = range(4)
TOKEN_SHARES = (0.45, 0.20, 0.10, 0.25)  # of focal, topic, other topic's and function words
REGISTER_USE = 0.6  # how often the preferred synonym is taken; otherwise any, by the world's shares of registers
TEST_SOURCES = 1 / 8  # share of the documents kept as sources of test queries; training queries come from the others


@dataclass(frozen=True)
class Documents:
    """A world's documents with what they mean; row i is document i."""

    ids: list[str]
    texts: list[str]
    topics: np.ndarray  # (docs,) int
    registers: np.ndarray  # (docs,) int, the preferred synonym
    focal: np.ndarray  # (docs, 5) concept numbers, -1 where the document has fewer


@dataclass(frozen=True)
class Queries:
    """Queries with what they mean; row i is query i."""

    ids: list[str]
    texts: list[str]
    sources: np.ndarray  # (queries,) row of the source document
    registers: np.ndarray  # (queries,) int
    concepts: np.ndarray  # (queries, 3) concept numbers, -1 where the query has two


def make_documents(language: Language, world: str, number: int, seed: int) -> Documents:
    """``number`` documents of ``world``; all drawn at once from the seed (seed, "documents", world)."""
    settings, draw = WORLDS[world], generator(seed, "documents", world)
    topics = draw.integers(settings.topics, size=number)
    registers = draw.choice(SYNONYMS, size=number, p=settings.registers)
    focal = _pick_focal(draw, language.topics[world][topics])
    longest = settings.tokens[1]
    lengths = draw.integers(settings.tokens[0], longest + 1, size=number)
    concepts = _pick_concepts(draw, language.topics[world], topics, focal, (number, longest))
    synonyms = _pick_synonyms(draw, registers, concepts.shape, settings.registers)
    functions = draw.choice(len(language.function_words), size=concepts.shape, p=function_weights())
    tokens = np.where(concepts < 0, language.function_words[functions], language.words[concepts, synonyms])
    texts = [" ".join(row[:length]) for row, length in zip(tokens, lengths, strict=True)]
    return Documents(_make_ids(settings.prefix, number), texts, topics, registers, focal)


def make_queries(words: np.ndarray, documents: pd.DataFrame, world: str, role: str, number: int, seed: int) -> Queries:
    """``number`` queries about ``documents`` (columns register, focal: the corpus' truth, by doc_id).

    ``words``: (concepts, synonyms). A test query has a source of its own; training queries come from the other
    documents, each taken once before any is taken again. Raises :class:`InputError` for more test queries than sources.
    """
    settings, draw = WORLDS[world], generator(seed, "queries", world, role)
    sources = _split_sources(len(documents), world, role, seed)
    if role == "test" and number > len(sources):
        raise InputError(
            f"{number} test queries need as many source documents, and {len(documents)} documents keep "
            f"{len(sources)} for them: ask for fewer queries or more documents"
        )
    if not len(sources):
        raise InputError(f"{len(documents)} documents leave none as a source of {role} queries: ask for more documents")
    sources = np.concatenate([draw.permutation(sources) for _ in range(-(-number // len(sources)))])[:number]
    focal = _pad(documents["focal"].iloc[sources], FOCAL[1])
    wanted = draw.integers(QUERY_CONCEPTS[0], QUERY_CONCEPTS[1] + 1, size=number)
    order = np.where(focal < 0, np.inf, draw.random(focal.shape)).argsort(axis=1)
    concepts = np.take_along_axis(focal, order, axis=1)[:, : QUERY_CONCEPTS[1]]
    concepts[np.arange(QUERY_CONCEPTS[1]) >= wanted[:, None]] = -1
    registers = draw.integers(SYNONYMS, size=number)
    synonyms = _pick_synonyms(draw, registers, concepts.shape, settings.registers)
    tokens = words[concepts, synonyms]
    texts = [" ".join(row[:length]) for row, length in zip(tokens, wanted, strict=True)]
    return Queries(_make_ids(f"{settings.prefix}-{role}-", number), texts, sources, registers, concepts)


def judge(queries: Queries, documents: pd.DataFrame) -> pd.DataFrame:
    """True relevance of every pair above 0 (columns query_id, doc_id, relevance), sorted by both ids.

    3: every concept of the query is focal in the document. 2: two of three are, and the document is of the topic that
    the query comes from. 1: two of three are, in another topic. Memory: the pairs that share a focal concept.
    """
    focal = _pad(documents["focal"], FOCAL[1])
    shared = (_incidence(queries.concepts) @ _incidence(focal).T).tocoo()
    query, document, matched = shared.row, shared.col, shared.data
    asked = (queries.concepts >= 0).sum(axis=1)[query]
    topics = documents["topic"].to_numpy()
    same_topic = topics[queries.sources[query]] == topics[document]
    grades = np.where(matched == asked, 3, np.where(matched == 2, np.where(same_topic, 2, 1), 0))
    keep = grades > 0
    frame = pd.DataFrame(
        {
            "query_id": np.array(queries.ids, dtype=object)[query[keep]],
            "doc_id": documents["doc_id"].to_numpy(dtype=object)[document[keep]],
            "relevance": grades[keep].astype(np.int32),
        }
    )
    return frame.sort_values(["query_id", "doc_id"], ignore_index=True)


def _pick_focal(draw: np.random.Generator, topics: np.ndarray) -> np.ndarray:
    """Draw each document's focal concepts from its topic, without replacement by weight (Gumbel top-k).

    ``topics``: (docs, concepts of a topic) -> (docs, 5), padded with -1.
    """
    keys = np.log(topic_weights()) + draw.gumbel(size=topics.shape)
    chosen = np.take_along_axis(topics, np.argsort(-keys, axis=1)[:, : FOCAL[1]], axis=1)
    numbers = draw.integers(FOCAL[0], FOCAL[1] + 1, size=len(topics))
    chosen[np.arange(FOCAL[1]) >= numbers[:, None]] = -1
    return chosen


def _pick_concepts(
    draw: np.random.Generator, world: np.ndarray, topics: np.ndarray, focal: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """The concept behind each token, -1 for a function word.  # (docs, tokens)"""
    kinds = draw.choice(len(TOKEN_SHARES), size=shape, p=TOKEN_SHARES)
    others = (topics[:, None] + draw.integers(1, len(world), size=shape)) % len(world)
    ranks = draw.choice(world.shape[1], size=shape, p=topic_weights())
    which = (draw.random(shape) * (focal >= 0).sum(axis=1, keepdims=True)).astype(int)
    return np.select(
        [kinds == FOCAL_TOKEN, kinds == TOPIC_TOKEN, kinds == OTHER_TOKEN],
        [np.take_along_axis(focal, which, axis=1), world[topics[:, None], ranks], world[others, ranks]],
        default=-1,
    )


def _pick_synonyms(
    draw: np.random.Generator, registers: np.ndarray, shape: tuple[int, int], shares: tuple[float, ...]
) -> np.ndarray:
    """The synonym that each token takes: the register's with probability 0.6.  # (rows, tokens)"""
    return np.where(draw.random(shape) < REGISTER_USE, registers[:, None], draw.choice(SYNONYMS, size=shape, p=shares))


def _split_sources(number: int, world: str, role: str, seed: int) -> np.ndarray:
    """Rows of the documents that queries of ``role`` may come from; the roles' sources are apart."""
    order = generator(seed, "sources", world).permutation(number)
    split = int(number * TEST_SOURCES)
    return np.sort(order[:split] if role == "test" else order[split:])


def _incidence(concepts: np.ndarray) -> sparse.csr_matrix:
    """(rows, width) concept numbers, -1 as padding -> (rows, concepts) zeros and ones."""
    rows, columns = np.nonzero(concepts >= 0)
    ones = np.ones(len(rows), dtype=np.int32)
    return sparse.csr_matrix((ones, (rows, concepts[rows, columns])), shape=(len(concepts), CONCEPTS))


def _pad(lists: pd.Series, width: int) -> np.ndarray:
    padded = np.full((len(lists), width), -1)
    for row, values in enumerate(lists):
        padded[row, : len(values)] = values
    return padded


def _make_ids(prefix: str, number: int) -> list[str]:
    width = max(5, len(str(number)))
    return [f"{prefix}{row + 1:0{width}d}" for row in range(number)]
