"""Where a published file is looked for, and which of these places are files of this machine."""

from __future__ import annotations

import pytest

from workflow_scripts.experiment.addresses import addresses_of, file_of


def test_a_mirror_is_asked_before_the_publisher() -> None:
    mirrors = {"https://": "file:///all/", "https://trec.nist.gov/data/": "https://mirror/trec/", "http://": "x"}
    assert addresses_of("https://trec.nist.gov/data/deep/a.txt", mirrors) == [
        "https://mirror/trec/deep/a.txt",
        "file:///all/trec.nist.gov/data/deep/a.txt",
        "https://trec.nist.gov/data/deep/a.txt",
    ]
    assert addresses_of("file:///a", mirrors) == ["file:///a"]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("file:///own/a%20b.gz", "/own/a b.gz"),
        ("FILE:/own/a.gz", "/own/a.gz"),
        ("file://localhost/own/a.gz?v=1#x", "/own/a.gz?v=1"),
        ("https://host/a.gz", None),
    ],
)
def test_the_file_that_an_address_names_is_known(address: str, name: str | None) -> None:
    assert file_of(address) == name
