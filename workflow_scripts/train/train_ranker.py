"""Train a ranker on groups: a student by a teacher's scores, or a student or a teacher by a contrastive loss."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from workflow_scripts.storage.command import run

FINDS = {"loss": "train.losses"}


def train_ranker(
    *,
    spec: Mapping,
    backbone: Path,
    groups: Path,
    labels: Path | None = None,
    queries: Path,
    documents: Path,
    collection: Path | None = None,
    output: Path,
) -> None:
    """Write a ranker's folder (model, training history, card) by :class:`~workflow_scripts.train.settings.Settings`.

    All paths are manifests. ``labels`` are the teacher's scores of the groups, where the loss or a cut reads them;
    ``queries`` and ``documents`` are token stores; ``collection`` is the groups', where a batch's documents are
    negatives of its other queries. Of a cut that keeps too few queries nothing is trained: the folder's manifest says
    so, and so do those made from it. Raises :class:`InputError` for whatever does not fit together.
    """
    # Importing torch takes a second: a mistyped option is refused, and what is there is kept, before that.
    from workflow_scripts.train.training import train

    given = {"backbone": backbone, "groups": groups, "labels": labels, "queries": queries, "documents": documents}
    given |= {"collection": collection}
    train(spec, {name: path for name, path in given.items() if path is not None}, output)


if __name__ == "__main__":
    run(train_ranker)
