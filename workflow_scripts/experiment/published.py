"""Files of published figures, config/expected/NAME.yaml, that a main table is held against."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workflow_scripts.analysis.domains import ALL
from workflow_scripts.storage.errors import InputError, one_line


class Figure(BaseModel):
    """One published mean, from 0 to 1, and the keys of the main table's rows that it is held against.

    ``domain`` where the ``collection`` is "all": a domain's own mean; it may be left out where there is one domain.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    source: str
    student: str
    loss: str | None = None
    sampler: str | None = None
    teacher: str | None = None
    domain: str | None = None
    collection: str
    measure: str
    value: Annotated[float, Field(ge=0, le=1)]
    tolerance: Annotated[float, Field(gt=0)]


class Source(BaseModel):
    """Where a figure is published, and what its ranker differs in from ours."""

    model_config = ConfigDict(extra="forbid", strict=True)

    where: str
    differs: str


class Published(BaseModel):
    """A file of published figures."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sources: dict[str, Source]
    figures: list[Figure]


def read_published(path: Path, domains: Collection[str]) -> Published:
    """The figures of a YAML file; :class:`InputError` naming what is wrong in it, with these ``domains``."""
    try:
        published = Published.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(f"{path}: {place}: {first['msg']}; see config/expected/paper.yaml") from None
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read as YAML: {one_line(error)}") from None
    for figure in published.figures:
        if figure.source not in published.sources:
            raise InputError(f"{path}: no source {figure.source!r}; there are {', '.join(published.sources)}")
        if figure.collection == ALL and figure.domain is None and len(domains) > 1:
            raise InputError(
                f"{path}: {figure.student}'s {figure.value} is of collection all, a domain's mean; add the domain, one "
                f"of {', '.join(domains)}"
            )
    return published
