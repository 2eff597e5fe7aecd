"""The table of pipelines computed again: metrics of several experiments, one seed of each, from their own runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import fmean, variance

import numpy as np
import pandas as pd
from scipy import stats

from audit.contrasts import Block, Domain
from audit.rows import Rows
from audit.sources import Cell, Sources, Values
from audit.tables import BLOCK, family_rows, pairs_of


class Pipelines(Values):
    """Values whose seed is a pipeline's place among some experiments; rankers without seeds are the first's."""

    def __init__(self, experiments: Sequence[Values]) -> None:
        self._experiments = experiments
        self._first_seeds = [min(seed for _, seed, *_ in each.places if seed is not None) for each in experiments]
        self.cells, self._measures = experiments[0].cells, experiments[0]._measures

    def of(self, cell: Cell, seed: int | None, collection: str, measure: str) -> dict[str, float]:
        """Query to value."""
        own = None if seed is None else self._first_seeds[seed]
        return self._experiments[seed or 0].of(cell, own, collection, measure)


def pipelines(frame: pd.DataFrame, spec: dict, sources: Sources) -> Rows:
    """What pipelines change, and every two samplers of a block over them."""
    folders = [sources.folder.with_name(name) for name in spec["experiments"]]
    values = Pipelines([Sources(folder).values["metrics"] for folder in folders])
    places, domains = list(range(len(folders))), {each["name"]: Domain.of(each) for each in spec["domains"]}
    controls = sources.numbers("controls")[0].set_index(["student", "loss", "domain", "measure"])
    for (scope, *key), rows in frame.groupby(["scope", *BLOCK], sort=False):
        student, loss, teacher, domain, measure = key
        cells = [(student, loss, sampler, teacher) for sampler in spec["samplers"]]
        weights = domains[domain].weights
        if scope == "comparison":
            block, pairs = Block(values, cells, places, []), pairs_of(len(cells))
            yield from family_rows(
                rows, block, pairs, domains[domain], measure, spec["rule"], "mean_difference", len(places)
            )
            continue
        means = [[values.mean(cell, place, weights, measure) for place in places] for cell in cells]
        again = controls.loc[(student, loss, domain, measure)]
        yield rows.index[0], {**_spread(means, again, spec["confidence"]), "n_seeds": len(places)}


def _spread(means: Sequence[Sequence[float]], again: Mapping, confidence: float) -> dict[str, float]:
    """Standard deviations over pipelines, over trainings again, and what the former has more; of a pair of cells."""
    sd, degrees = sqrt(fmean(variance(each) for each in means)), len(means[0]) - 1

    def ends(of: float, df: float, error: float) -> tuple[float, float]:
        return of * sqrt(df / stats.chi2.isf(error / 2, df)), of * sqrt(df / stats.chi2.isf(1 - error / 2, df))

    error = 1 - confidence
    wide, training_wide = ends(sd, degrees, error / 2), ends(again["sd"], again["df"], error / 2)
    more = [(sd, again["sd"]), (wide[0], training_wide[1]), (wide[1], training_wide[0])]
    columns = {"sd": sd, "training_sd": again["sd"]}
    columns |= dict(zip(("sd_low", "sd_high"), ends(sd, degrees, error), strict=True))
    columns |= dict(zip(("training_low", "training_high"), ends(again["sd"], again["df"], error), strict=True))
    added = (sqrt(max(0.0, one**2 - other**2)) for one, other in more)
    # Two cells differ by what each has beside the pipeline's mean: of all pairs the mean variance of a difference.
    table = np.asarray(means)
    pairs = [np.var(table[i] - table[j], ddof=1) for i in range(len(table)) for j in range(i)]
    return {
        **columns,
        **dict(zip(("added", "added_low", "added_high"), added, strict=True)),
        "sd_pair": sqrt(fmean(pairs)) if pairs else np.nan,
    }
