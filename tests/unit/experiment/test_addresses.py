"""Where a published file is looked for, and which of these places are files of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflow_scripts.experiment.addresses import addresses_of, copied_file


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
        ("file://{}/a%20b.gz", "a b.gz"),
        ("FILE:{}/a.gz", "a.gz"),
        ("file://localhost{}/a.gz?v=1#x", "a.gz?v=1"),
        ("https://host/a.gz", "mirror/a.gz"),
        ("https://elsewhere/a.gz", None),
    ],
)
def test_the_file_that_an_address_or_its_mirror_names_is_known(tmp_path: Path, address: str, name: str | None) -> None:
    mirrors = {"https://": "file:///no/such/folder/", "https://host/": f"file:{tmp_path}/mirror/"}
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror/a.gz").touch()
    url = address.format(tmp_path)
    assert copied_file(url, mirrors, None) == (str(tmp_path / name) if name else None)
    # A mirror cannot give another file than the pinned one.
    assert copied_file(url, mirrors, "0" * 64) == (str(tmp_path / name) if name and "mirror" not in name else None)
