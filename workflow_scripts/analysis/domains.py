"""Domains: named groups of evaluation collections, and what a mean over one weighs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

ALL = "all"
"""Stands for a domain as a whole in the ``collection`` column; no collection may be called so."""


@dataclass(frozen=True)
class Domain:
    """A domain's members in order. A member is a name and its collections: itself, or the parts of a set.

    A set (CQADupStack's twelve subforums) counts as one member of the domain, whatever its number of parts.
    """

    name: str
    members: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def collections(self) -> tuple[str, ...]:
        """Every collection of the domain, in order."""
        return tuple(chain.from_iterable(parts for _, parts in self.members))

    @property
    def sets(self) -> dict[str, tuple[str, ...]]:
        """The members that are sets of collections."""
        return {name: parts for name, parts in self.members if parts != (name,)}

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each collection's mean in the domain's: 1 / (members x parts of its member); they sum to 1."""
        return {part: 1 / (len(self.members) * len(parts)) for _, parts in self.members for part in parts}


def parse_domains(domains: Mapping[str, Sequence] | Sequence[Mapping]) -> list[Domain]:
    """Domains as ``{name: [collection, ...]}``, or as ``[{"name", "collections"}, ...]`` where order matters.

    An entry of the collections is a name, or a set ``{"name", "collections"}``.
    """
    entries = (
        domains.items() if isinstance(domains, Mapping) else [(each["name"], each["collections"]) for each in domains]
    )
    return [Domain(name, tuple(map(_member, collections))) for name, collections in entries]


def _member(entry: str | Mapping) -> tuple[str, tuple[str, ...]]:
    return (entry, (entry,)) if isinstance(entry, str) else (entry["name"], tuple(entry["collections"]))
