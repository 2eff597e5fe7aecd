"""What a sampler draws from: one query's candidates, the corpus's document ids, and the drawing itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.ids import find_ids


class Negative(NamedTuple):
    """A document drawn (or to be drawn) for a query, and where it comes from.

    ``source`` is the ranking system that lists it, "corpus" or "fill"; ``rank`` and ``score`` are that system's.
    ``probability`` is the chance with which the document was to be among the query's negatives, given its pool.
    """

    doc_id: str
    source: str
    rank: int | None = None
    score: float | None = None
    probability: float | None = None


@dataclass(frozen=True)
class DocumentIds:
    """The corpus's document ids, sorted, as one byte array: 9 million short ids take some 60 MB."""

    ids: np.ndarray  # (documents,) 'S'

    @classmethod
    def read(cls, corpus: str | Path) -> DocumentIds:
        """Read them from a corpus artifact, and no text with them."""
        file = pq.ParquetFile(Artifact(corpus).file("documents.parquet"))
        batches = [batch.column(0) for batch in file.iter_batches(columns=["doc_id"])]
        width = max((pc.max(pc.binary_length(batch)).as_py() for batch in batches), default=1)
        ids, start = np.empty(file.metadata.num_rows, f"S{width}"), 0
        for batch in batches:
            ids[start : start + len(batch)] = [doc_id.encode() for doc_id in batch.to_pylist()]
            start += len(batch)
        if (ids[1:] <= ids[:-1]).any():
            raise InputError(f"the documents of {corpus} are not sorted by doc_id: make the corpus again")
        return cls(ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, place: int) -> str:
        return self.ids[place].decode()

    def places(self, doc_ids: pa.ChunkedArray) -> np.ndarray:
        """Place of each id in the corpus; :class:`InputError` names one that is not there."""
        places = find_ids(self.ids, doc_ids)
        if (places < 0).any():
            missing = doc_ids[int((places < 0).argmax())]
            raise InputError(f"document {missing} is not in the corpus: name the corpus it is from")
        return places


@dataclass(frozen=True)
class Candidates:
    """One query's candidates.

    ``rankings`` maps a system to (document ids, scores or Nones), best first, in the config's order; ``teacher`` maps
    document ids to teacher scores, None where the sampler needs none; ``spared`` are documents that are judged relevant
    and no positives, which no sampler is shown; ``counts`` collects what a sampler counts and ``asked`` the documents
    whose teacher score it asked for.
    """

    query_id: str
    positives: frozenset[str]
    rankings: Mapping[str, tuple[Sequence[str], Sequence[float | None]]]
    teacher: Mapping[str, float] | None
    corpus: DocumentIds
    spared: frozenset[str] = frozenset()
    counts: Counter = field(default_factory=Counter)
    asked: set[str] = field(default_factory=set)

    def listed(self, system: str | None, depth: int) -> list[Negative]:
        """The system's top ``depth``, positives and all, less what is spared; ``system`` None: the only one."""
        if system is None and len(self.rankings) == 1:
            system = next(iter(self.rankings))
        if system not in self.rankings:
            raise InputError(f"no ranking of {system!r}: set the option 'system' to one of {', '.join(self.rankings)}")
        documents, scores = (values[:depth] for values in self.rankings[system])
        return [
            Negative(document, system, rank, score)
            for rank, (document, score) in enumerate(zip(documents, scores, strict=True), 1)
            if document not in self.spared
        ]

    def teacher_score(self, doc_id: str) -> float:
        """The teacher's score of a document; :class:`InputError` names the pair where it is missing or NaN."""
        self.asked.add(doc_id)
        score = None if self.teacher is None else self.teacher.get(doc_id)
        if score is None or score != score:
            raise InputError(
                f"the teacher has no score for query {self.query_id}, document {doc_id}: score a deeper pool"
            )
        return score


def reranked(query: Candidates, system: str | None, depth: int, source: str) -> list[Negative]:
    """What :meth:`Candidates.listed` gives, in the teacher's order, equal scores by document id."""
    documents = [candidate.doc_id for candidate in query.listed(system, depth)]
    ordered = sorted((-query.teacher_score(document), document) for document in documents)
    return [Negative(document, source, rank, -score) for rank, (score, document) in enumerate(ordered, 1)]


def draw(
    query: Candidates, pool: Sequence[Negative], count: int, rng: np.random.Generator, excluded: Collection[str] = ()
) -> list[Negative]:
    """Draw ``count`` of ``pool`` uniformly without replacement; random documents fill what the pool lacks.

    The order is random too. The pool holds no positive; ``excluded`` are documents that the fill must not bring back
    besides. A pool document's probability is count / len(pool), at most 1.
    """
    taken = min(count, len(pool))
    chance = taken / len(pool) if pool else 0.0
    chosen = [pool[place]._replace(probability=chance) for place in rng.choice(len(pool), taken, replace=False)]
    if taken == count:
        return chosen
    excluded = {*excluded, *query.positives, *(negative.doc_id for negative in chosen)}
    return chosen + draw_documents(query, count - taken, rng, excluded, "fill")


def draw_documents(
    query: Candidates, count: int, rng: np.random.Generator, excluded: Collection[str], source: str
) -> list[Negative]:
    """Draw ``count`` documents uniformly from the corpus without ``excluded`` and what is spared, all documents of it.

    By rejection: the work grows with ``count``, not with the corpus. Probability: count / documents eligible.
    """
    excluded = {*excluded, *query.spared}
    eligible = len(query.corpus) - len(excluded)
    if eligible < count:
        raise InputError(
            f"query {query.query_id}: {count} random documents wanted, {eligible} eligible: draw fewer negatives"
        )
    found: dict[str, None] = {}
    while len(found) < count:
        for place in rng.integers(len(query.corpus), size=count - len(found)).tolist():
            document = query.corpus[place]
            if document not in excluded:
                found.setdefault(document)
    return [Negative(document, source, probability=count / eligible) for document in found]


def without(listed: Iterable[Negative], documents: Collection[str]) -> list[Negative]:
    """``listed`` less the ``documents``, in the same order."""
    return [negative for negative in listed if negative.doc_id not in documents]
