"""Compute the teachers table: which conclusions about samplers hold under every teacher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from workflow_scripts.analysis.domains import ALL, parse_domains
from workflow_scripts.analysis.families import COUNTED
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import TEACHER, Grid, summarise, with_intervals
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import write_numbers
from workflow_scripts.studies.conclusions import KEYS, compare_under_teachers, conclusions, order_agreement
from workflow_scripts.studies.scopes import stack_scopes

COLUMNS = (
    *("scope", "student", "loss", "sampler", "sampler_b", "teacher", "teacher_b", "domain", "measure"),
    *("value", "std_seed", "ci_low", "ci_high", "p_difference", "p", "p_equivalence", "verdict", "basis"),
    *("n_seeds", "n_queries", "place", *COUNTED),
)

COMPARED = {"mean_difference": "value", "p_difference_holm": "p", "p_equivalence_holm": "p_equivalence"}


def make_teachers_table(*, spec: Mapping, metrics: Path, output: Path) -> None:
    """Write the numbers; what ``value`` is depends on ``scope``:

    - ``teacher``, ``student``: effectiveness on a domain, mean over seeds, bootstrap interval over queries; a
      student's ``place`` is its sampler's among the samplers under one teacher;
    - ``comparison``: sampler minus sampler_b under one teacher (:func:`compare_under_teachers`), ``p`` of a difference;
    - ``order``: Kendall's tau between teacher and teacher_b (:func:`order_agreement`);
    - ``conclusion``: :func:`~workflow_scripts.studies.conclusions.conclusions`, value the change that it rests on.

    ``spec``: the axes of the study (students, losses, samplers, teachers, seeds), ``domains``, ``measures``, ``depth``
    of the candidates, ``rule`` (the fields of :class:`~workflow_scripts.analysis.equivalence.Rule`), ``controls`` and
    ``bootstrap``.
    """
    grid, domains = Grid.of(spec), parse_domains(spec["domains"])
    measures = spec["measures"]
    values = QueryValues(metrics, measures)
    compared = compare_under_teachers(values, grid, domains, measures, spec)
    concluded = conclusions(compared, values, grid, domains, spec)
    means = with_intervals(summarise(values, grid, domains, measures), values, grid, domains, spec["bootstrap"])
    means = means[(means["collection"] == ALL) & (means["teacher"] != "")]
    own = means["student"] == TEACHER
    places = means[~own].groupby([*KEYS, "teacher"])["mean"].rank(ascending=False, method="min")
    frames = {
        "teacher": means[own].rename(columns={"mean": "value"}),
        "student": means[~own].assign(place=places.astype("Int64")).rename(columns={"mean": "value"}),
        "comparison": compared.drop(columns="p_equivalence").rename(columns=COMPARED),
        "order": order_agreement(means[~own], grid).rename(columns={"tau": "value"}),
        "conclusion": concluded.rename(columns={"change": "value"}),
    }
    named = {
        scope: frame.rename(columns={"sampler_a": "sampler", "teacher_a": "teacher"}) for scope, frame in frames.items()
    }
    write_numbers(output, stack_scopes(named, COLUMNS, [*COLUMNS[:9], "verdict", "basis"]), spec)


if __name__ == "__main__":
    run(make_teachers_table)
