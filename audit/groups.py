"""What is taken of groups, labels and texts a second time: the locality and contamination tables."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import isclose, log2, nan
from pathlib import Path
from statistics import fmean, stdev

import pandas as pd
from scipy import stats

from audit.rows import Rows
from audit.sources import Sources, read_qrels


def locality(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Entropies, mistakes and drawing chances of each sampler's groups; not what needs vectors or candidates."""
    found: dict[tuple[str, str], list[dict[str, list[float]]]] = {}
    for sampler, teacher, seed in spec["rows"]:
        found.setdefault((sampler, teacher), []).append(_of_groups(sources, sampler, teacher, seed, spec["margin"]))
    for row in frame.itertuples():
        seeds = [each[row.quantity] for each in found[row.sampler, row.teacher] if row.quantity in each]
        if seeds:
            means = [fmean(each) for each in seeds]
            yield (
                row.Index,
                {
                    **{"value": fmean(means), "std_query": fmean(stdev(each) for each in seeds), "n_seeds": len(seeds)},
                    **{"std_seed": stdev(means) if len(means) > 1 else nan, "n_queries": len(seeds[0])},
                },
            )


def _of_groups(sources: Sources, sampler: str, teacher: str, seed: int, margin: float) -> dict[str, list[float]]:
    places = [sources.folder / "groups" / name / f"seed{seed}" for name in (sampler, f"{sampler}.{teacher}")]
    (place,) = [each for each in places if each.exists()]
    labels = sources.folder / "labels" / teacher / place.relative_to(sources.folder / "groups")
    rows = pd.read_parquet(place / "groups.parquet")
    rows["label"] = pd.read_parquet(labels / "labels.parquet")["score"].astype(float)
    inputs = json.loads((place / "manifest.json").read_text())["inputs"]
    corpus, collection = (_place(sources, inputs[key]["path"]) for key in ("corpus", "collection"))
    number = len(pd.read_parquet(corpus / "documents.parquet", columns=["doc_id"]))
    positives = pd.read_parquet(collection / "positives.parquet").groupby("query_id").size()
    truth = collection / "truth.parquet"
    grades = read_qrels(truth) if truth.exists() else None
    found: dict[str, list[float]] = {}
    for query, group in rows.groupby("query_id"):
        group = group.sort_values("position")
        of = _of_scores(group["label"].tolist(), margin)
        chances = group["probability"].tolist()[1:]
        of |= _of_chances(chances, number - int(positives.get(query, 0)))
        if grades is not None:
            of |= _of_truth(
                [grades.get(query, {}).get(document, 0) for document in group["doc_id"]], group["label"].tolist()
            )
        for name, value in of.items():
            found.setdefault(name, []).extend([] if value is None else [value])
    return found


def _place(sources: Sources, manifest: str) -> Path:
    """Folder of an artifact that a manifest names from the project's folder."""
    return sources.folder / Path(manifest).parent.relative_to("results", sources.folder.name)


def _of_scores(scores: Sequence[float], margin: float) -> dict[str, float]:
    first, *others = scores
    pairs = [one - other for place, one in enumerate(scores) for other in scores[place + 1 :]]
    outscoring = sum(other > first - margin for other in others)
    return {
        **{"entropy": fmean(map(coin, pairs)), "entropy_positive": fmean(coin(first - other) for other in others)},
        **{"false_teacher": outscoring, "share_teacher": outscoring / len(others)},
    }


def _of_chances(chances: Sequence[float], eligible: int) -> dict[str, float]:
    support = sum(1 / chance for chance in chances)
    outside = 0.0 if isclose(support, eligible, rel_tol=1e-9) else 1 - support / eligible
    return {
        **{"kappa": len(chances) / (eligible * min(chances)), "outside": outside, "bounded": float(outside == 0)},
        "concentration": eligible * max(chances) / len(chances),
    }


def _of_truth(grades: Sequence[int], scores: Sequence[float]) -> dict[str, float | None]:
    relevant = sum(grade > 0 for grade in grades[1:])
    lower = [score for grade, score in zip(grades[1:], scores[1:], strict=True) if grade < grades[0]]
    wrong = sum((score > scores[0]) + (score == scores[0]) / 2 for score in lower)
    return {
        **{"false_truth": relevant, "share_truth": relevant / (len(grades) - 1)},
        "misordered": wrong / len(lower) if lower else None,
    }


def coin(margin: float) -> float:
    """Entropy of a preference by its score difference, in bits."""
    chances = stats.logistic.cdf(margin), stats.logistic.sf(margin)
    return -sum(chance * log2(chance) for chance in chances if chance > 0)


def contamination(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """Test queries that training has seen, by every pair of texts."""
    for row in frame.itertuples():
        matches = list(_matches(sources, row.training, row.collection, spec["threshold"]))
        number, trained = (len(_texts(sources, name)) for name in (row.collection, row.training))
        exact = sum(each["exact"] for each in matches)
        near = len(matches) - exact
        yield (
            row.Index,
            {
                **{"n_queries": number, "n_training": trained, "exact": exact, "near": near},
                **{"exact_share": exact / number, "near_share": near / number},
            },
        )


def contamination_pairs(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """The training query that each of them is like."""
    for (training, collection), rows in frame.groupby(["training", "collection"], sort=False):
        matches = {each["query_id"]: each for each in _matches(sources, training, collection, spec["threshold"])}
        for index, query in rows["query_id"].items():
            yield index, matches[query]


def _matches(sources: Sources, training: str, collection: str, threshold: float) -> Iterator[Mapping]:
    train, limit = _texts(sources, training), Fraction(str(threshold))
    plain = {name: _plain(text) for name, text in train.items()}
    sets = {name: set(text.split()) for name, text in plain.items()}
    for query, text in _texts(sources, collection).items():
        own, words = _plain(text), set(_plain(text).split())
        like = []
        for name, other in sets.items():
            both = len(words & other)
            if both and Fraction(both, len(words | other)) >= limit:
                like.append((-both / len(words | other), plain[name] != own, name))
        if like:
            jaccard, differs, name = min(like)
            found = {"query_id": query, "text": text, "train_query_id": name, "train_text": train[name]}
            yield {**found, "jaccard": -jaccard, "exact": not differs}


def _texts(sources: Sources, collection: str) -> dict[str, str]:
    frame = pd.read_parquet(sources.folder / "collections" / collection / "queries.parquet")
    return dict(zip(frame["query_id"], frame["text"], strict=True))


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join("".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in folded).split())
