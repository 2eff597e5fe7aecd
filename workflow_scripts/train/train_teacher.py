"""Train a teacher: a cross-encoder on groups, by a loss that needs no teacher of its own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from workflow_scripts.storage.artifacts import parse_spec, run


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=parse_spec, required=True, help="settings, see train/settings.py")
    for name in ("backbone", "groups", "queries", "documents", "output"):
        parser.add_argument(f"--{name}", required=True, metavar="MANIFEST")
    parser.add_argument("--labels", metavar="MANIFEST", help="teacher scores of the groups, where the loss reads them")
    arguments = parser.parse_args(argv)
    # Importing torch takes a second: a mistyped option is told before.
    from workflow_scripts.train.training import train_ranker

    train_ranker(**vars(arguments))


if __name__ == "__main__":
    run(main)
