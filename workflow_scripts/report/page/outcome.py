"""What an experiment compared and what came out, in sentences: made from its numbers, none stronger than its test."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from workflow_scripts.analysis.degrees import LEAST_DEGREES, student_degrees, training_is_told
from workflow_scripts.analysis.families import EQUIVALENT, UNDECIDED, FalseCalls
from workflow_scripts.analysis.power import MOST_SEEDS
from workflow_scripts.analysis.summaries import BM25, TEACHER, whole_domains
from workflow_scripts.presentation.layouts.claims import ROW, VERDICTS
from workflow_scripts.presentation.verdict_notes import share

SEEDS = re.compile(r"(\d+) seeds")


@dataclass(frozen=True)
class Outcome:
    """A sentence, and the name and anchor of where on the page more is said; empty where nothing is."""

    text: str
    link: str = ""
    anchor: str = ""


def compared(spec: Mapping, teaching: Collection[str]) -> str:
    """What the experiment crossed; ``spec`` as :func:`make_report` has it, ``teaching``: losses that read a teacher."""
    kinds = ", ".join(f"{name}: {spec['kinds']['students'][name]}" for name in spec["students"])
    losses: dict[str, list[str]] = {"contrastive": [], "distilling": []}
    samplers: dict[str, list[str]] = {"of the whole corpus": [], "hard": []}
    for name in spec["losses"]:
        losses["distilling" if name in teaching else "contrastive"].append(name)
    for name in spec["samplers"]:
        samplers["of the whole corpus" if spec["kinds"]["samplers"][name] == "random" else "hard"].append(name)
    axes = [f"{_count(len(spec['students']), 'kind')} of student ({kinds})"]
    axes += [f"{_count(len(spec['losses']), 'loss function')} ({_kinds(losses)})"]
    axes += [f"{_count(len(spec['samplers']), 'sampler')} of negatives ({_kinds(samplers)})"]
    axes += [f"{_count(len(spec['teachers']), 'teacher')} ({', '.join(spec['teachers'])})"]
    number = len(spec["students"]) * len(spec["losses"]) * len(spec["samplers"]) * len(spec["teachers"])
    documents = {name: f"{documents:,}" for name, documents in spec["documents"].items()}
    return (
        f"{number} ways to train a student: {' × '.join(axes)}. Each starts from {_of_each(spec['models'])}, sees "
        f"{_of_each(documents)} documents, and re-ranks the first {spec['depth']} documents that {spec['first_stage']} "
        "finds for a query."
    )


def _of_each(texts: Mapping[str, str]) -> str:
    """What all names have alike, or each text with the names that have it: ``6,400 (a, b) or 12,800 (c)``."""
    names: dict[str, list[str]] = {}
    for name, text in texts.items():
        names.setdefault(text, []).append(name)
    return (
        next(iter(names)) if len(names) == 1 else " or ".join(f"{text} ({', '.join(of)})" for text, of in names.items())
    )


def _kinds(of: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in of.items() if names)


def trained_again(controls: Sequence[Mapping], spec: Mapping) -> str:
    """How often each student was trained, and what tells what training again changes; ``controls``: cells and seeds."""
    if len(spec["seeds"]) > 1:
        return (
            f"Each student was trained with {len(spec['seeds'])} seeds: their spread tells what training again changes."
        )
    if not controls:
        return "Each student was trained once, so nothing tells what training again would change."
    samplers = list(dict.fromkeys(control["sampler"] for control in controls))
    further = sorted({len(control["seeds"]) - 1 for control in controls})
    times = f"{' to '.join(map(str, dict.fromkeys((further[0], further[-1]))))} more time{'s' * (further[-1] > 1)}"
    tell = "their spread tells what training again changes"
    if not training_is_told(spec["seeds"], controls):
        most = max(student_degrees(controls).values())
        tell = f"too few to tell what that changes ({most} further trainings of a kind of student, of {LEAST_DEGREES})"
    return (
        f"Each student was trained once. {len(controls)} of them, the controls (those with the sampler"
        f"{'s' * (len(samplers) > 1)} {' and '.join(samplers)}), were trained {times}: {tell}."
    )


def alone(seeds: int) -> str:
    """What command the page has for a number: of a mean over ``seeds`` trainings one makes a part."""
    what = "it" if seeds == 1 else f"one of its {seeds} trainings"
    return f"the command that makes {what} alone"


def generated(spec: Mapping) -> str:
    """The sentence that says which collections are of a generated language; empty where none is."""
    names = spec["generated"]
    if not names:
        return ""
    some = "All collections are" if set(names) == set(spec["collections"]) else f"Generated: {', '.join(names)} are"
    return f"{some} in a generated language: this shows what the machinery finds, and says nothing about English."


def outcomes(
    frames: Mapping[str, pd.DataFrame], calls: FalseCalls, controls: Sequence[Mapping], spec: Mapping
) -> list[Outcome]:
    """Sentences on the verdicts, the pairs of samplers, what could have been found, BM25 and the teachers.

    ``frames``: numbers by table: ``main``, and ``claims``, ``equivalence`` and ``power`` where there are; ``calls``: of
    the main table's pairs of samplers; ``controls``: see :func:`trained_again`.
    """
    measure, power = spec["measure"], frames.get("power")
    power = None if power is None else power[power["measure"] == measure]
    found = [_verdicts(frames["claims"].drop_duplicates(ROW))] if "claims" in frames else []
    untested = None if calls.tested else _untested(controls, spec)
    found.append(untested or _pairs(calls, frames.get("equivalence"), power, measure))
    found += [] if power is None else _detectable(power, measure)
    return [*found, Outcome(_references(frames["main"], spec))]


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 'es' if word.endswith('s') else 's'}"


def _verdicts(verdicts: pd.DataFrame) -> Outcome:
    """How many verdicts of each kind, and what the undecided ones wait for."""
    counts = verdicts["verdict"].value_counts().reindex(VERDICTS, fill_value=0)
    tally = [f"{count} {verdict}" for verdict, count in counts.items() if count or verdict in VERDICTS[:3]]
    claims = _count(verdicts["claim"].nunique(), "claim")
    text = f"{claims}, {_count(len(verdicts), 'verdict')}: {', '.join(tally)}."
    undecided = verdicts.loc[verdicts["verdict"] == UNDECIDED, "decided_by"]
    seeds = [int(found[1]) for name in undecided if (found := SEEDS.match(name))]
    needs = [f"{name} ({count})" for name, count in undecided.value_counts().items() if not SEEDS.match(name)]
    if seeds:
        range_of = " to ".join(map(str, dict.fromkeys((min(seeds), max(seeds)))))
        needs.insert(0, f"{range_of} seeds ({len(seeds)})")
    text += f" What would decide the undecided: {'; '.join(needs)}." if needs else ""
    return Outcome(text, "every claim", "claims")


def _untested(controls: Sequence[Mapping], spec: Mapping) -> Outcome:
    """Why no pair of samplers is tested."""
    if len(spec["samplers"]) == 1:
        return Outcome("The experiment has one sampler: there are no pairs of samplers to compare.")
    why = "nothing tells what training again would change"
    if training_is_told(spec["seeds"], controls):
        why = "no two of them differ on any query"
    return Outcome(f"No pair of samplers is tested in {spec['measure']}: {why}.")


def _pairs(calls: FalseCalls, equivalence: pd.DataFrame | None, power: pd.DataFrame | None, measure: str) -> Outcome:
    """How many pairs of samplers are called different, how many of these calls chance may explain, and the rest."""
    text = f"Apart from the claims, {calls.tested} pairs of samplers (of one loss, student and domain) were compared"
    text += f" in {measure}: {calls.called} differ"
    text += f" (estimated share of false calls: up to {share(calls.bound)})" if calls.called else ""
    if equivalence is not None:
        counts = equivalence.loc[equivalence["measure"] == measure, "outcome"].value_counts()
        text += f", {counts.get(EQUIVALENT, 0)} are equivalent, {counts.get(UNDECIDED, 0)} undecided"
        pairs = power if power is None else power[power["scope"] == "pair"]
        if pairs is not None and len(pairs):
            decided = pairs["seeds_needed"].notna().sum()
            text += f" ({MOST_SEEDS} seeds or fewer would decide {decided} of these, more queries the others)"
    return Outcome(f"{text}.", "false calls", "false-calls") if calls.called else Outcome(f"{text}.")


def _detectable(power: pd.DataFrame, measure: str) -> list[Outcome]:
    """The smallest difference that this design finds, and the margin within which it shows equivalence."""
    own = power[(power["scope"] == "block") & power["is_own"].fillna(False).astype(bool)]
    if own.empty:
        return []
    difference, margin = (own[f"{name}_family"].median() for name in ("difference", "margin"))
    text = (
        f"Smallest difference of two samplers under one loss that is found in four cases of five: {difference:.3f} in "
        f"{measure} (claims, over means of samplers and losses, find smaller ones); "
        f"smallest margin within which two equal ones are shown to be equivalent: {margin:.3f} (medians)."
    )
    return [Outcome(text, "power", "table-power")]


def _references(main: pd.DataFrame, spec: Mapping) -> str:
    """How many students of each kind have a higher mean than BM25, and than their teacher."""
    rows = whole_domains(main, spec["measure"])
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
