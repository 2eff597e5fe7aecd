"""Locality: what a sampler's groups show of the space of documents, and what they mistake."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from workflow_scripts.storage.errors import InputError


def diameters(vectors: np.ndarray, quantile: float) -> np.ndarray:
    """Delta_Q of each group: the ``quantile`` of the Euclidean distances between all pairs of its documents.

    ``vectors``  # (groups, docs, dims) -> # (groups,) in [0, 2]. Each document's vector is first divided by its own L2
    norm, over the feature axis (not over the group's): distances then compare across encoders, 0 for the same direction
    and sqrt 2 for orthogonal ones. The study's estimate of the essential diameter ess sup d(x, x'). A quantile
    between two distances is interpolated linearly, so it depends on the size of the group: compare equal sizes. Raises
    :class:`InputError` for a zero or non-finite vector. Bound by the products: docs^2 dims a group.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(vectors, axis=2, keepdims=True)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise InputError("a document's embedding is zero or not finite: embed the groups again in fp32")
    unit = vectors / norms
    first, second = np.triu_indices(vectors.shape[1], 1)
    products = np.einsum("gid,gjd->gij", unit, unit)[:, first, second]  # (groups, pairs)
    distances = np.sqrt(np.maximum(2 - 2 * products, 0))
    return np.quantile(distances, quantile, axis=1)


@dataclass(frozen=True)
class DensityRatios:
    """How a sampler's distribution nu_Q over documents relates to mu_Q, the uniform one; all # (groups,).

    kappa          sup of dmu/dnu over the support of nu; 1 for the random sampler, below 1 where nu is concentrated
    outside        share of mu's mass on documents that nu never draws; where it is above 0, ess sup dmu/dnu is infinite
    concentration  sup of dnu/dmu: how many times more often than at random the likeliest document is drawn
    """

    kappa: np.ndarray
    outside: np.ndarray
    concentration: np.ndarray

    @property
    def bounded(self) -> np.ndarray:
        """Queries whose kappa_Q = ess sup dmu/dnu is finite, so that Corollary 2.1 says anything.  # (groups,) bool"""
        return self.outside == 0


def density_ratios(probabilities: np.ndarray, positives: np.ndarray, documents: int) -> DensityRatios:
    """Density ratios between mu_Q and the sampler's nu_Q, from its own drawing probabilities (Corollary 2.1).

    ``probabilities``  # (groups, negatives): pi_d, the chance with which the drawn document d was to be among the
    negatives; ``positives``  # (groups,): documents judged relevant to the query, P of N; ``documents``: the corpus's
    size N. mu_Q is uniform over the corpus without those, 1 / (N - P) each; nu_Q(d) = pi_d / k for k negatives.

    Only drawn documents are seen, yet for samplers that draw uniformly without replacement from a pool (and uniformly
    from the rest of the corpus to fill a short group) the numbers are exact: the support has ``sum_d 1 / pi_d``
    documents (Horvitz and Thompson 1952: unbiased for any sampler, without variance for these), and every probability
    that occurs is among the drawn. For another sampler kappa and the concentration are lower bounds.

    Raises :class:`InputError` for a probability outside (0, 1] and for a support larger than the corpus.
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if not ((probabilities > 0) & (probabilities <= 1)).all():
        raise InputError("a negative's drawing probability is not in (0, 1]: draw the groups again")
    drawn = probabilities.shape[1]
    eligible = documents - np.asarray(positives, dtype=np.float64)  # (groups,)
    support = (1 / probabilities).sum(axis=1)
    # Sums of 1 / pi carry rounding errors of 1e-16 a document; a support is a whole number of documents.
    whole = np.isclose(support, eligible, rtol=1e-9, atol=0)
    if ((support > eligible) & ~whole).any():
        raise InputError(
            f"a sampler's support of {support.max():.1f} documents exceeds the corpus: probabilities are inconsistent"
        )
    outside = np.where(whole, 0.0, 1 - support / eligible)
    kappa = drawn / (eligible * probabilities.min(axis=1))
    concentration = eligible * probabilities.max(axis=1) / drawn
    return DensityRatios(kappa, outside, concentration)


def coverage(shown: np.ndarray, candidates: np.ndarray) -> float:
    """Share of the distinct ``candidates`` (document ids that a test re-ranks) that are among those ``shown``."""
    wanted = pd.Index(candidates).unique()
    if not len(wanted):
        raise InputError("a test collection has no candidates: look at its first stage")
    return float(wanted.isin(shown).mean())


def misordered(scores: np.ndarray, grades: np.ndarray) -> np.ndarray:
    """Share of each group's pairs with an order that the teacher takes the wrong way, ties half  # (groups,).

    ``scores``, ``grades``  # (groups, docs). A pair is the positive (column 0) and a negative of a lower true grade;
    groups without one are left out.
    """
    lower = grades[:, 1:] < grades[:, :1]
    wrong = (scores[:, 1:] > scores[:, :1]) + (scores[:, 1:] == scores[:, :1]) / 2
    pairs = lower.sum(axis=1)
    return ((wrong * lower).sum(axis=1) / np.maximum(pairs, 1))[pairs > 0]


def outscoring_negatives(scores: np.ndarray, margin: float) -> np.ndarray:
    """Negatives of each group that the teacher takes for relevant: scored above the positive's score minus ``margin``.

    ``scores``  # (groups, docs), the positive in column 0 -> # (groups,) int. The rule by which the ensemble sampler
    drops documents, held against the group's own positive (the sampler holds it against the query's lowest).
    """
    if not np.isfinite(scores).all():
        raise InputError("a teacher's score is not finite: label the groups again")
    return (scores[:, 1:] > scores[:, :1] - margin).sum(axis=1)
