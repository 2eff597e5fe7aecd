"""Compute the bound table: the generalisation bound's terms with numbers, and whether it is vacuous."""

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
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_numbers

COLUMNS = ["sampler", "teacher", "student", "unit", "quantity", "value", "note"]
L_MAX, L_QUANTILE = "lipschitz_max", "lipschitz_quantile"
LOCALITY_TERM = "L Delta"


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
    output: Path,
    risk: Path | None = None,
) -> None:
    """Write the numbers, columns :data:`COLUMNS`.

    ``spec``: ``rows`` ([sampler, teacher, seed], as many as ``groups`` and ``labels`` and in their order), ``delta`` of
    the estimation term, ``quantile`` of the Lipschitz ratios, ``students`` (ids, as many as ``models`` and in their
    order). ``locality``, ``risk``: numbers of these tables; of the risks the spec's ``domain`` is taken and averaged
    over its ``losses``, for the rows that have all of these. Of several seeds: the largest of the Lipschitz maxima and
    the fewest samples, means of the rest.

    Rows of a sampler and teacher: diameter, kappa (on the support), outside, bounded, kappa_factor (what Corollary 2.1
    multiplies by), entropy_bits, entropy_nats, misordering_least and _most (of pairs with the positive), misordered
    (where the truth is known), lipschitz_max and _quantile,
    lipschitz_infinite (share of pairs), lipschitz_diameter_max and _quantile (L Delta), verdict (in ``note``). Rows of
    a student too, by ``unit`` of n: n, parameters, estimation, largest_d, parameters_per_d, n_needed; measured_risk.
    Raises :class:`InputError` naming what is missing. Memory: one sampler's groups and a number a pair embedded.
    """
    rows = [tuple(row) for row in spec["rows"]]
    students = [_student(*pair) for pair in zip(spec["students"], models, strict=True)]
    keys = list(dict.fromkeys((sampler, teacher) for sampler, teacher, _ in rows))
    values = bound.read_locality(locality, keys)
    embedded = EmbeddedGroups(embeddings)
    measured: dict[bound.Key, list[dict]] = {key: [] for key in keys}
    for (sampler, teacher, _), group, label in zip(rows, groups, labels, strict=True):
        measured[sampler, teacher].append(_measure(group, label, embedded, spec["quantile"]))
    risks = {} if risk is None else bound.read_risks(risk, spec["domain"], spec["losses"])
    found = [row for key in keys for row in _rows(key, values[key], measured[key], students, spec["delta"], risks)]
    write_numbers(output, pd.DataFrame(found, columns=COLUMNS), spec)


def _student(name: str, manifest: str | Path) -> Student:
    model = Artifact(manifest)
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
    least, most = bound.misordering_range(values["entropy_positive"])
    numbers = {
        **{name: values[name] for name in ("diameter", "kappa", "outside", "bounded")},
        "kappa_factor": factor,
        "entropy_bits": values["entropy"],
        "entropy_nats": values["entropy"] * math.log(2),
        "misordering_least": least,
        "misordering_most": most,
        **({"misordered": values["misordered"]} if "misordered" in values else {}),
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
            yield from ((*key, student.name, unit, *row) for row in _estimation(student.parameters, samples, delta))
        if (*key, student.name) in risks:
            yield (*key, student.name, "", "measured_risk", risks[(*key, student.name)], "")
    # The kindest reading: the smallest student, and the quantile in place of the maximum.
    verdict = bound.judge(factor, {"estimation": min(terms)}, {LOCALITY_TERM: steep["quantile"]}, ("L", "zeta", "d"))
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


if __name__ == "__main__":
    run(make_bound_table)
