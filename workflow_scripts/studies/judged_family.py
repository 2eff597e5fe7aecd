"""A study's contrasts as a table holds them: estimates, and verdicts on them as one family."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workflow_scripts.analysis.compared_cells import ComparedCells
from workflow_scripts.analysis.domains import Domain
from workflow_scripts.analysis.equivalence import NEW, VERDICT, Rule, judge, judge_new_collections

JUDGED = ("difference", *VERDICT, *NEW)
"""Columns of :func:`judge_family`."""


def judge_family(
    cells: ComparedCells, domain: Domain, measure: str, contrasts: np.ndarray, rule: Rule, margin: float | None = None
) -> pd.DataFrame:
    """A row a contrast, columns :data:`JUDGED`; ``contrasts``  # (contrasts, cells).

    Over other seeds and other queries, see :mod:`~workflow_scripts.analysis.inference`; Holm's correction is over these
    contrasts. ``margin``: None for the rule's own.
    """
    contrasts = np.reshape(contrasts, (-1, len(cells.cells)))
    margin = rule.margin_for(cells.values, domain, measure) if margin is None else margin
    found = cells.infer(domain.weights, measure, contrasts)
    new = cells.infer_new_collections(domain, measure, contrasts)
    columns = {"difference": found.mean, **judge(found, margin, rule)}
    columns |= judge_new_collections(new, len(domain.members), margin, rule)
    return pd.DataFrame(columns, index=range(len(contrasts)))[list(JUDGED)]
