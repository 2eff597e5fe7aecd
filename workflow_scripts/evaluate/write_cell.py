"""Write the cell of a domain whose collections are measured in several evaluation sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.measures import METRICS_FILE
from workflow_scripts.evaluate.cells import save_cell
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import read_table


def write_cell(*, spec: Mapping, metrics: Sequence[Path], output: Path) -> None:
    """Write one ranker's cell, see :func:`save_cell`, from its ``metrics``: a manifest an evaluation set.

    ``spec``: ``domains`` (the one domain) and ``bootstrap`` (samples, seed, confidence).
    """
    (domain,) = parse_domains(spec["domains"])
    files = [Artifact(manifest).file(METRICS_FILE) for manifest in metrics]
    frame = pd.concat([read_table(file, ["collection", "query_id", "measure", "value"]) for file in files])
    save_cell(output, frame.astype({"collection": str, "measure": str}), domain, spec["bootstrap"])


if __name__ == "__main__":
    run(write_cell)
