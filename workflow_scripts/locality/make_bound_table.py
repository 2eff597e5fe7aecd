"""Make the bound table: the generalisation bound's terms with numbers, and whether it is vacuous, in three formats."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.analysis.sampled_groups import read_labels, read_sampled_groups
from workflow_scripts.locality import bound
from workflow_scripts.locality.embedded_groups import EmbeddedGroups
from workflow_scripts.presentation.table_formats import Cell, TextTable, latex_table, markdown_table
from workflow_scripts.storage.artifacts import Artifact, atomic_path
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError

COLUMNS = ["sampler", "teacher", "student", "unit", "quantity", "value", "note"]
UNITS = {"queries": "training queries", "pairs": "pairs, as if independent"}
L_MAX, L_QUANTILE = "lipschitz_max", "lipschitz_quantile"
STEEP = "L Delta"


@dataclass(frozen=True)
class Student:
    """A trained student: its id, how many weights it learned, how many different groups it saw."""

    name: str
    parameters: int
    groups: int


def make_bound_table(
    *,
    spec: Mapping,
    locality: Path,
    groups: Sequence[Path],
    labels: Sequence[Path],
    embeddings: Path,
    models: Sequence[Path],
    csv: Path,
    md: Path,
    tex: Path,
    risk: Path | None = None,
) -> pd.DataFrame:
    """Write the table three times and return its rows, columns :data:`COLUMNS`.

    ``spec``: ``rows`` ([sampler, teacher, seed], as many as ``groups`` and ``labels`` and in their order), ``delta`` of
    the estimation term, ``quantile`` of the Lipschitz ratios, ``students`` (ids, as many as ``models`` and in their
    order). ``locality``: the locality table's CSV. ``risk``: the risk table's CSV, of which the spec's ``domain`` is
    taken and averaged over its ``losses``, for the rows that have all of these. Of several seeds: the largest of the
    Lipschitz maxima and the fewest samples, means of the rest.

    Rows of a sampler and teacher: diameter, kappa (on the support), outside, bounded, kappa_factor (what Corollary 2.1
    multiplies by), entropy_bits, entropy_nats, misordering_least and _most, lipschitz_max and _quantile,
    lipschitz_infinite (share of pairs), lipschitz_diameter_max and _quantile (L Delta), verdict (in ``note``). Rows of
    a student too, by ``unit`` of n: n, parameters, estimation, largest_d, parameters_per_d, n_needed; measured_risk.
    Raises :class:`InputError` naming what is missing. Memory: one sampler's groups and a number a pair embedded.
    """
    rows = [tuple(row) for row in spec["rows"]]
    if not len(rows) == len(groups) == len(labels) or not rows:
        raise InputError("give one groups and one labels manifest for each of the spec's rows, in order")
    if len(spec["students"]) != len(models) or not models:
        raise InputError("give one trained model's manifest for each of the spec's students, in order")
    students = [_student(*pair) for pair in zip(spec["students"], models, strict=True)]
    keys = list(dict.fromkeys((sampler, teacher) for sampler, teacher, _ in rows))
    values = bound.read_locality(locality, keys)
    embedded = EmbeddedGroups(embeddings)
    measured: dict[bound.Key, list[dict]] = {key: [] for key in keys}
    for (sampler, teacher, _), group, label in zip(rows, groups, labels, strict=True):
        measured[sampler, teacher].append(_measure(group, label, embedded, spec["quantile"]))
    risks = {} if risk is None else bound.read_risks(risk, spec["domain"], spec["losses"])
    told = [row for key in keys for row in _rows(key, values[key], measured[key], students, spec["delta"], risks)]
    table = pd.DataFrame(told, columns=COLUMNS)
    with atomic_path(csv) as path:
        table.to_csv(path, index=False, float_format="%.10g", lineterminator="\n")
    parts = [
        (_caption(table, spec), _sampler_table(table, keys, spec)),
        (_student_caption(spec), _student_table(table)),
    ]
    with atomic_path(md) as path:
        path.write_text("\n".join(f"{text}\n{markdown_table(body)}" for text, body in parts), encoding="utf-8")
    with atomic_path(tex) as path:
        path.write_text("\n".join(f"% {text}{latex_table(body)}" for text, body in parts), encoding="utf-8")
    return table


def _student(name: str, manifest: str | Path) -> Student:
    model = Artifact(manifest)
    if not {"groups", "documents"} <= set(model.counts) or "group_size" not in model.spec:
        raise InputError(f"{manifest} does not say on how many groups it was trained: name a trained student's")
    # Epochs are permutations: training that ends within the first has not seen all groups of the file.
    seen = min(model.counts["groups"], model.counts["documents"] // model.spec["group_size"])
    return Student(name, bound.trainable_parameters(manifest), seen)


def _measure(groups: str | Path, labels: str | Path, embedded: EmbeddedGroups, quantile: float) -> dict:
    """Lipschitz ratios of the teacher on one sampler's groups, and the numbers of draws in these."""
    sampled = read_sampled_groups(groups)
    scores = read_labels(labels, sampled)
    chunks = embedded.chunks(sampled)
    ratios = np.concatenate([bound.lipschitz_ratios(vectors, scores[places]) for places, vectors in chunks])
    if not len(ratios):
        raise InputError(f"{labels}: no two documents of a group differ in vector or score: embed with another model")
    return {
        # An order statistic: infinite ratios cannot be interpolated.
        L_QUANTILE: float(np.quantile(ratios, quantile, method="inverted_cdf")),
        L_MAX: float(ratios.max()),
        "lipschitz_infinite": float(np.isinf(ratios).mean()),
        "groups": len(sampled),
        "pairs": math.comb(sampled.doc_ids.shape[1], 2),
    }


def _rows(
    key: bound.Key, values: Mapping, seeds: Sequence[Mapping], students: Sequence[Student], delta: float, risks: Mapping
) -> Iterator[tuple]:
    """All rows of a sampler and teacher, in the order of COLUMNS."""
    factor = values["kappa"] if values["bounded"] == 1 else math.inf
    least, most = bound.misordering_range(values["entropy"])
    numbers = {
        **{name: values[name] for name in ("diameter", "kappa", "outside", "bounded")},
        "kappa_factor": factor,
        "entropy_bits": values["entropy"],
        "entropy_nats": values["entropy"] * math.log(2),
        "misordering_least": least,
        "misordering_most": most,
        L_MAX: max(seed[L_MAX] for seed in seeds),
        L_QUANTILE: float(np.mean([seed[L_QUANTILE] for seed in seeds])),
        "lipschitz_infinite": float(np.mean([seed["lipschitz_infinite"] for seed in seeds])),
    }
    steep = {name: numbers[f"lipschitz_{name}"] * values["diameter"] for name in ("max", "quantile")}
    numbers |= {f"lipschitz_diameter_{name}": value for name, value in steep.items()}
    notes = {"kappa_factor": "infinite unless every query's is finite"} if math.isinf(factor) else {}
    yield from ((*key, "", "", name, value, notes.get(name, "")) for name, value in numbers.items())
    terms = []
    for student in students:
        queries = min(student.groups, *(seed["groups"] for seed in seeds))
        of_unit = {"queries": queries, "pairs": queries * seeds[0]["pairs"]}
        terms.append(bound.estimation_term(student.parameters, queries, delta))
        for unit, samples in of_unit.items():
            told = _estimation(student.parameters, samples, delta)
            yield from ((*key, student.name, unit, *row) for row in told)
        if (*key, student.name) in risks:
            yield (*key, student.name, "", "measured_risk", risks[(*key, student.name)], "")
    # The kindest reading: the smallest student, and the quantile in place of the maximum.
    verdict = bound.judge(factor, {"estimation": min(terms)}, {STEEP: steep["quantile"]}, ("L", "zeta", "d"))
    yield (*key, "", "", "verdict", math.nan, f"{verdict.outcome}: {', '.join(verdict.because)}")


def _estimation(parameters: int, samples: int, delta: float) -> Iterator[tuple[str, float, str]]:
    """Quantity, value and note of the estimation term of one student at one n."""
    largest = bound.largest_capacity(samples, delta)
    yield "n", samples, ""
    yield "parameters", parameters, "stands in for d"
    note = "at least: d is above n" if parameters > samples else ""
    yield "estimation", bound.estimation_term(parameters, samples, delta), note
    yield "largest_d", largest, "term below 1"
    yield "parameters_per_d", parameters / largest if largest else math.inf, ""
    yield "n_needed", bound.samples_needed(parameters, delta), "term below 1"


def _sampler_table(table: pd.DataFrame, keys: Sequence[bound.Key], spec: Mapping) -> TextTable:
    """Sampler x teacher: the terms, the verdict and, where there are any, the measured risks."""
    section = []
    for key in keys:
        own = table[(table["sampler"] == key[0]) & (table["teacher"] == key[1])]
        plain = own[own["student"] == ""].set_index("quantity")
        found = plain["value"]
        texts = [_number(found[name]) for name in ("diameter", L_MAX, L_QUANTILE)]
        texts += [_number(found[f"lipschitz_diameter_{name}"]) for name in ("max", "quantile")]
        texts += [_number(found["kappa"]), f"{100 * found['bounded']:.1f}%", _number(found["kappa_factor"])]
        texts += [_number(found["entropy_bits"]), f"{found['entropy_nats']:.3f} zeta"]
        texts.append(f"{found['misordering_least']:.3f} to {found['misordering_most']:.3f}")
        terms = own[(own["quantity"] == "estimation") & (own["unit"] == "queries")]
        smallest = terms.loc[terms["value"].idxmin()]
        texts += [_at_least(smallest["value"], smallest["note"]), *plain["note"]["verdict"].split(": ")]
        if (table["quantity"] == "measured_risk").any():
            risks = own[own["quantity"] == "measured_risk"].set_index("student")["value"]
            texts += [_number(risks[name]) if name in risks else "" for name in spec["students"]]
        section.append((key, [Cell(text) for text in texts]))
    quantile = f"{spec['quantile']:g}"
    headers = [
        ("locality", ["Delta", "L max", f"L {quantile}", "L Delta max", f"L Delta {quantile}"]),
        ("kappa", ["on the support", "finite", "factor"]),
        ("teacher entropy", ["H bits", "zeta H (nats)", "misorders"]),
        ("estimation", ["smallest student"]),
        ("bound", ["verdict", "because"]),
    ]
    if (table["quantity"] == "measured_risk").any():
        headers.append(("measured excess risk", list(spec["students"])))
    return TextTable(("sampler", "teacher"), headers, [section])


def _student_table(table: pd.DataFrame) -> TextTable:
    """Student x what n counts: the estimation term; once where samplers have the same n."""
    part = table[table["unit"] != ""]
    sections: dict[str, dict[tuple, list[Cell]]] = {}
    for (student, unit, *_), own in part.groupby(["student", "unit", "sampler", "teacher"], sort=False):
        found = own.set_index("quantity")
        value, note = found["value"], found["note"]["estimation"]
        counts = [f"{value[name]:,.0f}" for name in ("n", "parameters")]
        texts = [*counts, _at_least(value["estimation"], note), f"{value['largest_d']:,.0f}"]
        texts += [_number(value["parameters_per_d"]), f"{value['n_needed']:,.0f}"]
        rows = sections.setdefault(student, {})
        rows[student, UNITS[unit], texts[0]] = [Cell(text) for text in texts]
    headers = [
        ("", ["n", "parameters"]),
        ("estimation", ["d = parameters"]),
        ("term below 1", ["largest d", "parameters / d", "n needed"]),
    ]
    told = [[(labels[:2], cells) for labels, cells in rows.items()] for rows in sections.values()]
    return TextTable(("student", "n counts"), headers, told)


def _number(value: float) -> str:
    if math.isinf(value):
        return "infinite"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _at_least(value: float, note: str) -> str:
    return f"at least {value:.2f}" if note else f"{value:.2f}"


def _caption(table: pd.DataFrame, spec: Mapping) -> str:
    values = table.set_index("quantity")["value"]
    outcomes = table.loc[table["quantity"] == "verdict", "note"].str.partition(":")[0].value_counts()
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    share = values[["lipschitz_infinite"]].max()
    infinite = f"infinite where two documents share a vector but not a score ({100 * share:.2g}% of pairs at most); "
    risk = (
        " Measured excess risk: of students trained with that sampler and teacher, share of pairs ordered wrong among "
        f"the first stage's candidates of test queries ({spec['domain']}) whose true grades differ. It is not what the "
        "bound bounds, which is the risk over documents drawn from mu, and so no check of it. Mean over the losses "
        f"{', '.join(spec['losses'])}; empty where no student was trained with each of them."
        if (table["quantity"] == "measured_risk").any()
        else ""
    )
    return (
        "The bound on the excess 0-1 pairwise risk, kappa times (locality + estimation + entropy term), as far as data "
        f"give numbers. Verdicts: {counts}. Three constants stay symbols: the student's Lipschitz constant L, zeta of "
        "the loss's potential, and the VC dimension d; so no row can come out as not vacuous. "
        "Vacuous: kappa is infinite, or kappa times the estimation term alone reaches 1/2, which a ranker that scores "
        "everything alike does not exceed. "
        "Delta: mean diameter of a group, as in the locality table. L: the teacher's largest score difference over "
        f"distance in a group, and the {spec['quantile']:g} quantile of these ratios, in units of its scores; "
        f"{infinite if share > 0 else ''}a lower bound of the teacher's own constant, and of a student's only if it "
        "reproduces the teacher's scores. A student can rank alike at any L, and the factor before L Delta is not "
        "known: L Delta alone makes no verdict. "
        "Kappa: on the support of nu, mean over queries; finite: queries for which nu leaves no document out; factor: "
        "what the corollary multiplies by, infinite as soon as one query's kappa is. It, and each verdict that rests "
        "on kappa, takes mu as uniform over the corpus: over a mu without the documents that nu leaves out, kappa is "
        "finite. "
        "H: over all pairs of a group; the entropy term, zeta H, takes it in nats. Of the potentials is known: with "
        "the pairwise logistic or KL loss, two preference probabilities differ by at most sqrt(KL / 2), KL in nats; "
        "with squared margins, by at most a quarter of the difference of the margins. "
        "Misorders: share of pairs that the teacher itself gets wrong at this H, at least and at most (H bits / 2), if "
        "its preferences are calibrated. "
        f"Estimation: of the student with the smallest term, with probability {1 - spec['delta']:g}, n in training "
        "queries, its number of weights in the place of d: a verdict that rests on it alone is no proof."
        f"{risk}\n"
    )


def _student_caption(spec: Mapping) -> str:
    return (
        "The estimation term sqrt((d (ln(2n / d) + 1) + ln(4 / delta)) / n) of Vapnik (1998), "
        f"delta {spec['delta']:g}. n: training queries seen, whose groups are the independent draws; and, far too "
        "kindly, all pairs of their groups. d is unknown, and the number of trained weights stands in for it: there "
        "are ReLU networks whose VC dimension grows at least in proportion to their weights (Bartlett et al. 2019), "
        "which for these transformers is no proof. Beside it, therefore, the largest d with a term below 1, how many "
        "times more weights the student has, and the n that as many weights would need for a term below 1 (as many "
        "times the n there is). At least: d is above n, and the value is that of d = n.\n"
    )


if __name__ == "__main__":
    run(make_bound_table)
