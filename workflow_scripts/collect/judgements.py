"""Judged queries: ids and texts checked, judgements matched with queries and corpus, training queries chosen.

Faults of the data are met in two ways. *Strict*, for a user's own files: an unknown query, an unknown document, a pair
judged twice or a query without a relevant document raises an error that names it. Otherwise, for public collections,
which have all of these: what cannot be used is left out and counted, and the counts are printed. To test on, judgements
of unknown documents are kept, and counted: of what a collection asks for, recall and nDCG's ideal leave nothing out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import pandas as pd

from workflow_scripts.analysis.measure_names import LARGEST_GAIN
from workflow_scripts.collect.documents import check_id, check_text, count_repeated, find_documents, is_empty
from workflow_scripts.collect.places import Place
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.seeds import derive_seed

JUDGEMENT = ["position", "query_id", "doc_id", "relevance"]
LEAST_QUERIES = 4
"""Of a collection that is tested on: the tables' correlations and curves need them. The planner knows ``max_queries``
alone, not what a file holds."""


def collect_queries(rows: Iterable[tuple[int, str, str]], place: Place) -> tuple[dict[str, str], dict[str, int]]:
    """Query texts by id from (position, id, text), and counts; of those that repeat an id the first is kept.

    Raises :class:`InputError` for a bad id, for one that a user's own file repeats, and where there are no queries.
    """
    queries: dict[str, str] = {}
    repeated = 0
    for position, identifier, text in rows:
        query = check_id("query", identifier, place.at(position), own=place.is_file)
        check_text(text, place.at(position))
        if query in queries and place.is_file:
            raise InputError(f"{place.at(position)} repeats the query id {query!r}: remove one")
        repeated += query in queries
        queries.setdefault(query, text)
    if not queries:
        raise InputError(f"{place.source} holds no queries: give a source with at least one")
    return queries, {"source_queries": len(queries) + repeated} | count_repeated("queries", repeated, place)


def collect_judgements(
    rows: Iterable[tuple[int, str, str, int]], place: Place, least: int | None = None
) -> tuple[pd.DataFrame, int]:
    """Judgements of grade ``least`` or more as a frame (position, query_id, doc_id, relevance); how many of any grade.

    Raises :class:`InputError` where there are none at all, and for a grade that trec_eval has no room for.
    """
    kept, number = [], 0
    for row in rows:
        number += 1
        if least is None or row[3] >= least:
            kept.append(row)
    if not number:
        raise InputError(f"{place.source} holds no judgements: give qrels with at least one line")
    frame = pd.DataFrame(kept, columns=JUDGEMENT)
    for row in frame[frame["relevance"] > LARGEST_GAIN].itertuples():
        raise InputError(f"{place.at(row.position)} has relevance {row.relevance}: grades go up to {LARGEST_GAIN:,}")
    return frame, number


def match_judgements(
    frame: pd.DataFrame, queries: dict[str, str], corpus: Artifact, *, place: Place, strict: bool, keep_unknown: bool
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Judgements of queries and documents that exist, each pair once, and counts of what was left out or kept.

    ``keep_unknown``: judgements of documents outside the corpus stay (test qrels: the measure's ideal counts them) and
    are only counted, under a name of their own. Of a pair judged twice the higher relevance stays. Strict: see the
    module.
    """
    known_query = frame["query_id"].isin(queries)
    _refuse(frame[~known_query], "the query {0.query_id!r}, which is not among the queries", place, strict)
    frame = frame[known_query]
    found = find_documents(corpus, frame["doc_id"])
    known_document = frame["doc_id"].isin(found)
    fate = "keep" if keep_unknown else "leave out"
    _refuse(frame[~known_document], "the document {0.doc_id!r}, which is not in the corpus", place, strict, fate)
    if len(frame) and not known_document.any():
        raise InputError(f"{place.source}: none of its documents is in {corpus.manifest_path}: name its corpus")
    if not keep_unknown:
        frame = frame[known_document]
    ordered = frame.sort_values(["query_id", "doc_id", "relevance"], ascending=[True, True, False], kind="stable")
    twice = ordered.duplicated(["query_id", "doc_id"])
    _refuse(ordered[twice], "the query {0.query_id!r} and the document {0.doc_id!r} a second time", place, strict)
    counts = {
        "judgements_of_unknown_queries": int((~known_query).sum()),
        f"judgements_of_unknown_documents{'_kept' * keep_unknown}": int((~known_document).sum()),
        "judgements_repeated": int(twice.sum()),
    }
    return ordered[~twice].reset_index(drop=True), counts


def keep_answered(
    queries: dict[str, str], relevant: pd.Series, *, place: Place, strict: bool
) -> tuple[dict[str, str], dict[str, int]]:
    """The queries that have a relevant document (their ids are in ``relevant``), and how many have none.

    Raises :class:`InputError` where a query has none (strict), where all have none, or where a text is empty.
    """
    answered = set(relevant)
    without = [query for query in queries if query not in answered]
    if strict and without:
        raise InputError(
            f"the query {without[0]!r} has no relevant document in {place.source}: judge one, take the query "
            'out, or set "strict": false to leave such queries out'
        )
    kept = {query: text for query, text in queries.items() if query in answered}
    if not kept:
        raise InputError(f"no query of {place.source} has a relevant document: look at the qrels and min_relevance")
    for query, text in kept.items():
        if is_empty(text):
            raise InputError(f"the query {query!r} has no text: write one, or choose another query field")
    return kept, {"queries_without_relevant": len(without)}


def choose_queries(queries: dict[str, str], number: int | None, seed: int) -> dict[str, str]:
    """``number`` of the queries (all for None): those with the smallest seed of their own, whatever their order."""
    if number is None or number >= len(queries):
        return queries
    order = sorted(queries, key=lambda query: (derive_seed(seed, "queries", query), query))
    return {query: queries[query] for query in order[:number]}


def check_number(queries: dict[str, str], place: Place) -> None:
    """Raise :class:`InputError` where fewer than :data:`LEAST_QUERIES` are left to be tested on."""
    if len(queries) < LEAST_QUERIES:
        raise InputError(
            f"{place.source} leaves {len(queries)} queries that have a relevant document, too few to test on: give at "
            f"least {LEAST_QUERIES}"
        )


def warn(counts: dict[str, int], place: Place) -> None:
    """Print what was left out or kept as one line on stderr; nothing where nothing was."""
    line = ", ".join(f"{name.replace('_', ' ')}: {count:,}" for name, count in counts.items() if count)
    if line:
        print(f"{place.source}: {line}", file=sys.stderr, flush=True)


def _refuse(bad: pd.DataFrame, what: str, place: Place, strict: bool, fate: str = "leave out") -> None:
    if strict and len(bad):
        first = bad.sort_values("position").iloc[0]
        raise InputError(
            f"{place.at(first.position)} judges {what.format(first)}: correct the line, or set "
            f'"strict": false to {fate} such lines'
        )
