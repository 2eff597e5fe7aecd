"""Samplers of negatives, one a file, found by name.

A sampler file holds ``NEEDS_RANKINGS`` and ``NEEDS_TEACHER`` (does it read rankings? teacher scores?), ``OPTIONS`` (its
options, described as in :mod:`workflow_scripts.experiment.options`) and a function::

    sample(query, count, rng, *, option, option=default, ...) -> list of ``count`` Negatives

with ``query`` the :class:`~workflow_scripts.mine.candidates.Candidates` of one query and ``rng`` a generator seeded
by (seed, query id) alone. It never draws a positive of the query, nor what is spared (``query.listed`` and the drawing
functions leave that out), draws without replacement and by ``rng`` alone, and gives each document its inclusion
probability. Options are keyword-only; their values are checked before the function is called, what it returns
afterwards. Adding a sampler is adding its file.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow_scripts.experiment.options import load_file
from workflow_scripts.mine.candidates import Candidates, Negative
from workflow_scripts.storage.errors import InputError, one_line, raise_shortage
from workflow_scripts.storage.text_files import shown


@dataclass(frozen=True)
class Sampler:
    """A sampler with its options bound; call it with a query's candidates, the number to draw and a generator."""

    name: str
    options: Mapping[str, object]
    needs_rankings: bool
    needs_teacher: bool
    function: Callable[..., list[Negative]]

    def __call__(self, query: Candidates, count: int, rng: np.random.Generator) -> list[Negative]:
        """``count`` different negatives; :class:`InputError` names the sampler that raises or returns anything else."""
        try:
            drawn = self.function(query, count, rng, **self.options)
        except InputError:
            raise
        except Exception as error:
            raise_shortage(error)
            line = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(line.filename).name}, line {line.lineno}"
            did = f"raised {type(error).__name__} in {place} ({one_line(error)})"
            raise self.broken(query, did, "return negatives") from error
        for did, must in _faults(drawn, query, count):
            raise self.broken(query, f"returned {did}", must)
        return list(drawn)

    def broken(self, query: Candidates, did: str, must: str) -> InputError:
        """The error for a sampler that breaks its contract: the file, the function, what it did, what it must."""
        place = f"sampler {self.name} (mine/samplers/{self.name}.py, function sample)"
        return InputError(f"{place} {did} for query {query.query_id}; it must {must}")


def _faults(drawn: object, query: Candidates, count: int) -> Iterator[tuple[str, str]]:
    """What a sampler returned, and what it must instead, where these differ."""
    if not isinstance(drawn, list | tuple) or not all(isinstance(each, Negative) for each in drawn):
        yield shown(drawn), "return a list of Negatives"
        return
    for each in drawn:
        chance = 1 if each.probability is None else each.probability
        if not isinstance(each.doc_id, str) or not isinstance(each.source, str) or not 0 < chance <= 1:
            yield shown(each), "give an id, a source and a probability above 0 and at most 1"
    times = Counter(each.doc_id for each in drawn)
    yield from ((f"document {document} twice", "draw without replacement") for document in times if times[document] > 1)
    for what, documents in (("positive", query.positives), ("spared document", query.spared)):
        yield from ((f"the {what} {each}", f"leave {what}s out") for each in times if each in documents)
    if len(drawn) != count:
        yield f"{len(drawn)} negatives", f"return {count}"


def load_sampler(name: str, options: Mapping[str, object] | None = None) -> Sampler:
    """The sampler ``name`` with ``options``; :class:`InputError` for an unknown name, option or value."""
    options = dict(options or {})
    module = load_file(__name__, "sample", name, options)
    return Sampler(name, options, module.NEEDS_RANKINGS, module.NEEDS_TEACHER, module.sample)
