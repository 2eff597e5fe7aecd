"""Compact letter display: which of several items differ, in superscripts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from string import ascii_letters

from workflow_scripts.storage.errors import InputError


def compact_letters(items: Sequence[str], different: Collection[tuple[str, str]]) -> dict[str, str]:
    """Letters of each item such that two items share a letter exactly where their pair is not in ``different``.

    Insert and absorb (Piepho 2004): begin with one group of all items. For each different pair, split every group that
    holds both into one without the first and one without the second, then drop groups that lie within another. What is
    left are the maximal groups without a different pair. Groups are lettered in the order of their members in
    ``items``: give the best item first and it gets an a.
    """
    place = {item: index for index, item in enumerate(items)}
    groups = [frozenset(items)]
    for pair in different:
        split: dict[frozenset[str], None] = {}
        for group in groups:
            split |= dict.fromkeys([group - {one} for one in pair] if group >= set(pair) else [group])
        unique = list(split)
        groups = [group for group in unique if not any(group < other for other in unique)]
    if len(groups) > len(ascii_letters):
        raise InputError(f"the comparisons need {len(groups)} letters, {len(ascii_letters)} exist: compare fewer items")
    groups.sort(key=lambda group: sorted(place[item] for item in group))
    lettered = list(zip(ascii_letters, groups, strict=False))
    return {item: "".join(letter for letter, group in lettered if item in group) for item in items}
