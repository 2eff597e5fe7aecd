"""Make the factorial study's table: do locality and entropy act apart? CSV, Markdown, LaTeX, and its cells as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.domains import Domain, parse_domains
from workflow_scripts.analysis.entropy import pairwise_entropy
from workflow_scripts.analysis.equivalence import Rule
from workflow_scripts.analysis.measures import parse_measures
from workflow_scripts.analysis.paired import DIFFERENT, EQUIVALENT, MARKS, UNDECIDED
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.sampled_groups import read_labels, read_sampled_groups
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.locality.risk import EXCESS_RISK, RiskValues
from workflow_scripts.presentation.table_files import write_tables
from workflow_scripts.presentation.table_formats import Cell, TextTable
from workflow_scripts.storage.artifacts import atomic_path
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.studies.factorial import COLUMNS, ENTROPY, INTERACTION, LOCALITY, analyse, cell_means

BLOCK = ("student", "teacher", "domain", "measure")
CELLS = (
    *BLOCK,
    "sampler",
    "loss",
    "share",
    "temperature",
    "mean",
    "std_seed",
    "ci_low",
    "ci_high",
    "n_seeds",
    "n_queries",
    "diameter",
    "entropy",
)


class Study:
    """The cells of a study and what was measured of each."""

    def __init__(self, spec: Mapping, metrics: str | Path, risks: RiskValues) -> None:
        self.grid, self.domains, self.risks = Grid.of(spec), parse_domains(spec["domains"]), risks
        self.measures = [str(measure) for measure in parse_measures(spec["measures"])]
        self.metrics = QueryValues(metrics, self.measures)

    def blocks(self) -> Iterator[tuple[tuple[str, str, Domain, str], QueryValues | RiskValues]]:
        """Student, teacher, domain, measure, and where the values are; the risk where all of a domain has a truth."""
        for student, teacher, domain in product(self.grid.students, self.grid.teachers, self.domains):
            for measure in self.metrics.measures(domain.collections, self.measures):
                yield (student, teacher, domain, measure), self.metrics
            if all(name in self.risks for name in domain.collections):
                yield (student, teacher, domain, EXCESS_RISK), self.risks

    def values(self, block: tuple[str, str, Domain, str], source: QueryValues | RiskValues) -> dict[str, np.ndarray]:
        """Collection to the cells' values  # (localities, entropies, seeds, queries)."""
        student, teacher, domain, measure = block
        grid = self.grid
        shape = len(grid.samplers), len(grid.losses), len(grid.seeds), -1
        cells = list(product(grid.samplers, grid.losses, grid.seeds))
        return {
            name: np.reshape(
                [source.of((student, loss, sampler, teacher), [seed], name, measure) for sampler, loss, seed in cells],
                shape,
            )
            for name in domain.collections
        }


def make_factorial_table(
    *,
    spec: Mapping,
    metrics: Path,
    runs: Sequence[Path],
    tests: Sequence[Path],
    labels: Sequence[Path],
    groups: Sequence[Path],
    locality: Path,
    csv: Path,
    md: Path,
    tex: Path,
    cells: Path,
) -> pd.DataFrame:
    """Write the table of effects three times and the cells once (CSV); returns the effects.

    ``spec``: the lists of the study (students, losses, samplers, teachers, seeds), the dials' levels ``locality``
    (sampler to share of near negatives) and ``entropy`` (loss to teacher_temperature), in the lists' order;
    ``domains``, ``measures``, ``rule`` (the fields of :class:`~workflow_scripts.analysis.equivalence.Rule`), ``runs``
    and ``collections``: what ``runs`` and ``tests`` hold, in their order (see
    :class:`~workflow_scripts.locality.risk.RiskValues`; BM25 must be among the runs where the rule's margin is a share
    of its value). ``labels`` and ``groups``: of every sampler, teacher and seed, the last fastest. ``locality``: the
    locality table. An effect's row holds the block and what
    :func:`~workflow_scripts.studies.factorial.analyse` gives; a cell's row its dials, its value and what the dials
    did: the sampler's diameter and the entropy of the labels, H(g / tau) in bits.
    """
    if len(tests) != len(spec["collections"]):
        raise InputError("give as many --tests as the spec has collections, in the same order")
    rule = Rule(**spec["rule"])
    risks = RiskValues(spec["runs"], runs, dict(zip(spec["collections"], tests, strict=True)))
    study = Study(spec, metrics, risks)
    dials = _dials(spec, study.grid, labels, groups, locality)
    frames, rows = [], []
    for block, source in study.blocks():
        student, teacher, domain, measure = block
        values = study.values(block, source)
        margin = rule.margin_for(source, domain, measure)
        keys = dict(zip(BLOCK, (student, teacher, domain.name, measure), strict=True))
        frames.append(analyse(values, domain.weights, margin=margin, rule=rule).assign(**keys))
        dialled = dials[dials["teacher"] == teacher].drop(columns="teacher")
        summary = cell_means(values, domain.weights, rule.confidence)
        rows.append(summary.join(dialled.reset_index(drop=True)).assign(**keys))
    table, found = pd.concat(frames)[[*BLOCK, *COLUMNS]], pd.concat(rows)[list(CELLS)]
    shown = table[table["measure"].isin([study.measures[0], EXCESS_RISK])]
    caption = _caption(shown, found, study, rule)
    # Six digits, not decimals: a p-value of 1e-9 is not 0.
    write_tables(table, _text_table(shown, study.grid), caption, csv=csv, md=md, tex=tex, float_format="%.6g")
    with atomic_path(cells) as path:
        found.to_csv(path, index=False, float_format="%.6f", lineterminator="\n")
    return table


def _dials(
    spec: Mapping, grid: Grid, labels: Sequence[str | Path], groups: Sequence[str | Path], locality: str | Path
) -> pd.DataFrame:
    """teacher, sampler, loss, share, temperature, diameter and entropy of each cell, losses fastest in a teacher."""
    for axis, listed in ((LOCALITY, grid.samplers), (ENTROPY, grid.losses)):
        if set(spec[axis]) != set(listed):
            raise InputError(f"the dial {axis} has levels for {', '.join(spec[axis])}, the study {', '.join(listed)}")
    keys = list(product(grid.samplers, grid.teachers, grid.seeds))
    if not len(keys) == len(labels) == len(groups):
        raise InputError(f"give labels and groups for each sampler, teacher and seed: {len(keys)} of both, in order")
    diameters = _diameters(locality)
    temperatures = [spec[ENTROPY][loss] for loss in grid.losses]
    entropies: dict[tuple[str, str], list[list[float]]] = {}
    for (sampler, teacher, _), label, group in zip(keys, labels, groups, strict=True):
        scores = read_labels(label, read_sampled_groups(group))
        found = [pairwise_entropy(scores / temperature).mean() for temperature in temperatures]
        entropies.setdefault((sampler, teacher), []).append(found)
    rows = []
    for teacher, sampler in product(grid.teachers, grid.samplers):
        if (sampler, teacher) not in diameters:
            raise InputError(
                f"{locality} has no diameter of {sampler} under {teacher}: make that table with the study's"
            )
        by_loss = np.mean(entropies[sampler, teacher], axis=0)  # (losses,)
        share, diameter = spec[LOCALITY][sampler], diameters[sampler, teacher]
        for loss, temperature, entropy in zip(grid.losses, temperatures, by_loss, strict=True):
            rows.append((teacher, sampler, loss, share, temperature, diameter, entropy))
    return pd.DataFrame(rows, columns=["teacher", "sampler", "loss", "share", "temperature", "diameter", "entropy"])


def _diameters(locality: str | Path) -> dict[tuple[str, str], float]:
    texts = ["sampler", "teacher", "quantity"]
    frame = pd.read_csv(locality, keep_default_na=False, na_values={"value": [""]}, dtype=dict.fromkeys(texts, str))
    return frame[frame["quantity"] == "diameter"].set_index(["sampler", "teacher"])["value"].to_dict()


def _text_table(rows: pd.DataFrame, grid: Grid) -> TextTable:
    """Student (x teacher) x domain x measure down; the effects' sizes and shares across."""
    keys = [name for name in BLOCK if name != "teacher" or len(grid.teachers) > 1]
    several = len(grid.seeds) > 1
    sections: dict[str, list] = {}
    for labels, block in rows.groupby(keys, sort=False):
        effects = block.set_index("source")
        texts = [text for name in (LOCALITY, ENTROPY, INTERACTION) for text in _texts(effects.loc[name], several)]
        sections.setdefault(labels[0], []).append((labels, [Cell(text) for text in texts]))
    headers = ["size", "interval", *(["omega²", "p of F"] if several else ["eta²"])]
    groups = [(name, headers) for name in (LOCALITY, ENTROPY, INTERACTION)]
    return TextTable(keys, groups, list(sections.values()))


def _texts(effect: pd.Series, several: bool) -> list[str]:
    texts = [
        f"{effect['size']:+.3f} {MARKS[effect['outcome']]}",
        f"{effect['ci_low']:+.3f} to {effect['ci_high']:+.3f}",
    ]
    if not several:
        return [*texts, f"{effect['eta_squared']:.2f}"]
    if np.isnan(effect["f"]):
        return [*texts, "", ""]
    share = f"{effect['partial_omega_squared']:.2f} ({effect['share_low']:.2f} to {effect['share_high']:.2f})"
    return [*texts, share, "<0.001" if effect["p"] < 0.001 else f"{effect['p']:.3f}"]


def _caption(rows: pd.DataFrame, cells: pd.DataFrame, study: Study, rule: Rule) -> str:
    parts = [
        _found(rows, study.grid, rule),
        _explained(rows, study.grid, rule),
        _dialled(cells),
        _risk(study),
    ]
    return "\n\n".join(parts) + "\n"


def _found(rows: pd.DataFrame, grid: Grid, rule: Rule) -> str:
    """What came out, in words that go no further than the tests."""
    effects = rows[rows["source"] == INTERACTION]
    keys = [name for name in BLOCK if name != "teacher" or len(grid.teachers) > 1]
    blocks = effects[keys].agg(" ".join, axis=1)
    told = {
        DIFFERENT: "shown in",
        EQUIVALENT: "shown to be none, up to the margin, in",
        UNDECIDED: "neither, which is no evidence of additivity, in",
    }
    lines = []
    for verdict, words in told.items():
        named = blocks[effects["outcome"] == verdict]
        lines.append(f"{words} {len(named)} of {len(effects)}")
        if len(named):
            lines[-1] += f" ({MARKS[verdict]}: {', '.join(named)})"
    dials = rows[rows["source"].isin([LOCALITY, ENTROPY])].groupby(list(BLOCK), sort=False)["outcome"]
    unmoved = sum(DIFFERENT not in set(verdicts) for _, verdicts in dials)
    idle = f" In {unmoved} neither dial by itself is shown to move the measure: additivity says little there."
    chance = f"{len(effects) * rule.difference_alpha:.2g}"
    return (
        f"Interaction of locality and entropy: {'; '.join(lines)}.{idle if unmoved else ''} Rows are not corrected for "
        f"one another: were there none in any of {len(effects)}, up to {chance} would be called one by chance."
    )


def _explained(rows: pd.DataFrame, grid: Grid, rule: Rule) -> str:
    margins = [f"{margin:.3g}" for margin in dict.fromkeys(rows["margin"].dropna())]
    share = "" if rule.margin_of == "absolute" else f" ({rule.margin:g} of BM25's value)"
    seeds = (
        f"Interval and t tests are over {len(grid.seeds)} seeds and the queries, and never narrower than over the "
        "seeds alone. Cells of one seed share data order, initialisation and, of one sampler, the groups, so the seed "
        "is a block: a size's spread over seeds is that of its own values in them, and p of F is of the two-way "
        "repeated-measures analysis of variance of the means of cells and seeds, all levels, each effect against its "
        "interaction with the seed; it speaks of other seeds on the same queries, and takes the differences "
        "between an effect's levels to vary alike over the seeds. omega²: partial omega squared, the effect's share "
        "of the variance that the effect and that error make, with the interval of the non-central F distribution. "
        "What the teacher owes to its own seed is not in any of this."
    )
    one_seed = (
        "One seed: interval and t tests are over queries alone, for these trained models; what training again would "
        "change is not covered, and without replicates the analysis of variance tests nothing. eta²: share of the sum "
        "of squares of the cells; the interaction's holds the seed's noise."
    )
    return (
        "Size, in units of the measure: of a dial, its last level less its first, mean over the other dial; of the "
        "interaction, what turning one dial from end to end changes about the other's effect (levels between are not "
        f"in it). Interval: of the t distribution, {100 * rule.confidence:g}%. ≠: a t test shows that it is not 0 "
        f"(alpha {rule.difference_alpha:g}) and not that it is small; ≈: two one-sided t tests show it within ±"
        f"{' or '.join(margins)}{share} (alpha {rule.alpha:g}), even if it is not 0; ?: neither. "
        f"{seeds if len(grid.seeds) > 1 else one_seed} Additive means on the measure's own scale and between "
        "these levels."
    )


def _dialled(cells: pd.DataFrame) -> str:
    """The manipulation check: what the dials did, and what one did to the other's quantity."""
    samplers = cells.drop_duplicates(["teacher", "sampler"])
    ends = samplers.groupby("teacher", sort=False)["diameter"].agg(["first", "last"]).mean()
    entropy = cells.drop_duplicates(["teacher", "sampler", "loss"])
    by_loss = entropy.groupby("loss", sort=False)["entropy"]
    means, spread = by_loss.mean(), (by_loss.max() - by_loss.min()).max()
    first, last = cells.iloc[0], cells.iloc[-1]
    return (
        f"What the dials did: the share of near negatives from {first['share']:g} to {last['share']:g} "
        f"took the groups' diameter from {ends['first']:.3f} to {ends['last']:.3f}; the teacher's temperature from "
        f"{first['temperature']:g} to {last['temperature']:g} took the labels' pairwise entropy from "
        f"{means.iloc[0]:.3f} to {means.iloc[-1]:.3f} bits. At one temperature the sampler"
        f"{' (or teacher)' if cells['teacher'].nunique() > 1 else ''} by itself moves that entropy by up to "
        f"{spread:.3f} bits: the dials are set apart, the quantities are not wholly. The temperature also changes the "
        "size of the loss's gradients."
    )


def _risk(study: Study) -> str:
    names = [name for domain in study.domains for name in domain.collections]
    without = list(dict.fromkeys(name for name in names if name not in study.risks))
    left = {name: study.risks.left_out[name] for name in dict.fromkeys(names) if name in study.risks}
    lines = []
    if left:
        counts = ", ".join(f"{name} {out} of {total}" for name, (out, total) in left.items())
        lines.append(
            "Excess risk (lower is better): share of a query's candidate pairs of different true grades that are "
            "ordered wrong, ties half; the best possible order has 0. Queries without such a pair are left out: "
            f"{counts}."
        )
    if without:
        lines.append(f"No excess risk where the true relevance of every pair is not known: {', '.join(without)}.")
    return " ".join(lines)


if __name__ == "__main__":
    run(make_factorial_table)
