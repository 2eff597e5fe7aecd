"""Look groups' pairs up in the pools that a teacher has scored: the part of labelling that needs no GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.groups import read_group_table
from workflow_scripts.teach.pools import LOOKED_UP_FILE, PairCodes, check_teacher, distinct, look_up


def look_up_labels(
    spec: Mapping,
    groups: Path,
    models: Sequence[Path],
    queries: Path,
    documents: Path,
    output: Path,
    known: Sequence[Path] = (),
) -> None:
    """Write ``scores.npy``: a score for each distinct pair of the groups, sorted, NaN where no pool holds the pair.

    All arguments are manifest paths; no model is loaded. Counts ``pairs`` and those that are ``missing``.
    """
    check_teacher(models, known)
    codes = PairCodes(TokenStore(queries), TokenStore(documents))
    table = read_group_table(groups)
    scores = look_up(distinct(codes.encode(table.rows["query_id"], table.rows["doc_id"])), known, codes)
    with ArtifactWriter(output, kind="looked-up labels", spec=spec) as writer:
        np.save(writer.path(LOOKED_UP_FILE), scores)
        writer.counts |= {"pairs": len(scores), "missing": int(np.isnan(scores).sum())}


if __name__ == "__main__":
    run(look_up_labels)
