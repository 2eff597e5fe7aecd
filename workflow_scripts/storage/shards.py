"""Shards: stretches of one job's work that jobs of their own do, named "1-of-3" to "3-of-3"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from workflow_scripts.storage.errors import InputError

SHARD = r"\d+-of-\d+"


def shard_names(count: int) -> list[str]:
    """Names of so many shards, in order."""
    return [f"{number}-of-{count}" for number in range(1, count + 1)]


def check_whole(shards: Sequence[str]) -> None:
    """Raise :class:`InputError` unless these are all shards of a job's work, in order."""
    if list(shards) != shard_names(len(shards)):
        raise InputError(f"shards {', '.join(shards)} are not all of some work, in order: give 1-of-3, 2-of-3, 3-of-3")


def units_of(shard: str, units: int) -> range:
    """The stretch of ``units`` that a shard does; the shards' stretches are all units in order, of nearly one length.

    What is done with a unit must not depend on the others: then the results do not depend on the number of shards.
    """
    number, count = map(int, shard.split("-of-")) if re.fullmatch(SHARD, shard) else (0, 0)
    if not 1 <= number <= count:
        raise InputError(f"no shard {shard!r}: of three there are 1-of-3, 2-of-3 and 3-of-3")
    return range((number - 1) * units // count, number * units // count)
