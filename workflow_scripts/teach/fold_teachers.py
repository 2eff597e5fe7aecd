"""The models that label for a teacher: one, or one for each fold of the queries, which it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workflow_scripts.models.folds import folds_of
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.teach.pools import PairCodes

if TYPE_CHECKING:
    from workflow_scripts.models.rankers import RankerModel
    from workflow_scripts.storage.progress import Progress


class FoldTeachers:
    """Cross-encoders on the device, ready to score pairs; ``models``: their manifests, in the order of the folds."""

    def __init__(self, models: Sequence[Path], codes: PairCodes, precision: str) -> None:
        from workflow_scripts.models.scoring import scoring_ranker

        self.codes, self._stores = codes, (codes.queries, codes.documents)
        self.rankers: list[RankerModel] = [
            scoring_ranker(Artifact(model).folder, "cross-encoder", *self._stores, precision=precision)
            for model in models
        ]

    def progress(self, pairs: np.ndarray, name: str) -> Progress:
        """Progress of a job that scores these pairs, which says what is to be done."""
        from workflow_scripts.models.scoring import scoring_progress

        return scoring_progress(self.rankers[0], *self._stores, *self.codes.rows(pairs), name=name)

    def score(self, pairs: np.ndarray, progress: Progress) -> np.ndarray:
        """Scores float32 of pairs by their codes, each by the teacher of its query's fold  # (pairs,)."""
        from workflow_scripts.models.scoring import score_pairs

        queries, documents = self.codes.rows(pairs)
        folds = folds_of(self.codes.queries, queries, len(self.rankers))
        scores = np.empty(len(pairs), np.float32)
        for fold, ranker in enumerate(self.rankers):
            own = np.flatnonzero(folds == fold)
            if len(own):
                scores[own] = score_pairs(ranker, *self._stores, queries[own], documents[own], progress=progress)
        return scores
