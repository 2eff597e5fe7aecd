"""Samplers of negatives, one a file, found by name.

A sampler file holds ``NEEDS_RANKINGS`` and ``NEEDS_TEACHER`` (does it read rankings? teacher scores?), ``OPTIONS`` (its
options, described as in :mod:`workflow_scripts.experiment.options`) and a function::

    sample(query, count, rng, *, option, option=default, ...) -> list of ``count`` Negatives

with ``query`` the :class:`~workflow_scripts.mine.candidates.Candidates` of one query and ``rng`` a generator seeded
by (seed, query id) alone. It never draws a positive of the query, draws without replacement, and gives each document
its inclusion probability. Options are keyword-only; their values are checked before the function is called. Adding a
sampler is adding its file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflow_scripts.experiment.options import load_file

if TYPE_CHECKING:
    import numpy as np

    from workflow_scripts.mine.candidates import Candidates, Negative


@dataclass(frozen=True)
class Sampler:
    """A sampler with its options bound; call it with a query's candidates, the number to draw and a generator."""

    name: str
    options: Mapping[str, object]
    needs_rankings: bool
    needs_teacher: bool
    function: Callable[..., list[Negative]]

    def __call__(self, query: Candidates, count: int, rng: np.random.Generator) -> list[Negative]:
        return self.function(query, count, rng, **self.options)


def load_sampler(name: str, options: Mapping[str, object] | None = None) -> Sampler:
    """The sampler ``name`` with ``options``; :class:`InputError` for an unknown name, option or value."""
    options = dict(options or {})
    module = load_file(__name__, "sample", name, options)
    return Sampler(name, options, module.NEEDS_RANKINGS, module.NEEDS_TEACHER, module.sample)
