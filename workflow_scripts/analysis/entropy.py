"""How unsure a teacher is: the entropy of its pairwise preferences."""

from __future__ import annotations

import numpy as np

from workflow_scripts.storage.errors import InputError


def pairwise_entropy(scores: np.ndarray) -> np.ndarray:
    """H(g) of each group: the mean over its pairs i < j of the binary entropy, in bits, of sigma(s_i - s_j).

    ``scores``  # (groups, docs), docs >= 2 -> # (groups,) in [0, 1]: 1 where all scores are equal, toward 0 where they
    are far apart. The query entropy of the study's section 2, with the group's documents as the sample of the query's.
    With x = |s_i - s_j| >= 0 the entropy is ``log1p(e^-x) + x e^-x / (1 + e^-x)`` nats, which neither overflows nor
    cancels; e^-x that underflows is a true 0. Raises :class:`InputError` for a NaN or infinite score and for groups of
    fewer than two documents. Bound by the exponentials: docs (docs - 1) / 2 a group; memory: one row of pairs a group.
    """
    scores = _checked(scores)
    documents = scores.shape[1]
    total = np.zeros(len(scores))
    for first in range(documents - 1):
        total += _binary_entropy(scores[:, first : first + 1] - scores[:, first + 1 :]).sum(axis=1)
    return total / (documents * (documents - 1) / 2)


def positive_entropy(scores: np.ndarray) -> np.ndarray:
    """As :func:`pairwise_entropy`, over the pairs of the positive (column 0) with each negative only.

    Two irrelevant documents are a coin toss to any teacher: they fill the entropy of a random group, where the teacher
    knows the positive for certain. These pairs alone say how sure it is of the positive.
    """
    scores = _checked(scores)
    return _binary_entropy(scores[:, :1] - scores[:, 1:]).mean(axis=1)


def _checked(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise InputError(f"entropy needs scores (groups, docs) with two documents or more a group, not {scores.shape}")
    bad = np.argwhere(~np.isfinite(scores))
    if len(bad):
        group, document = bad[0]
        raise InputError(
            f"the score of document {document} in group {group} is {scores[group, document]}: label the groups again"
        )
    return scores


def _binary_entropy(logits: np.ndarray) -> np.ndarray:
    """Entropy in bits of a coin that falls heads with probability sigma(logit), elementwise."""
    distance = np.abs(logits)
    odds = np.exp(-distance)
    return (np.log1p(odds) + distance * odds / (1 + odds)) / np.log(2)
