"""Domains: named groups of evaluation collections, and what a mean over one weighs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from workflow_scripts.storage.errors import InputError

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

    An entry of the collections is a name, or a set ``{"name", "collections"}``. Raises :class:`InputError` for a domain
    without collections, a name given twice, and the reserved name ``all``.
    """
    entries = domains.items() if isinstance(domains, Mapping) else [_named(entry) for entry in domains]
    parsed = []
    for name, collections in entries:
        members = []
        for entry in collections:
            member, parts = (entry, (entry,)) if isinstance(entry, str) else _named(entry)
            members.append((member, tuple(parts)))
        domain = Domain(name, tuple(members))
        _check(domain)
        parsed.append(domain)
    names = [domain.name for domain in parsed]
    if not names or len(set(names)) < len(names):
        raise InputError(f"domains need at least one, each with a name of its own: got {names}")
    return parsed


def _named(entry: Mapping) -> tuple[str, Sequence]:
    try:
        return entry["name"], entry["collections"]
    except (KeyError, TypeError):
        raise InputError(f'{entry!r} is neither a collection nor {{"name": ..., "collections": [...]}}') from None


def _check(domain: Domain) -> None:
    names = [*domain.collections, *domain.sets]
    if not domain.collections or any(not parts for _, parts in domain.members):
        raise InputError(f"the domain {domain.name!r} (or a set in it) has no collections: list at least one")
    for name in names:
        if not isinstance(name, str) or name == ALL or names.count(name) > 1:
            raise InputError(
                f"the domain {domain.name!r} cannot hold {name!r}: names are texts, each once, none is {ALL!r}"
            )
