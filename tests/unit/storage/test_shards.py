"""Stretches of work that shards do."""

import itertools

import pytest

from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.shards import shard_names, units_of


@pytest.mark.parametrize("units", [0, 1, 2, 7, 12])
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_the_stretches_are_all_units_in_order_and_of_nearly_one_length(units: int, count: int) -> None:
    stretches = [units_of(shard, units) for shard in shard_names(count)]
    assert [*itertools.chain(*stretches)] == [*range(units)]
    assert max(map(len, stretches)) - min(map(len, stretches)) <= 1


@pytest.mark.parametrize("name", ["0-of-3", "4-of-3", "1-of-0", "one", "1-of-3x", ""])
def test_another_shard_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"no shard .*: of three there are 1-of-3"):
        units_of(name, 5)
