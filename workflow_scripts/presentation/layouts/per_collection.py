"""Layout of the table of collections: references, loss x sampler (x teacher) down; domain x member of it across."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.query_values import RANKER
from workflow_scripts.analysis.summaries import Grid
from workflow_scripts.presentation.grid_table import Column, grid_table
from workflow_scripts.presentation.layout import Layout


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The CSV has a row a ranker, the Markdown and the LaTeX the same in sections with the spread over seeds."""
    grid = Grid.of(spec)
    student = grid.students[0]
    pairs = [(domain.name, member) for domain in parse_domains(spec["domains"]) for member, _ in domain.members]
    columns = [Column(*pair, student, pair) for pair in pairs]
    found = numbers.set_index([*RANKER, "domain", "collection"])[["mean", "std_seed"]].T.to_dict("list")
    rankers = [*grid.references, *grid.trained]
    # A collection of two domains has one value and so one column.
    wide = {member: [found[(*ranker, name, member)][0] for ranker in rankers] for name, member in pairs}
    csv = pd.DataFrame(rankers, columns=list(RANKER)).assign(**wide)
    shown = "several seeds" if len(grid.seeds) > 1 else "one seed"
    values = {"measure": spec["measure"], "student": student, "seeds": len(grid.seeds)}
    places = ["student", "loss", "teacher", "domain", "collection"]
    bands = numbers.drop_duplicates(places).set_index(places)["noise_band"].to_dict()
    table = grid_table(grid, columns, found, bands=bands)
    notes = ["noise band", "given"] if numbers["noise_band"].notna().any() else []
    return Layout({"": table}, [shown], csv, values, notes=notes)
