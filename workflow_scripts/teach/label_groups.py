"""Label training groups with a teacher's scores: looked up in the pools it has scored, computed for the rest."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from workflow_scripts.analysis.entropy import pairwise_entropy
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.groups import KEYS, LABELS_FILE, LABELS_SCHEMA, read_group_table
from workflow_scripts.storage.tables import write_table
from workflow_scripts.teach.pools import LOOKED_UP_FILE, PairCodes, check_teacher, look_up


def label_groups(
    spec: Mapping,
    groups: Path,
    models: Sequence[Path],
    queries: Path,
    documents: Path,
    output: Path,
    known: Sequence[Path] = (),
    calibration: Path | None = None,
    looked_up: Path | None = None,
) -> None:
    """Write ``labels.parquet`` (:data:`LABELS_SCHEMA`): a finite score for every row of the groups, each group's H.

    All arguments are manifest paths; of several ``models`` each scores the queries of its fold. ``calibration``: whose
    temperature the scores are divided by. ``looked_up``: what another job has found in the pools, in the place of the
    ``known`` ones. ``spec``: ``precision``. Counts ``pairs`` (rows), ``looked_up`` and ``scored`` (distinct pairs),
    ``temperature``. Where the pools hold every pair, no model is loaded.
    """
    check_teacher(models, known)
    codes = PairCodes(TokenStore(queries), TokenStore(documents))
    table = read_group_table(groups)
    rows = codes.encode(table.rows["query_id"], table.rows["doc_id"])  # (rows,)
    wanted, places = np.unique(rows, return_inverse=True)
    scores = look_up(wanted, known, codes) if looked_up is None else _read_scores(looked_up, groups, len(wanted))
    missing = np.isnan(scores)
    print(f"{len(wanted):,} pairs in the groups, {int((~missing).sum()):,} of them scored before", file=sys.stderr)
    device = "cpu"
    if missing.any():
        scores[missing], device = _score(spec, models, codes, wanted[missing])
    _check(scores, wanted, codes)
    temperature = Artifact(calibration).counts["temperature"] if calibration else 1.0
    scores /= np.float32(temperature)
    with ArtifactWriter(output, kind="labels", spec=spec, device=device) as writer:
        entropy = np.repeat(pairwise_entropy(scores[places].reshape(-1, table.size)), table.size)
        columns = {key: table.rows[key] for key in KEYS} | {"score": scores[places], "entropy": entropy}
        write_table(writer.path(LABELS_FILE), columns, LABELS_SCHEMA)
        scored = int(missing.sum())
        writer.counts |= {
            "pairs": len(rows),
            "looked_up": len(wanted) - scored,
            "scored": scored,
            "temperature": temperature,
        }


def _read_scores(looked_up: Path, groups: Path, pairs: int) -> np.ndarray:
    """Scores of the groups' distinct pairs as the other job has left them; :class:`InputError` for other groups'."""
    made = Artifact(looked_up)
    scores = np.load(made.file(LOOKED_UP_FILE), allow_pickle=False)
    if made.manifest["inputs"]["groups"]["identity"] != Artifact(groups).identity or len(scores) != pairs:
        raise InputError(f"{looked_up} is of other groups than {groups}: look these groups up")
    return scores


def _score(spec: Mapping, models: Sequence[Path], codes: PairCodes, wanted: np.ndarray) -> tuple[np.ndarray, str]:
    from workflow_scripts.models.devices import device_name
    from workflow_scripts.teach.fold_teachers import FoldTeachers

    teachers = FoldTeachers(models, codes, spec["precision"])
    scores = teachers.score(wanted, teachers.progress(wanted, "label_groups"))
    return scores, device_name(teachers.rankers[0].device)


def _check(scores: np.ndarray, wanted: np.ndarray, codes: PairCodes) -> None:
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        query, document = codes.rows(wanted[bad[0]])
        raise InputError(
            f"query {codes.queries.ids[query].decode()}, document {codes.documents.ids[document].decode()} has the "
            f"label {scores[bad[0]]}: score the pool again"
        )


if __name__ == "__main__":
    run(label_groups)
