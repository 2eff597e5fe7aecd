"""What an experiment compared and what came out, in sentences: made from its numbers, none stronger than its test."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from workflow_scripts.analysis.domains import ALL
from workflow_scripts.analysis.families import EQUIVALENT, UNDECIDED, FalseCalls
from workflow_scripts.analysis.power import MOST_SEEDS
from workflow_scripts.analysis.summaries import BM25, TEACHER
from workflow_scripts.presentation.verdict_notes import share

SEEDS = re.compile(r"\d+ seeds")
PLACE = ["claim", "teacher", "student", "domain"]
VERDICTS = ("supported", "contradicted", "undecided", "not testable here")


def compared(spec: Mapping) -> str:
    """What the experiment crossed, in one sentence; ``spec`` as :func:`make_report` has it."""
    kinds = ", ".join(f"{name}: {spec['kinds']['students'][name]}" for name in spec["students"])
    axes = [f"{_count(len(spec['students']), 'kind')} of student ({kinds})"]
    for axis, word in (("losses", "loss function"), ("samplers", "sampler"), ("teachers", "teacher")):
        axes.append(f"{_count(len(spec[axis]), word)} ({', '.join(spec[axis])})")
    number = len(spec["students"]) * len(spec["losses"]) * len(spec["samplers"]) * len(spec["teachers"])
    seeds = _count(len(spec["seeds"]), "seed")
    return (
        f"{number} ways to train a student: {' × '.join(axes)}. Each is trained with {seeds}, "
        f"sees {spec['documents']:,} documents, and re-ranks the first {spec['depth']} documents that "
        f"{spec['first_stage']} finds for a query."
    )


def generated(spec: Mapping) -> str:
    """The sentence that says which collections are of a generated language; empty where none is."""
    names = spec["generated"]
    if not names:
        return ""
    some = "All collections are" if set(names) == set(spec["collections"]) else f"Generated: {', '.join(names)} are"
    return f"{some} in a generated language: this shows what the machinery finds, and says nothing about English."


def outcomes(frames: Mapping[str, pd.DataFrame], calls: FalseCalls, spec: Mapping) -> list[str]:
    """Sentences on the claims, the pairs of samplers, BM25 and the teachers, and what is undecided.

    ``frames``: numbers by table: ``main``, and ``claims``, ``equivalence`` and ``power`` where there are; ``calls``: of
    the main table's pairs of samplers.
    """
    claims, measure = frames.get("claims"), spec["measure"]
    verdicts = None if claims is None else claims.drop_duplicates(PLACE)
    found = [] if verdicts is None else [_verdicts(verdicts)]
    found += [_pairs(calls, frames.get("equivalence"), measure), _references(frames["main"], spec)]
    found += [] if verdicts is None else _deciding(verdicts[verdicts["verdict"] == UNDECIDED])
    return found + _pairs_to_decide(frames.get("power"), measure)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 'es' if word.endswith('s') else 's'}"


def _verdicts(verdicts: pd.DataFrame) -> str:
    counts = verdicts["verdict"].value_counts().reindex(VERDICTS, fill_value=0)
    tally = [f"{count} {verdict}" for verdict, count in counts.items() if count or verdict in VERDICTS[:3]]
    claims, cases = verdicts["claim"].nunique(), len(verdicts)
    text = f"{claims} claims about distillation, judged in {cases} cases (by student and domain): {', '.join(tally)}."
    for verdict in VERDICTS[:2]:
        shown = [
            f"“{rows['sentence'].iloc[0].rstrip('.')}” ({(rows['verdict'] == verdict).sum()} of {len(rows)})"
            for _, rows in verdicts.groupby("claim", sort=False)
            if (rows["verdict"] == verdict).any()
        ]
        text += f" {verdict.capitalize()}: {'; '.join(shown)}." if shown else ""
    return text


def _pairs(calls: FalseCalls, equivalence: pd.DataFrame | None, measure: str) -> str:
    """How many pairs of samplers are called different, and what share of these calls may be false."""
    if not calls.tested:
        return f"No pair of samplers is tested in {measure}: nothing tells what training again would change."
    text = f"{calls.called} of {calls.tested} pairs of samplers (of one loss, student and domain) differ in {measure}"
    text += f"; at most {share(calls.bound)} of these calls are false" if calls.called else ""
    if equivalence is not None:
        counts = equivalence.loc[equivalence["measure"] == measure, "outcome"].value_counts()
        text += f"; {counts.get(EQUIVALENT, 0)} are equivalent and {counts.get(UNDECIDED, 0)} undecided"
    return f"{text}."


def _references(main: pd.DataFrame, spec: Mapping) -> str:
    """How many students of each kind have a higher mean than BM25, and than their teacher."""
    rows = main[(main["collection"] == ALL) & (main["measure"] == spec["measure"])]
    students = rows[rows["student"].isin(spec["students"])]
    bm25 = rows[rows["student"] == BM25].set_index("domain")["mean"]
    teachers = rows[rows["student"] == TEACHER].set_index(["domain", "teacher"])["mean"]
    own = pd.MultiIndex.from_frame(students[["domain", "teacher"]])
    above = {
        "BM25": students["mean"] > students["domain"].map(bm25).to_numpy(),
        "its teacher": students["mean"] > teachers.reindex(own).to_numpy(),
    }
    parts = [f"above {name}: {_above(students.assign(above=higher), spec)}" for name, higher in above.items()]
    return f"By their means, without a test, students stand {'; '.join(parts)}."


def _above(students: pd.DataFrame, spec: Mapping) -> str:
    if not students["above"].any():
        return "none"
    texts = []
    for domain, rows in students.groupby("domain", sort=False):
        counts = [(name, rows.loc[rows["student"] == name, "above"]) for name in spec["students"]]
        shown = [f"{'all' if own.all() else f'{own.sum()} of'} {len(own)} {name}" for name, own in counts if own.any()]
        texts.append(f"{domain} {' and '.join(shown) or 'none'}")
    return ", ".join(texts)


def _deciding(undecided: pd.DataFrame) -> list[str]:
    """What the undecided verdicts wait for, numbers of seeds taken together."""
    waiting = undecided["decided_by"].value_counts(sort=False)
    seeds = {int(text.split()[0]): count for text, count in waiting.items() if SEEDS.fullmatch(text)}
    texts = [f"{text} ({count})" for text, count in waiting.items() if not SEEDS.fullmatch(text)]
    if seeds:
        range_of = f"{min(seeds)} to " * (len(seeds) > 1) + str(max(seeds))
        texts.insert(0, f"{range_of} seeds ({sum(seeds.values())})")
    verdicts = _count(len(undecided), "verdict")
    return [f"Undecided: {verdicts}. What would decide them: {'; '.join(texts)}."] * bool(texts)


def _pairs_to_decide(power: pd.DataFrame | None, measure: str) -> list[str]:
    """How many of the undecided pairs of samplers a number of seeds would decide."""
    if power is None:
        return []
    pairs = power[(power["measure"] == measure) & (power["scope"] == "pair")]
    decided = f"{pairs['seeds_needed'].notna().sum()} would be decided by {MOST_SEEDS} seeds or fewer"
    return [f"Of {_count(len(pairs), 'undecided pair')} of samplers {decided}."] * bool(len(pairs))
