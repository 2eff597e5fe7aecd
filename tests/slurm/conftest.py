"""No test starts a cluster unless it is asked for by its mark."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is marked ``slurm`` in a run that does not name the mark: ``make test-slurm`` does."""
    if "slurm" not in config.getoption("-m"):
        for item in items:
            if item.get_closest_marker("slurm"):
                item.add_marker(pytest.mark.skip(reason="make test-slurm starts a cluster"))
