"""Effectiveness of rankings: per-query values, and the long table that holds them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from workflow_scripts.analysis.measure_names import values_of
from workflow_scripts.storage.errors import InputError

if TYPE_CHECKING:
    from ir_measures import Measure

METRICS_FILE = "metrics.parquet"
KEYS = ("student", "loss", "sampler", "teacher", "seed")
"""What names the ranker that was measured. A reference has an empty loss and sampler, and a null seed if it has
none."""

_TEXT = pa.dictionary(pa.int32(), pa.string())
METRICS_SCHEMA = pa.schema(
    [
        ("student", _TEXT),
        ("loss", _TEXT),
        ("sampler", _TEXT),
        ("teacher", _TEXT),
        ("seed", pa.int32()),
        ("collection", _TEXT),
        ("query_id", pa.string()),
        ("measure", _TEXT),
        ("value", pa.float64()),
    ]
)
"""One row per query and measure, sorted by keys, collection, query_id, measure. The paper's grid has tens of millions
of rows, so what repeats is dictionary-encoded and reads as pandas categories."""


def evaluate(measures: Sequence[Measure], qrels: pd.DataFrame, ranking: pd.DataFrame) -> pd.DataFrame:
    """Per-query values of a ranking, in the order that its ``rank`` column gives.

    ``qrels``: query_id, doc_id, relevance; ``ranking``: query_id, doc_id, rank. The result (query_id, measure, value)
    has one row for every judged query and measure, sorted. A judged query that the ranking lacks has an empty ranking
    and so scores 0, and so does one without a relevant document: both stay in the mean, as in ``trec_eval -c``.
    Unjudged queries are left out.

    Evaluators are given numbers for ids and, as the score, how far a rank is from the last. They read ids (gdeval cuts
    a query's at its last dash), and they sort again by score, trec_eval in 32 bits and with ties broken by document id
    *descending*, MS MARCO's script by id ascending: each would measure another ranking than the run's own. Raises
    :class:`InputError` where an evaluator fails, or gives no finite value for a query.
    """
    judged = np.unique(qrels["query_id"].to_numpy(dtype=object))
    numbers = {query: str(place) for place, query in enumerate(judged)}
    ranking = ranking[ranking["query_id"].isin(numbers)]
    documents: dict[str, str] = {}
    judgements = _nested(qrels, qrels["relevance"].astype(int), numbers, documents)
    # Above 0, since Compat takes a document that was not retrieved for one with score 0.
    scores = _nested(ranking, (ranking["rank"].max() + 1 - ranking["rank"]).astype(float), numbers, documents)
    values = {str(measure): values_of(measure, judgements, scores) for measure in measures}
    rows = [(query, name, values[name].get(numbers[query], np.nan)) for query in judged for name in sorted(values)]
    frame = pd.DataFrame(rows, columns=["query_id", "measure", "value"]).astype({"value": float})
    bad = ~np.isfinite(frame["value"].to_numpy())
    if bad.any():
        row = frame[bad].iloc[0]
        raise InputError(
            f"{row.measure} of query {row.query_id} has no finite value: drop the measure or check the qrels"
        )
    return frame


def check_ranks(ranking: pd.DataFrame, name: str) -> None:
    """Refuse a ranking whose ranks are not 1, 2, ... in each query, whose scores rise, or which repeats a document."""
    ordered = ranking.sort_values(["query_id", "rank"], kind="stable")
    position = ordered.groupby("query_id", sort=False).cumcount().to_numpy() + 1
    same_query = (ordered["query_id"] == ordered["query_id"].shift()).to_numpy()
    rises = same_query & (ordered["score"].diff() > 0).to_numpy()
    faults = {
        "ranks that are not 1, 2, 3, ...": ordered["rank"].to_numpy() != position,
        "a score above the one before it": rises,
        "a score that is not a number": ordered["score"].isna().to_numpy(),
        "a document twice": ordered.duplicated(["query_id", "doc_id"]).to_numpy(),
    }
    for fault, where in faults.items():
        if where.any():
            raise InputError(
                f"{name}: query {ordered['query_id'].iloc[where.argmax()]} has {fault}; make the run again"
            )


def metrics_table(keys: Mapping[str, str | int | None], frame: pd.DataFrame) -> pa.Table:
    """The long table of one ranker: its ``keys`` beside collection, query_id, measure and value.

    ``student`` is required, the other texts may be empty or null (stored as ""), ``seed`` may be null.
    """
    unknown = set(keys) - set(KEYS)
    if unknown or not keys.get("student"):
        what = f"unknown key {sorted(unknown)[0]!r}" if unknown else "no student"
        raise InputError(f"the metrics' keys have {what}: they are {', '.join(KEYS)}")
    columns = {}
    for field in METRICS_SCHEMA:
        if field.name == "seed":
            columns["seed"] = pa.array([keys.get("seed")] * len(frame), pa.int32())
        else:
            texts = [keys.get(field.name) or ""] * len(frame) if field.name in KEYS else frame[field.name].tolist()
            columns[field.name] = pa.array(texts, field.type)
    return pa.table(columns, schema=METRICS_SCHEMA)


def _nested(
    frame: pd.DataFrame, values: pd.Series, queries: Mapping[str, str], documents: dict[str, str]
) -> dict[str, dict[str, float]]:
    """Query to document to value, under the numbers of ``queries`` and of ``documents``, which grow with new ones."""
    nested: dict[str, dict[str, float]] = {}
    columns = (frame["query_id"], frame["doc_id"], values)
    for query, document, value in zip(*(column.tolist() for column in columns), strict=True):
        number = documents.get(document)
        if number is None:
            number = documents[document] = str(len(documents))
        nested.setdefault(queries[query], {})[number] = value
    return nested
