"""Make the training table: the same samplers on several training collections, as CSV, Markdown, LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from workflow_scripts.analysis.domains import ALL, Domain, parse_domains
from workflow_scripts.analysis.equivalence import BLOCK, Rule, compare_samplers
from workflow_scripts.analysis.intervals import with_intervals
from workflow_scripts.analysis.measures import collection_means, parse_measures
from workflow_scripts.analysis.paired import MARKS, holm
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import BM25, TEACHER, Grid, Means, reference_label, summarise
from workflow_scripts.presentation.table_files import write_tables
from workflow_scripts.presentation.table_formats import Cell, TextTable, format_value
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.studies.scopes import stack_scopes

COLUMNS = (
    *("scope", "student", "loss", "sampler", "function", "teacher", "training", "training_b", "domain", "measure"),
    *("value", "std_seed", "ci_low", "ci_high", "p_difference_holm", "p_equivalence_holm", "outcome"),
    *("n_seeds", "n_queries"),
)


class Training:
    """Which sampler draws by which function from which training collection, both in the order of the spec."""

    def __init__(self, spec: Mapping) -> None:
        self.of: dict[str, tuple[str, str]] = {}  # sampler -> (collection, function)
        self.samplers: dict[tuple[str, str], str] = {}
        for sampler in spec["samplers"]:
            if sampler not in spec["trained_on"]:
                raise InputError(f"trained_on lacks the sampler {sampler}: name its collection and function")
            of = spec["trained_on"][sampler]
            # As in the config, no collection of its own is the experiment's.
            key = (of["collection"] or spec.get("training"), of["function"])
            if key[0] is None:
                raise InputError(f"{sampler} has no collection: give the training collection's id as training")
            if key in self.samplers:
                raise InputError(f"{self.samplers[key]} and {sampler} are both {key[1]} on {key[0]}: list one of them")
            self.of[sampler], self.samplers[key] = key, sampler
        found = dict.fromkeys(collection for collection, _ in self.samplers)
        self.collections = list(spec.get("collections") or found)
        if set(self.collections) != set(found):
            raise InputError(
                f"the spec's collections are {self.collections}, the samplers' {list(found)}: list the same"
            )
        self.functions = list(dict.fromkeys(function for _, function in self.samplers))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every two collections, the later one first: a difference is the later's value less the earlier's."""
        return [pair[::-1] for pair in combinations(self.collections, 2)]


def make_training_table(
    *,
    spec: Mapping,
    metrics: Path,
    collections: Sequence[Path] | None = None,
    csv: Path,
    md: Path,
    tex: Path,
) -> pd.DataFrame:
    """Write the table three times and return its rows; what ``value`` is depends on ``scope``:

    - ``queries``, ``positives``: of a training collection, its queries, and its judged positives a query;
    - ``reference``, ``student``: effectiveness on a domain, mean over seeds, bootstrap interval over queries;
    - ``difference``: paired, trained on ``training`` less on ``training_b``, with its interval (not corrected).

    ``spec``: the axes of the study (students, losses, samplers, teachers, seeds), ``trained_on`` (sampler to
    {collection, function}, a null collection being the one called ``training``), ``domains``, ``measures``,
    ``bootstrap``, ``rule`` (the fields of :class:`~workflow_scripts.analysis.equivalence.Rule`), ``shared`` (training
    collection to the test collections over its corpus), ``teacher_collections`` (teacher to the collection that it was
    trained on, without those of which that is not known) and, where ``collections`` are given, their ids under
    ``collections`` in that order. The Markdown and the LaTeX hold the first measure.
    """
    grid, rule, domains, training = Grid.of(spec), Rule(**spec["rule"]), parse_domains(spec["domains"]), Training(spec)
    measures = [str(measure) for measure in parse_measures(spec["measures"])]
    values = QueryValues(metrics, measures)
    means = summarise(Means(collection_means(metrics)), grid, domains, measures)
    means = with_intervals(means, values, grid, domains, spec["bootstrap"])
    frames = {
        **_densities(training, collections or []),
        **_effectiveness(means, training),
        "difference": _differences(values, grid, domains, measures, rule, training),
    }
    table = stack_scopes(frames, COLUMNS, [*COLUMNS[:10], "outcome"])
    shown = table[table["measure"].isin(["", measures[0]])]
    text = _text_table(shown, grid, domains, training)
    caption = f"{_caption(shown, grid, rule, measures[0], training)} {_confounds(spec, grid, domains, training)}\n"
    # Six digits, not decimals: a p-value of 1e-9 is not 0.
    write_tables(table, text, caption, csv=csv, md=md, tex=tex, float_format="%.6g")
    return table


def _densities(training: Training, manifests: Sequence[str | Path]) -> dict[str, pd.DataFrame]:
    """Queries and positives a query of each training collection; nothing without manifests."""
    if manifests and len(manifests) != len(training.collections):
        raise InputError("give as many --collections as the spec's collections, in the same order")
    queries, density = [], []
    for manifest in manifests:
        artifact = Artifact(manifest)
        queries.append(pq.read_metadata(artifact.file("queries.parquet")).num_rows)
        if not queries[-1]:
            raise InputError(f"{manifest} has no queries: make the collection again")
        density.append(pq.read_metadata(artifact.file("positives.parquet")).num_rows / queries[-1])
    columns = {"queries": queries, "positives": density} if manifests else {}
    return {
        scope: pd.DataFrame({"training": training.collections, "value": values}) for scope, values in columns.items()
    }


def _effectiveness(means: pd.DataFrame, training: Training) -> dict[str, pd.DataFrame]:
    rows = means[means["collection"] == ALL].rename(columns={"mean": "value"})
    places = pd.DataFrame([training.of.get(sampler, ("", "")) for sampler in rows["sampler"]], index=rows.index)
    rows = rows.assign(training=places[0], function=places[1])
    reference = rows["student"].isin([BM25, TEACHER])
    return {"reference": rows[reference], "student": rows[~reference]}


def _differences(
    values: QueryValues, grid: Grid, domains: Sequence[Domain], measures: Sequence[str], rule: Rule, training: Training
) -> pd.DataFrame:
    """Each function's students on every two collections; Holm over the functions (and pairs) of a BLOCK."""
    frames = []
    for function in training.functions:
        pairs = [pair for pair in training.pairs if all((name, function) in training.samplers for name in pair)]
        for pair in pairs:
            samplers = [training.samplers[name, function] for name in pair]
            two = Grid(grid.students, grid.losses, samplers, grid.teachers, grid.seeds)
            found = compare_samplers(values, two, domains, measures, rule)
            frames.append(found.assign(function=function, training=pair[0], training_b=pair[1]))
    if not frames:
        return pd.DataFrame()
    table = pd.concat(frames).reset_index(drop=True)
    for name in ("p_difference", "p_equivalence"):
        table[f"{name}_holm"] = table.groupby(list(BLOCK), sort=False)[name].transform(holm)
    table["outcome"] = rule.verdicts(table["p_difference_holm"], table["p_equivalence_holm"])
    return table.rename(columns={"mean_difference": "value"})


def _text_table(rows: pd.DataFrame, grid: Grid, domains: Sequence[Domain], training: Training) -> TextTable:
    """Collections, references, then loss x function (x teacher) down; domain x student x collection across."""
    several = len(grid.teachers) > 1
    columns = [*((name,) for name in training.collections), *training.pairs]
    headers = [name[0] if len(name) == 1 else f"{name[0]} less {name[1]}" for name in columns]
    blocks = [(domain.name, student) for domain in domains for student in grid.students]
    keys = ["scope", "student", "loss", "function", "teacher", "domain", "training", "training_b"]
    found = {tuple(row[:8]): row for row in rows[[*keys, "value", "std_seed", "ci_low", "ci_high", "outcome"]].values}

    def line(scope: str, loss: str = "", function: str = "", teacher: str = "") -> list[Cell]:
        return [
            _cell(found.get((_scope(scope, names), student, loss, function, teacher, domain, *_padded(names))))
            for domain, student in blocks
            for names in columns
        ]

    sections = [
        _collection_lines(found, training, len(blocks), several),
        _reference_lines(found, grid, columns, blocks),
    ]
    for loss in grid.losses:
        labels = [(loss, function, teacher) for function in training.functions for teacher in grid.teachers]
        sections.append([(label if several else label[:2], line("student", *label)) for label in labels])
    spans = [(f"{domain} {student}", headers) for domain, student in blocks]
    names = ("loss", "sampler", "teacher") if several else ("loss", "sampler")
    return TextTable(names, spans, [section for section in sections if section])


def _scope(scope: str, names: Sequence[str]) -> str:
    return scope if len(names) == 1 else "difference"


def _padded(names: Sequence[str]) -> tuple[str, str]:
    return (names[0], names[1] if len(names) > 1 else "")


def _cell(row: Sequence | None) -> Cell:
    if row is None:
        return Cell("")
    value, std_seed, low, high, verdict = row[8:]
    if verdict:
        return Cell(f"{value:+.3f} [{low:+.3f}, {high:+.3f}] {MARKS[verdict]}")
    return Cell(format_value(value, std_seed))


def _collection_lines(found: Mapping, training: Training, blocks: int, several: bool) -> list:
    """Queries and positives a query above each block's collections; nothing where no manifests were given."""
    lines = []
    for scope, label, form in (("queries", "training queries", ",.0f"), ("positives", "positives a query", ".2f")):
        values = [found.get((scope, "", "", "", "", "", name, "")) for name in training.collections]
        if all(value is not None for value in values):
            cells = [*(Cell(format(value[8], form)) for value in values), *[Cell("")] * len(training.pairs)]
            lines.append(((label, "", "") if several else (label, ""), cells * blocks))
    return lines


def _reference_lines(found: Mapping, grid: Grid, columns: Sequence, blocks: Sequence[tuple[str, str]]) -> list:
    """BM25 and the teachers, which are the same whatever the students were trained on: in each block's first column."""
    lines = []
    for ranker in grid.references:
        cells = []
        for domain, _ in blocks:
            row = found["reference", ranker[0], "", "", ranker[3], domain, "", ""]
            cells += [_cell(row), *[Cell("")] * (len(columns) - 1)]
        lines.append((reference_label(ranker, len(grid.teachers) > 1), cells))
    return lines


def _caption(rows: pd.DataFrame, grid: Grid, rule: Rule, measure: str, training: Training) -> str:
    counts = rows.loc[rows["scope"] == "difference", "outcome"].value_counts()
    told = ", ".join(f"{counts.get(name, 0)} {name} ({mark})" for name, mark in MARKS.items())
    lone = [
        function
        for function in training.functions
        if sum((name, function) in training.samplers for name in training.collections) < 2
    ]
    alone = f" On one collection only, so without a difference: {', '.join(lone)}." if lone else ""
    margin = f"{rule.margin:g}" if rule.margin_of == "absolute" else f"{rule.margin:g} of BM25's {measure}"
    seeds = (
        f"{len(grid.seeds)} seeds a student: mean ± standard deviation over them"
        if len(grid.seeds) > 1
        else "One seed a student: another training run may differ"
    )
    return (
        f"{measure} by training collection, samplers by function. {seeds}; intervals of the means (over queries) are "
        f"in the CSV. Differences are paired over the same test queries, with their {100 * rule.confidence:g}% "
        f"interval, each by itself: {told} of {counts.sum()}; equivalent is within ±{margin} (alpha {rule.alpha:g}), "
        f"different has alpha {rule.difference_alpha:g}, both Holm-corrected over the samplers of a loss, student and "
        f"domain; the tests are over queries.{alone} BM25 and the teacher do not depend on the students' training "
        "collection. Collections differ in more than how densely they are judged (topics, wording, number of "
        "queries), so a difference is not shown to come from the judgements."
    )


def _confounds(spec: Mapping, grid: Grid, domains: Sequence[Domain], training: Training) -> str:
    """What else differs between the training collections: whose domain a test, a teacher is in; options."""
    tested = {name for domain in domains for name in domain.collections}
    own = {name: [test for test in spec["shared"].get(name, ()) if test in tested] for name in training.collections}
    shared = "; ".join(f"{', '.join(tests)} (of {name})" for name, tests in own.items() if tests)
    told = [
        "A test collection over a training collection's corpus is in-domain for the students trained on that one, "
        f"whatever its domain is called: {shared}."
    ] * bool(shared)
    for teacher in grid.teachers:
        known = spec["teacher_collections"].get(teacher)
        others = [name for name in training.collections if name != known]
        if known is None:
            told.append(
                f"What the teacher {teacher} was trained on is not recorded: some of its labels may be out of its "
                "domain."
            )
        elif others:
            told.append(
                f"The teacher {teacher} was trained on {known}, so its labels of {', '.join(others)} are out of its "
                "domain."
            )
    told.append("Samplers are matched by function alone: their options are not compared and may differ.")
    return " ".join(told)


if __name__ == "__main__":
    run(make_training_table)
