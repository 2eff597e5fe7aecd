"""The one description of an experiment's settings: types, defaults, units, ranges, what they mean.

Checks, defaults, the editors' schema (config/schema.json) and docs/configuration.md all come from these models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError

from workflow_scripts.experiment.config import data, grid, reporting
from workflow_scripts.experiment.config.claims import Claim
from workflow_scripts.experiment.config.messages import first_line
from workflow_scripts.experiment.config.settings import (
    Axis,
    Count,
    Distinct,
    Maybe,
    Part,
    Slug,
    Some,
    Text,
    setting,
    without_nulls,
)
from workflow_scripts.storage.errors import InputError


class Config(Part):
    """An experiment."""

    experiment: Slug = setting("names the folder results/{experiment}")
    seeds: Some[grid.Seed] = setting(
        "one student a seed in every cell; sampling, order of the data and initialisation are derived from it"
    )
    arithmetic: Literal["fast", "portable"] = setting(
        "how a CPU computes: fast, by the best library and instructions at hand, or portable, one thread whose results "
        "are the same bytes on every x86-64 processor with AVX2",
        "fast",
    )
    reuse: Distinct[Text] = setting(
        "other experiments whose artifacts are linked where a job would make the same: their names, or paths (with a "
        "slash) to their results",
        [],
    )
    corpora: Axis[data.Corpus] = setting("documents; collections may share a corpus, which is then indexed once")
    collections: Axis[data.Collection] = setting("queries over a corpus, for training or for testing")
    domains: Axis[data.Domain] = setting("named groups of test collections", min_length=1)
    lengths: data.Lengths = setting("longest texts")
    mirrors: data.Mirrors = setting(
        "beginning of an address to what stands in its place, tried first: https:// to file:///data/mirror/", {}
    )
    systems: Axis[data.System] = setting("rankings by Lucene, by a bi-encoder, or imported")
    first_stage: data.FirstStage = setting("what evaluation re-ranks")
    backbones: Axis[grid.Backbone] = setting("pretrained encoders")
    training: grid.Training = setting("what the students share")
    teachers: Axis[grid.Teacher] = setting("what students are distilled from", min_length=1)
    pools: Axis[grid.Pool] = setting("what teachers score before any sampler draws", {})
    samplers: Axis[grid.Sampler] = setting("where negatives come from", min_length=1)
    losses: Axis[grid.Loss] = setting("what students learn from a group", min_length=1)
    students: Axis[grid.Student] = setting("rankers that are trained in every cell", min_length=1)
    controls: Maybe[grid.Controls] = setting(
        "cells trained again, without which one seed decides nothing; none where seeds has several, null for none",
        grid.Controls,
    )
    studies: Annotated[grid.Studies, BeforeValidator(without_nulls)] = setting(
        "cells beside the main grid", grid.Studies
    )
    pipelines: list[Slug] = setting(
        "experiments that differ from this one by the seeds of backbone, teacher and students alone, for the table of "
        "that name; this one then has one seed and controls",
        [],
    )
    evaluation: reporting.Evaluation = setting("what is measured")
    shards: Annotated[Count, Field(le=1000)] = setting(
        "jobs that the scoring of a teacher's pool, and the exact search of a corpus by a dense system, are scattered "
        "over; their results are the same bytes whatever the number",
        1,
        unit="jobs",
    )
    device: Literal["auto", "cuda", "cpu"] = setting(
        "what models run on; auto: a GPU where one is seen, else the CPU; cuda: a GPU or nothing", "auto"
    )
    analysis: reporting.Analysis = setting("choices of tables and figures", reporting.Analysis)
    claims: Axis[Claim] = setting("claims to judge beside those of config/claims.yaml", {})
    resources: reporting.Resources = setting("what jobs need", reporting.Resources)


def read_settings(config: Mapping) -> dict:
    """The configuration as a plain dict with every default; :class:`InputError` names the first fault's key and fix."""
    try:
        return Config.model_validate(dict(config)).plain()
    except ValidationError as error:
        raise InputError(f"config: {first_line(error, config)}") from None
