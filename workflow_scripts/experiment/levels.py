"""Samplers that read the level of a teacher's scores, under teachers whose loss leaves it open."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from workflow_scripts.experiment.functions import read_function
from workflow_scripts.experiment.grid_point import grids


def level_problems(config: Mapping) -> Iterator[str]:
    """Options by which a constant added to all of a teacher's scores would change what a sampler draws.

    A teacher that is trained by a loss without ``FIXES_LEVEL`` may have any such constant. Scores of a teacher that is
    used as it is are taken to have a level.
    """
    cells = [itertools.product(axes["samplers"], axes["teachers"]) for axes in grids(config)]
    for sampler, teacher in dict.fromkeys(itertools.chain(*cells)):
        about, options = config["teachers"][teacher], config["samplers"][sampler]["options"]
        if not about["trained"] or read_function("losses", config["losses"][about["loss"]]["function"]).fixes_level:
            continue
        function = read_function("samplers", config["samplers"][sampler]["function"])
        for name, described in function.options.items():
            needing = described.get("needs_level", [])
            if (chosen := options.get(name, function.defaults.get(name))) in needing:
                others = " or ".join(choice for choice in described["choices"] if choice not in needing)
                yield (
                    f"samplers.{sampler}.options.{name}: {chosen} depends on the level of the teacher's scores, which "
                    f"{about['loss']}, the loss of teacher {teacher}, leaves open; use {name}: {others}"
                )
