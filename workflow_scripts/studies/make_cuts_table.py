"""Make the table of entropy cuts: training on a part of the queries against training on all, CSV, Markdown, LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import ALL, parse_domains
from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.analysis.intervals import with_intervals
from workflow_scripts.analysis.measures import collection_means, parse_measures
from workflow_scripts.analysis.paired import MARKS
from workflow_scripts.analysis.query_values import QueryValues, Ranker
from workflow_scripts.analysis.summaries import Grid, Means, summarise
from workflow_scripts.presentation.table_files import write_tables
from workflow_scripts.presentation.table_formats import Cell, TextTable, format_value
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.studies.cut_cells import CELL, UNCUT, compare_cuts, derived_samplers, kept_queries

COLUMNS = (
    *CELL,
    "groups",
    "share",
    "entropy",
    "mean",
    "ci_low",
    "ci_high",
    "std_seed",
    "n_seeds",
    "n_queries",
    "difference",
    "difference_low",
    "difference_high",
    "margin",
    "p_difference",
    "p_equivalence",
    "p_difference_holm",
    "p_equivalence_holm",
    "outcome",
)


class Cells(Grid):
    """A study's cells alone: the table has no rows for BM25 and the teachers."""

    @property
    def references(self) -> list[Ranker]:
        """None."""
        return []


def make_cuts_table(
    *,
    spec: Mapping,
    metrics: Path,
    uncut_groups: Sequence[Path],
    uncut_labels: Sequence[Path],
    cut_groups: Sequence[Path],
    csv: Path,
    md: Path,
    tex: Path,
) -> pd.DataFrame:
    """Write the table three times and return its rows, columns :data:`COLUMNS`.

    ``spec``: the lists of the study (students, losses, samplers, teachers, seeds; the samplers uncut), ``cuts`` (cut to
    sampler to the derived sampler's id), their ``fence`` (interquartile ranges, of the outliers), ``domains``,
    ``measures``, ``bootstrap`` (samples, seed, confidence) and ``rule`` (the fields of
    :class:`~workflow_scripts.analysis.equivalence.Rule`). ``uncut_groups`` and
    ``uncut_labels``: one manifest for each sampler x teacher x seed, in this order; ``cut_groups``: as many, in this
    order, for each cut. Rows stand in the order of the spec's lists, cuts in that of
    :data:`~workflow_scripts.analysis.cuts.CUTS`; the Markdown and the LaTeX hold the first measure.

    ``groups`` (training queries), their ``share`` and mean teacher ``entropy`` (H, bits) are means over the seeds. The
    mean, its bootstrap interval and ``std_seed`` are the main table's. ``difference`` is a cut less all queries
    (:func:`~workflow_scripts.studies.cut_cells.compare_cuts`), empty for all queries. A cell that the metrics lack is
    an :class:`InputError`.
    """
    grid, domains, rule = Cells.of(spec), parse_domains(spec["domains"]), Rule(**spec["rule"])
    derived = derived_samplers(spec["cuts"], grid.samplers)
    measures = [str(measure) for measure in parse_measures(spec["measures"])]
    kept = kept_queries(grid, derived, uncut_groups, uncut_labels, cut_groups)
    values = QueryValues(metrics, measures)
    names = {name: (sampler, cut) for cut, of_sampler in derived.items() for sampler, name in of_sampler.items()}
    everything = Cells(grid.students, grid.losses, list(names), grid.teachers, grid.seeds)
    table = summarise(Means(collection_means(metrics)), everything, domains, measures)
    table = with_intervals(table[table["collection"] == ALL], values, everything, domains, spec["bootstrap"])
    table[["sampler", "cut"]] = [names[name] for name in table["sampler"]]
    table = table.merge(kept, on=["sampler", "teacher", "cut"], validate="many_to_one")
    table = table.merge(compare_cuts(values, grid, derived, domains, measures, rule), "left", on=CELL)
    axes = (grid.students, grid.losses, grid.samplers, grid.teachers, list(derived))
    keys = [
        table[name].map({value: place for place, value in enumerate(axis)})
        for name, axis in zip(CELL, axes, strict=False)
    ]
    # Within a cell, domains and measures stay in their order.
    table = table.iloc[np.lexsort([np.arange(len(table)), *reversed(keys)])][list(COLUMNS)].reset_index(drop=True)
    shown = table[table["measure"] == measures[0]]
    if shown.empty:
        raise InputError(f"no domain has {measures[0]} on all its collections: list another measure first")
    text, caption = _text_table(shown, grid), _caption(shown, grid, rule, spec, measures[0])
    # Six digits, not decimals: a p-value of 1e-9 is not 0.
    write_tables(table, text, caption, csv=csv, md=md, tex=tex, float_format="%.6g")
    return table


def _text_table(rows: pd.DataFrame, grid: Grid) -> TextTable:
    """Loss (x sampler x teacher) x cut down; what was trained on, then domain x student across."""
    optional = {"sampler": len(grid.samplers) > 1, "teacher": len(grid.teachers) > 1}
    named = ["loss", *(key for key, several in optional.items() if several)]
    across = list(dict.fromkeys(zip(rows["domain"], rows["student"], strict=True)))
    across.sort(key=lambda pair: list(dict.fromkeys(rows["domain"])).index(pair[0]))
    sections = []
    for _, block in rows.groupby(["loss", "sampler", "teacher"], sort=False):
        section = []
        for cut, cells in block.groupby("cut", sort=False):
            first = cells.iloc[0]
            found = {(row.domain, row.student): row for row in cells.itertuples()}
            texts = [f"{first['groups']:.0f}", f"{first['entropy']:.3f}"]
            texts += [text for pair in across for text in _texts(found[pair])]
            section.append(((*first[named], cut), [Cell(text) for text in texts]))
        sections.append(section)
    groups = [("training", ["queries", "entropy"])]
    groups += [(f"{domain} {student}", ["mean", "less all queries"]) for domain, student in across]
    return TextTable((*named, "cut"), groups, sections)


def _texts(row: tuple) -> tuple[str, str]:
    """A cell's value and, for a cut, its difference, each with its interval."""
    value = f"{format_value(row.mean, row.std_seed)} [{row.ci_low:.3f}, {row.ci_high:.3f}]"
    if row.cut == UNCUT:
        return value, ""
    interval = f"[{row.difference_low:+.3f}, {row.difference_high:+.3f}]"
    return value, f"{row.difference:+.3f} {interval} {MARKS[row.outcome]}"


def _caption(rows: pd.DataFrame, grid: Grid, rule: Rule, spec: Mapping, measure: str) -> str:
    compared = rows[rows["cut"] != UNCUT]
    counts = compared["outcome"].value_counts()
    told = ", ".join(f"{counts.get(name, 0)} {name} ({mark})" for name, mark in MARKS.items())
    margin = f"{rule.margin:g}" if rule.margin_of == "absolute" else f"{rule.margin:g} of BM25's {measure}"
    seeds = (
        f"{len(grid.seeds)} seeds a cell (± is the standard deviation over them), averaged before the tests"
        if len(grid.seeds) > 1
        else "One seed a cell, so nothing here says how much another training run would differ"
    )
    least = compared.loc[compared["groups"].idxmin()]
    return (
        f"{measure} of students trained on a part of the training queries, chosen by the teacher's entropy H of each "
        "query's group: the mean binary entropy of its preferences over all pairs, bits, high where the teacher is "
        "unsure. Lower quartile: H up to the first quartile; inner quartiles: above it, up to the third; upper "
        "quartile: above the third; below (up to) and above the median; outliers: further than "
        f"{spec['fence']:g} interquartile ranges outside the quartiles, on either side. Training: queries kept and "
        "their mean H (means over seeds). All cells see the same number of documents, "
        "so the fewer queries a cut keeps, the more often each group is repeated: at most, for the cut "
        f"{least['cut']} of {least['sampler']}, {1 / least['share']:.3g} times as often as with all queries. "
        f"Brackets: {100 * spec['bootstrap']['confidence']:g}% bootstrap interval over test queries; for the "
        f"difference from all queries a paired {100 * rule.confidence:g}% t interval, one comparison's. Of "
        f"{len(compared)} differences: {told}. Equivalent: shown to be within ±{margin} (two one-sided tests, alpha "
        f"{rule.alpha:g}); different: a difference is shown (alpha {rule.difference_alpha:g}) and equivalence is "
        f"not; undecided: neither is. Both are Holm-corrected over a cell's cuts. {seeds}; the tests are over queries. "
        "Not shown: an effect of entropy alone. A cut also changes which queries and how many different ones are "
        "trained on, and no random part of the same size stands beside it; H depends on the scale of the teacher's "
        "scores and on the sampler, so the same cut of two samplers is at different entropies.\n"
    )


if __name__ == "__main__":
    run(make_cuts_table)
