"""The generalisation bound's terms as far as data give them: locality, estimation, entropy, and what they imply."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_numbers

VACUOUS, NOT_VACUOUS, CANNOT_SAY = "vacuous", "not vacuous", "cannot say"
CONSTANT_RANKER = 0.5
"""What the excess risk of a ranker that scores all documents alike never exceeds (ties broken by a coin)."""

QUANTITIES = ("diameter", "kappa", "outside", "bounded", "entropy", "entropy_positive")
"""Of the locality table: what the bound takes from it, and ``misordered`` where it is there."""

Key = tuple[str, str]
"""Sampler and teacher."""

# Vectors and scores are float32 and come from batches of many shapes: equal texts agree to about this.
_SAME_VECTOR, _SAME_SCORE = 1e-6, 1e-5


def read_locality(path: str | Path, keys: Sequence[Key]) -> dict[Key, dict[str, float]]:
    """The locality table's values by sampler and teacher; :class:`InputError` names a quantity that is not there."""
    frame, _ = read_numbers(path)
    found = frame.set_index(["sampler", "teacher", "quantity"])["value"].to_dict()
    for sampler, teacher in keys:
        for quantity in QUANTITIES:
            if not np.isfinite(found.get((sampler, teacher, quantity), np.nan)):
                raise InputError(
                    f"{path} lacks {quantity} of sampler {sampler}, teacher {teacher}: make the locality table again"
                )
    wanted = [*QUANTITIES, "misordered"]
    return {key: {name: found[(*key, name)] for name in wanted if (*key, name) in found} for key in keys}


def read_risks(path: str | Path, domain: str, losses: Sequence[str]) -> dict[tuple[str, str, str], float]:
    """Mean measured risk on a domain by sampler, teacher, student, over ``losses``; from the risk table's numbers.

    A mean over other losses is another thing: there is no entry where one of them was not trained, and those of
    studies, which are not listed, count nowhere.
    """
    frame, _ = read_numbers(path)
    frame = frame[(frame["domain"] == domain) & frame["loss"].isin(losses)]
    means = {}
    for key, part in frame.groupby(["sampler", "teacher", "student"]):
        risks = dict(zip(part["loss"], part["risk"], strict=True))
        if len(risks) < len(losses):
            continue
        means[key] = float(np.mean([risks[loss] for loss in losses]))
    return means


def lipschitz_ratios(vectors: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """|s_i - s_j| / d(x_i, x_j) of all pairs of documents of each group, flat  # (pairs,).

    ``vectors``  # (groups, docs, dims), ``scores``  # (groups, docs). d is Delta_Q's distance: Euclidean between
    vectors of length 1. For a fixed query the largest ratio is a lower bound of the scorer's Lipschitz constant. Two
    documents that d does not tell apart (to float32) give an infinite ratio where their scores differ, and none where
    they do not. Raises :class:`InputError` for a zero or non-finite vector. Bound by the norms: docs^2 dims a group.
    """
    lengths = np.linalg.norm(vectors, axis=2, keepdims=True).astype(np.float64)
    if not ((lengths > 0) & np.isfinite(lengths)).all():
        raise InputError("a vector is zero or not finite: embed the groups again in fp32")
    unit, ratios = vectors / lengths, []
    for first in range(scores.shape[1] - 1):
        # Differences, not products: of near documents a product keeps no digit of the distance.
        distances = np.linalg.norm(unit[:, first : first + 1] - unit[:, first + 1 :], axis=2)
        one, other = scores[:, first : first + 1], scores[:, first + 1 :]
        apart = distances > _SAME_VECTOR
        informative = apart | ~np.isclose(one, other, rtol=_SAME_SCORE, atol=_SAME_SCORE)
        ratio = np.divide(np.abs(one - other), distances, out=np.full(distances.shape, np.inf), where=apart)
        ratios.append(ratio[informative])
    return np.concatenate(ratios)


def estimation_term(capacity: float, samples: int, delta: float) -> float:
    """sqrt((d (ln(2n / d) + 1) + ln(4 / delta)) / n), the confidence interval of Vapnik (1998) for a 0-1 risk.

    ``capacity``: d, the VC dimension; ``samples``: n independent draws; it holds with probability 1 - ``delta``. The
    term grows with d as far as 2n; a d above n gives the value at n (1.30 or more), which is then a lower bound.
    """
    if not (capacity > 0 and samples > 0 and 0 < delta < 1):
        raise InputError(f"d {capacity}, n {samples}, delta {delta}: d and n are above 0, delta between 0 and 1")
    capacity = min(capacity, samples)
    return math.sqrt((capacity * (math.log(2 * samples / capacity) + 1) + math.log(4 / delta)) / samples)


def largest_capacity(samples: int, delta: float, limit: float = 1.0) -> int:
    """The largest whole d whose :func:`estimation_term` is below ``limit`` (at most 1); 0 where that of 1 is not."""
    low, high = 0, samples  # the term is below the limit at low (or low is 0) and not at high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if estimation_term(middle, samples, delta) < limit else (low, middle)
    return low


def samples_needed(capacity: int, delta: float, limit: float = 1.0) -> int:
    """The smallest n whose :func:`estimation_term` at d = ``capacity`` is below ``limit`` (at most 1)."""
    low = high = capacity  # at n = d the term is above 1; it falls as n grows
    while estimation_term(capacity, high, delta) >= limit:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if estimation_term(capacity, middle, delta) < limit else (middle, high)
    return high


def misordering_range(entropy: float) -> tuple[float, float]:
    """Least and largest share of pairs that a teacher of mean pairwise entropy ``entropy`` (bits) takes the wrong way.

    Of pairs that have a right way: between two documents of one grade a teacher that tosses a coin does not err. Where
    its preference p = sigma(s_i - s_j) is the true probability, it errs with probability min(p, 1 - p). At most H / 2
    (Hellman and Raviv 1970: the binary entropy is concave), and by Pinsker's inequality against a fair coin,
    ln 2 - H >= 2 (p - 1/2)^2 in nats, at least 1/2 - sqrt((ln 2 - H) / 2); by Jensen both hold of means over pairs.
    """
    if not 0 <= entropy <= 1:
        raise InputError(f"a mean binary entropy is between 0 and 1 bit, not {entropy}: make the locality table again")
    return max(0.0, 0.5 - math.sqrt(max(0.0, (1 - entropy) * math.log(2) / 2))), entropy / 2


def trainable_parameters(manifest: str | Path) -> int:
    """Number of weights that a trained student learned, from the header of its ``model.safetensors``.

    A bi-encoder's file may hold its encoder's pooler, which a [CLS] vector does not pass through: not counted.
    """
    from safetensors import safe_open

    model = Artifact(manifest)
    idle = "pooler." if model.spec["architecture"] == "bi-encoder" else None
    with safe_open(model.file("model.safetensors"), framework="numpy") as weights:
        names = [name for name in weights.keys() if idle is None or idle not in name]  # noqa: SIM118 (no mapping)
        return sum(math.prod(weights.get_slice(name).get_shape()) for name in names)


@dataclass(frozen=True)
class Verdict:
    """VACUOUS, NOT_VACUOUS or CANNOT_SAY, and the names of the terms (or symbols) that decide."""

    outcome: str
    because: tuple[str, ...]


def judge(
    kappa: float, known: Mapping[str, float], conditional: Mapping[str, float], symbols: Sequence[str]
) -> Verdict:
    """Whether a bound kappa * (sum of non-negative terms) on an excess 0-1 pairwise risk says anything.

    Vacuous: kappa is infinite, or the ``known`` terms alone reach :data:`CONSTANT_RANKER`. Cannot say: they do so only
    with the ``conditional`` ones, or ``symbols`` have no number. Not vacuous: every term is known and the sum is below.
    """
    # A mean of kappas that are all 1 may be rounded below it.
    if not kappa >= 1 - 1e-6 or any(not value >= 0 for value in [*known.values(), *conditional.values()]):
        raise InputError(f"kappa {kappa} is below 1, or a term is negative or missing: make the locality table again")
    because = ["kappa"] if math.isinf(kappa) else []
    factor = 1.0 if because else kappa
    if factor * sum(known.values()) >= CONSTANT_RANKER:
        alone = [name for name, value in known.items() if factor * value >= CONSTANT_RANKER]
        because += alone or list(known)
    if because:
        return Verdict(VACUOUS, tuple(because))
    if factor * sum([*known.values(), *conditional.values()]) >= CONSTANT_RANKER:
        return Verdict(CANNOT_SAY, tuple(conditional))
    return Verdict(CANNOT_SAY, tuple(symbols)) if symbols else Verdict(NOT_VACUOUS, tuple(known))
