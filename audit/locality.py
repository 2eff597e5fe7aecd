"""What is taken of groups, labels and vectors a second time: the locality table, and numbers of single queries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import log, nan
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from audit.rows import Rows
from audit.sources import Sources, read_qrels, temperature


@dataclass(frozen=True)
class Groups:
    """A sampler's groups of one seed with a teacher's scores, positives first: queries, and queries x documents."""

    folder: Path
    manifest: Mapping
    queries: np.ndarray
    documents: np.ndarray
    scores: np.ndarray
    chances: np.ndarray
    """Of the negatives alone."""
    fitted: float
    """The temperature that the scores were divided by."""

    def beside(self, name: str) -> Path:
        """Folder of an artifact that the groups were drawn from."""
        return _input(self.folder, self.manifest, name)


def _input(folder: Path, manifest: Mapping, name: str) -> Path:
    root = next(parent for parent in folder.parents if parent.name == "results").parent
    return root / Path(manifest["inputs"][name]["path"]).parent


@cache
def read_groups(results: Path, sampler: str, teacher: str, seed: int) -> Groups:
    """Groups and their labels."""
    places = [results / "groups" / name / f"seed{seed}" for name in (sampler, f"{sampler}.{teacher}")]
    (place,) = [each for each in places if each.exists()]
    rows = pd.read_parquet(place / "groups.parquet")
    labels = results / "labels" / teacher / place.relative_to(results / "groups")
    rows["score"] = pd.read_parquet(labels / "labels.parquet")["score"].astype(float)
    rows = rows.sort_values(["query_id", "position"])
    queries = rows["query_id"].unique()
    columns = (rows[name].to_numpy() for name in ("doc_id", "score", "probability"))
    documents, scores, chances = (column.reshape(len(queries), -1) for column in columns)
    manifest, of_labels = (json.loads((each / "manifest.json").read_text()) for each in (place, labels))
    fitted = temperature(_input(labels, of_labels, "calibration")) if "calibration" in of_labels["inputs"] else 1.0
    return Groups(place, manifest, queries, documents, scores, chances[:, 1:].astype(float), fitted)


def coin(margins: np.ndarray) -> np.ndarray:
    """Entropy of preferences by their score differences, in bits."""
    return (special.entr(special.expit(margins)) + special.entr(special.expit(-margins))) / log(2)


def pairs(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first and the second of every two columns."""
    first, second = np.triu_indices(columns.shape[1], 1)
    return columns[:, first], columns[:, second]


def entropies(scores: np.ndarray) -> np.ndarray:
    """Mean over a group's pairs."""
    one, other = pairs(scores)
    return coin(one - other).mean(axis=1)


@dataclass(frozen=True)
class Vectors:
    """Vectors of length 1 of the documents of some queries' groups."""

    queries: np.ndarray
    of: Mapping[str, np.ndarray]

    def distances(self, groups: Groups) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Of each embedded query: its place among the groups, and the distances of its documents' pairs."""
        places = {query: place for place, query in enumerate(groups.queries)}
        first, second = np.triu_indices(groups.documents.shape[1], 1)
        for query in self.queries:
            vectors = np.stack([self.of[document] for document in groups.documents[places[query]]])
            yield places[query], np.linalg.norm(vectors[first] - vectors[second], axis=1)


@cache
def read_vectors(results: Path) -> Vectors:
    """The embeddings of an experiment."""
    arrays = (np.load(results / "embeddings" / f"{name}.npy") for name in ("queries", "ids", "vectors"))
    queries, documents, vectors = arrays
    vectors = vectors.astype(float) / np.linalg.norm(vectors.astype(float), axis=1, keepdims=True)
    return Vectors(np.char.decode(queries), dict(zip(np.char.decode(documents).tolist(), vectors, strict=True)))


@cache
def by_query(results: Path, sampler: str, teacher: str, seed: int, quantile: float) -> pd.DataFrame:
    """Diameter and entropy of each embedded query's group."""
    groups = read_groups(results, sampler, teacher, seed)
    found = [(place, np.quantile(each, quantile)) for place, each in read_vectors(results).distances(groups)]
    places, diameters = map(np.array, zip(*found, strict=True))
    columns = {"diameter": diameters, "entropy": entropies(groups.scores[places])}
    return pd.DataFrame(columns, index=groups.queries[places])


def locality(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Every quantity of each sampler's groups."""
    for row in frame.itertuples():
        seeds = [seed for *key, seed in spec["rows"] if key == [row.sampler, row.teacher]]
        found = [quantities(sources, row.sampler, row.teacher, seed)[row.quantity] for seed in seeds]
        means = [float(each.mean()) for each in found]
        whole = len(found[0]) == 1
        yield (
            row.Index,
            {
                **{"value": np.mean(means), "std_seed": np.std(means, ddof=1) if len(means) > 1 else nan},
                "std_query": nan if whole else np.mean([each.std(ddof=1) for each in found]),
                **{"n_seeds": len(seeds), "n_queries": nan if whole else len(found[0])},
            },
        )


@cache
def quantities(sources: Sources, sampler: str, teacher: str, seed: int) -> dict[str, np.ndarray]:
    """Each quantity of one seed's groups: of every query, or one number."""
    _, spec = sources.numbers("locality")
    groups, results = read_groups(sources.folder, sampler, teacher, seed), sources.folder
    first, others = groups.scores[:, :1], groups.scores[:, 1:]
    number = len(pd.read_parquet(groups.beside("corpus") / "documents.parquet", columns=["doc_id"]))
    judged = [groups.beside("collection") / f"{name}.parquet" for name in ("positives", "spared")]
    relevant = pd.concat(pd.read_parquet(path) for path in judged if path.exists()).groupby("query_id").size()
    eligible = number - relevant.reindex(groups.queries).fillna(0).to_numpy()
    drawn, support = groups.chances.shape[1], (1 / groups.chances).sum(axis=1)
    outside = np.where(np.abs(support - eligible) <= 1e-9 * eligible, 0.0, 1 - support / eligible)
    # The margin is one of the teacher's scores as they were.
    outscoring = (others > first - spec["margin"] / groups.fitted).sum(axis=1)
    found = {
        "diameter": by_query(results, sampler, teacher, seed, spec["quantile"])["diameter"].to_numpy(),
        **{"kappa": drawn / (eligible * groups.chances.min(axis=1)), "outside": outside, "bounded": outside == 0},
        "concentration": eligible * groups.chances.max(axis=1) / drawn,
        **{"entropy": entropies(groups.scores), "entropy_positive": coin(first - others).mean(axis=1)},
        **{"false_teacher": outscoring, "share_teacher": outscoring / drawn},
    }
    if (groups.beside("collection") / "truth.parquet").exists():
        found |= _of_truth(groups)
    if shares := list(_covered(sources, groups, spec["depth"])):
        found["coverage"] = np.array([np.mean(shares)])
        if spec["random"]:
            teachers = {other for name, other, of in spec["rows"] if (name, of) == (spec["random"], seed)}
            random = read_groups(results, spec["random"], min(teachers), seed)
            found["coverage_relative"] = found["coverage"] / np.mean(list(_covered(sources, random, spec["depth"])))
    return found


def _of_truth(groups: Groups) -> dict[str, np.ndarray]:
    truth = read_qrels(groups.beside("collection") / "truth.parquet")
    grades = np.array(
        [[truth.get(q, {}).get(d, 0) for d in own] for q, own in zip(groups.queries, groups.documents, strict=True)]
    )
    first, others = groups.scores[:, :1], groups.scores[:, 1:]
    lower, relevant = grades[:, 1:] < grades[:, :1], (grades[:, 1:] > 0).sum(axis=1)
    wrong = np.where(lower, (others > first) + (others == first) / 2, 0).sum(axis=1)
    ordered = lower.any(axis=1)
    misordered = wrong[ordered] / lower.sum(axis=1)[ordered]
    return {"false_truth": relevant, "share_truth": relevant / others.shape[1], "misordered": misordered}


def _covered(sources: Sources, groups: Groups, depth: int) -> Iterator[float]:
    """Of each test collection over the same corpus: the share of BM25's candidates that some group shows."""
    shown, values = set(groups.documents.ravel()), sources.values["metrics"]
    for name in sorted({collection for *_, collection, _ in values.places}):
        inputs = json.loads((sources.folder / "collections" / name / "manifest.json").read_text())["inputs"]
        if Path(inputs["corpus"]["path"]).parent.name == groups.beside("corpus").name:
            run = values.run(("bm25", "", "", ""), None, name)
            candidates = set(run[run["rank"] <= depth]["document"])
            yield len(candidates & shown) / len(candidates)
