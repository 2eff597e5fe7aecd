"""A claim's part in words: the contrast that it speaks of, and what it means where it lies above or below 0."""

from __future__ import annotations

from collections.abc import Mapping

FACTORS = ("samplers", "cuts", "losses", "domains")
"""What is compared first, then where."""
PLACES = {
    **{"distilling": "under distillation", "contrastive": "under contrastive losses"},
    **{"in-domain": "in-domain", "out-of-domain": "out-of-domain"},
}
NAMES = {"hard": "hard negatives", "each-hard": "hard samplers"}
"""Groups of names in words."""


def contrast_in_words(part: Mapping) -> str:
    """``hard minus random under distillation``; of two comparisons ``(a minus b) here, less the same there``."""
    inner, outer, places = _taken_apart(part)
    text = _terms(part[inner]) if inner else ""
    if outer:
        above, below = _pair(part[outer])
        text = f"({text}) {_placed(outer, above)}, less the same {_placed(outer, below)}"
    elif inner is None:
        text, places = "; ".join(_terms(part[name]) for name in FACTORS if name in part), ""
    return f"{text} {places}".strip()


def directed(part: Mapping, above: bool, by: str = "") -> str:
    """What it means that the contrast is above 0 (or below): ``under distillation, hard negatives better than random``.

    Of a quantity of groups: ``entropy of hard samplers above that of random``. ``by`` precedes "better" or "worse".
    """
    inner, outer, places = _taken_apart(part)
    pair = _pair(part[inner]) if inner else None
    if pair is None:
        return f"{contrast_in_words(part)} {f'{by} ' if by else ''}{'above' if above else 'below'} 0"
    one, other = (NAMES.get(name, name) for name in pair)
    if "quantity" in part:
        # Of two terms the second's size is a factor: a - 1.25 b is below 0 where a is less than 1.25 times b.
        size = -part[inner][pair[1]]
        times = "that of" if size == 1 else f"{size:g} times that of"
        text = f"{part['quantity']} of {one} {'above' if above else 'below'} {times} {other}"
    elif outer:
        here, there = _pair(part[outer])
        comparison = f"{_placed(outer, here)} than {_placed(outer, there)}"
        text = f"{one} gain{'' if pair[0] in NAMES else 's'} {'more' if above else 'less'} over {other} {comparison}"
    else:
        text = f"{one} {f'{by} ' if by else ''}{'better' if above else 'worse'} than {other}"
    return f"{places}, {text}" if places else text


def _taken_apart(part: Mapping) -> tuple[str | None, str | None, str]:
    """The factor that is compared, that in which the comparison is compared, and in words where both are.

    None for the first where the part is no such thing.
    """
    compared = [name for name in FACTORS if name in part and min(part[name].values()) < 0]
    where = [_placed(name, _terms(part[name])) for name in FACTORS if name in part and name not in compared]
    if len(compared) == 1:
        return compared[0], None, " ".join(where)
    if len(compared) == 2 and sorted(part[compared[1]].values()) == [-1, 1]:
        return compared[0], compared[1], " ".join(where)
    return None, None, ""


def _pair(factor: Mapping[str, float]) -> tuple[str, str] | None:
    """The name whose coefficient is 1 and that whose is negative; None for anything else."""
    one = [name for name, value in factor.items() if value == 1]
    other = [name for name, value in factor.items() if value < 0]
    return (one[0], other[0]) if len(factor) == 2 and one and other else None


def _placed(axis: str, name: str) -> str:
    words = {"losses": "under", "samplers": "with"}.get(axis, "on")
    return PLACES.get(name, f"{words} {name}")


def _terms(factor: Mapping[str, float]) -> str:
    """``ensemble minus 1.25 random`` of coefficients, the largest first."""
    text = ""
    for name, coefficient in sorted(factor.items(), key=lambda item: -item[1]):
        size = "" if abs(coefficient) == 1 else f"{abs(coefficient):g} "
        sign = ("minus " if coefficient < 0 else "") if not text else (" minus " if coefficient < 0 else " plus ")
        text += f"{sign}{size}{name}"
    return text
