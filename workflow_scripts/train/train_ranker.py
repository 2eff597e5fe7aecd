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
    ``collection`` is theirs, where a batch's documents are negatives of its other queries.
    """
    # Importing torch takes a second: a mistyped option is refused, and what is there is kept, before that.
    from workflow_scripts.train.training import train

    train(
        backbone=backbone,
        groups=groups,
        labels=labels,
        queries=queries,
        documents=documents,
        collection=collection,
        spec=spec,
        output=output,
    )


if __name__ == "__main__":
    run(train_ranker)
