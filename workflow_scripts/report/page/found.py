"""What was found of each claim, in sentences of plain direction: made from the numbers that its verdicts rest on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from workflow_scripts.presentation.contrasts import contrast_in_words, directed
from workflow_scripts.presentation.layouts.claims import ROW, VERDICTS


@dataclass(frozen=True)
class Summary:
    """A claim in one row of the page's first table; ``verdicts``: word and count of each that there is."""

    name: str
    sentence: str
    verdicts: Sequence[tuple[str, int]]
    found: Sequence[str]


def summaries(numbers: pd.DataFrame, spec: Mapping, margin: float | None) -> list[Summary]:
    """A row for each claim of the claims table's ``numbers``; ``spec`` is what they were made by."""
    found, asked = [], {}
    for name, rows in numbers.groupby("claim", sort=False):
        counts = rows.drop_duplicates(ROW)["verdict"].value_counts()
        own = spec["claims"][name]
        parts = own.get("parts", [{}])
        texts, earlier = [], []
        for number, part in enumerate(parts):
            if str(part) in asked:
                earlier.append(asked[str(part)])
            else:
                texts += _of_part(rows[(rows["number"] == number) & rows["counts"]], part, own["test"], spec, margin)
        also = [f"What {', '.join(dict.fromkeys(earlier))} asks, and:"] if earlier and texts else []
        asked |= {str(part): str(name) for part in parts if part and str(part) not in asked}
        verdicts = [(word, int(counts[word])) for word in VERDICTS if word in counts]
        untested = rows.loc[rows["verdict"] == VERDICTS[3], "decided_by"]
        why = [f"Not testable: {untested.iloc[0]}."] if len(untested) else []
        found.append(Summary(str(name), rows["sentence"].iloc[0], verdicts, [*also, *texts, *why]))
    return found


def _of_part(rows: pd.DataFrame, part: Mapping, test: str, spec: Mapping, margin: float | None) -> Iterator[str]:
    """One sentence: where what is predicted is shown, where its opposite, and where neither."""
    rows, alpha = rows[rows["p"].notna()], spec["rule"]["difference_alpha"]
    if rows.empty:
        return
    shown = rows["p"] <= alpha
    against = ~shown & (rows["p_opposite_holm"] <= alpha)
    predicted, clauses = rows["predicted"].iloc[0], []
    for which, opposite in ((shown, False), (against, True)):
        # Words on a margin are of its side, whatever the sign of an estimate.
        above_0 = (rows["estimate"] > 0) & ("margin" not in predicted)
        for above, own in rows[which].groupby(above_0, sort=False):
            words = _words(part, test, predicted, above, opposite, margin)
            if "margin" in predicted:
                clauses.append(f"{words}{_share(own, rows, test)} ({_range(own['estimate'], signed=True)})")
            else:
                clauses.append(f"{words} by {_range(own['estimate'].abs())}{_share(own, rows, test)}")
    rest = rows[~shown & ~against]
    left = "undecided" if rows["p_opposite"].notna().any() else "not shown"
    if len(rest) == len(rows):
        name = contrast_in_words(part) if test in ("cells", "groups") else rows["part"].iloc[0]
        clauses = [f"{name}: {left}{_share(rest, rows, test)} ({_range(rows['estimate'], signed=True)})"]
    elif len(rest):
        clauses.append(f"{left} in {len(rest)} ({_range(rest['estimate'], signed=True)})")
    yield "; ".join(clauses)


def _share(own: pd.DataFrame, rows: pd.DataFrame, test: str) -> str:
    """In how many of the rows; empty where there is one."""
    cases = "places" if test in ("cells", "factorial") else "cases"
    every = "both" if len(rows) == 2 else f"all {len(rows)}"
    count = every if len(own) == len(rows) else f"{len(own)} of {len(rows)}"
    return f" in {count} {cases}" if len(rows) > 1 else ""


def _words(part: Mapping, test: str, predicted: str, above: bool, opposite: bool, margin: float | None) -> str:
    """What is shown where a part (or its opposite) is, as a direction."""
    within = "the margin" if margin is None else f"{margin:g}"
    if test == "curves":
        return f"held-out error of the power law {'larger' if above else 'smaller'} than its rival's"
    if test == "runs":
        return f"{part['quantity']} {'rises' if above else 'falls'} with {part['along']}"
    if test == "factorial":
        return f"an interaction {'beyond' if opposite else 'within'} its margin"
    if "margin" not in predicted:
        return directed(part, above)
    if predicted == "within margin":
        return f"{contrast_in_words(part)} {'beyond' if opposite else 'within'} ±{within}"
    # The side on which the margin lies, whatever the sign of the estimate.
    words = directed(part, predicted == "not above margin", f"{'more than' if opposite else 'at most'} {within}")
    return f"{words} and cheaper" if part["cheaper"] and not opposite else words


def _range(values: pd.Series, *, signed: bool = False) -> str:
    """Smallest and largest of values, to two significant digits; adding 0 takes the sign from a -0."""
    sign = "+" if signed else ""
    ends = (float(f"{value:.2g}") + 0.0 for value in (values.min(), values.max()))
    return " to ".join(dict.fromkeys(f"{value:{sign}g}".replace("-", "−") for value in ends))
