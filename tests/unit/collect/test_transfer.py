"""Files brought over the network or from mirrors, and the archives of ir_datasets."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import ir_datasets
import pytest

from workflow_scripts.collect import fetch_archives as script
from workflow_scripts.collect.download_file import download_file
from workflow_scripts.collect.transfer import fetch
from workflow_scripts.experiment.archives import Archive
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.errors import InputError

CONTENT = bytes(range(256)) * 40
MD5, SHA256 = hashlib.md5(CONTENT).hexdigest(), hashlib.sha256(CONTENT).hexdigest()


class Host(http.server.BaseHTTPRequestHandler):
    """Serves /file from the byte asked for, breaking off where it is asked for all; /moved leads there."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(f"{self.path} {self.headers.get('Range', '')} {self.headers.get('X-Ms-Version', '')}".strip())
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(302 if self.path == "/moved" else 206 if start else 200)
        if self.path == "/moved":
            self.send_header("Location", "/file")
        self.send_header("Content-Length", "0" if self.path == "/moved" else str(len(CONTENT) - start))
        self.end_headers()
        if self.path == "/file":
            self.wfile.write(CONTENT[start:] if start else CONTENT[:5000])

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def host() -> Iterator[SimpleNamespace]:
    Host.asked = []
    with http.server.HTTPServer(("127.0.0.1", 0), Host) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield SimpleNamespace(address=f"http://127.0.0.1:{server.server_port}", asked=Host.asked)
        server.shutdown()


def test_the_next_address_goes_on_where_one_broke_off(tmp_path: Path, host: SimpleNamespace, capsys) -> None:
    part = tmp_path / "new/file.part"
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"another file")
    addresses = [(tmp_path / "none").as_uri(), wrong.as_uri(), f"{host.address}/moved", f"{host.address}/file"]
    assert fetch(addresses, part, algorithm="md5", pinned=MD5, headers={"X-Ms-Version": "2019"}) == MD5
    assert part.read_bytes() == CONTENT
    assert host.asked == ["/moved  2019", "/file  2019", "/file bytes=5000- 2019"]
    reasons = capsys.readouterr().err
    assert "cannot be downloaded" in reasons and "has the checksum" in reasons and "broke off at 5,000" in reasons


def test_nothing_unchecked_comes_over_http(tmp_path: Path, host: SimpleNamespace) -> None:
    with pytest.raises(InputError, match="must begin with https:// or file://"):
        fetch([f"{host.address}/file"], tmp_path / "part", algorithm="sha256", pinned=None)
    assert host.asked == []


def test_a_download_is_held_to_its_checksum(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "file.bin").write_bytes(CONTENT)
    url, output = (tmp_path / "file.bin").as_uri(), tmp_path / "file" / "manifest.json"
    for spec, message in [
        ({"url": url, "sha256": "0" * 64}, "not the pinned"),
        ({"url": url + "x", "sha256": SHA256}, "cannot be downloaded"),
        ({"url": "http://host/file", "sha256": None}, "must begin with https:// or file://"),
        ({"url": "https://host/..", "sha256": SHA256}, "must end with a file's name"),
    ]:
        with pytest.raises(InputError, match=message):
            download_file(spec, output)
        assert not output.exists() and not list(tmp_path.glob("file/*.bin*"))
    download_file({"url": url, "sha256": None}, output)
    assert Artifact(output).counts["sha256"] == SHA256
    assert "no checksum is pinned" in capsys.readouterr().err


def test_a_download_goes_on_where_it_broke_off(tmp_path: Path, host: SimpleNamespace) -> None:
    spec, output = {"url": f"{host.address}/file", "sha256": SHA256}, tmp_path / "manifest.json"
    with pytest.raises(InputError, match=r"broke off at 5,000 of 10,240 bytes: run again to go on"):
        download_file(spec, output)
    download_file(spec, output)
    assert Artifact(output).file("file").read_bytes() == CONTENT and not list(tmp_path.glob("*.part"))


def test_archives_that_are_there_are_checked_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """The first run fetches, from the mirror; the second finds all there; a changed archive is refused by name."""
    home, mirror = tmp_path / "home", tmp_path / "mirror"
    monkeypatch.setattr(ir_datasets.util, "home_path", lambda: home)
    mirror.mkdir()
    (mirror / "docs.tar.gz").write_bytes(CONTENT)
    archive = Archive(home / "x/docs.tar.gz", ("https://host/docs.tar.gz",), MD5, (), None, "Not for sale.", True)
    monkeypatch.setattr(script, "archives_of", lambda name, part: [archive])
    unpacked = []
    dataset = SimpleNamespace(docs_iter=lambda: iter([unpacked.append("docs")]))
    monkeypatch.setattr(script, "load", lambda name, part: dataset)
    spec = {"datasets": {"x": ["docpairs", "docs"]}, "mirrors": {"https://host/": f"{mirror.as_uri()}/"}}
    output = tmp_path / "results/manifest.json"
    script.fetch_archives(spec, output)
    (mirror / "docs.tar.gz").unlink()
    script.fetch_archives(spec, output)
    assert unpacked == ["docs", "docs"] and archive.path.read_bytes() == CONTENT
    (row,) = json.loads(Artifact(output).file("archives.json").read_text())
    assert row == {"address": "https://host/docs.tar.gz", "md5": MD5, "bytes": len(CONTENT), "path": "x/docs.tar.gz"}
    # The same command keeps what is there, and fetches into another folder, or one that was purged.
    (mirror / "docs.tar.gz").write_bytes(CONTENT)
    command = ["fetch_archives", "--spec", json.dumps(spec), "--output", str(output)]
    monkeypatch.setattr(script.sys, "argv", command)
    script.run(script.fetch_archives, script.missing_archive)
    capsys.readouterr()
    for place in (home, tmp_path / "other"):
        monkeypatch.setattr(ir_datasets.util, "home_path", lambda place=place: place)
        elsewhere = archive._replace(path=place / "x/docs.tar.gz")
        monkeypatch.setattr(script, "archives_of", lambda name, part, found=elsewhere: [found])
        elsewhere.path.unlink(missing_ok=True)
        script.run(script.fetch_archives, script.missing_archive)
        assert elsewhere.path.read_bytes() == CONTENT and "is missing" in capsys.readouterr().err
        script.run(script.fetch_archives, script.missing_archive)
        assert "kept" in capsys.readouterr().err
    monkeypatch.setattr(ir_datasets.util, "home_path", lambda: home)
    monkeypatch.setattr(script, "archives_of", lambda name, part: [archive])
    # A job was killed while the documents were unpacked.
    half = home / "x/docs.pklz4"
    half.mkdir()
    (home / "locks/results/unpacking").write_text("x docs")
    monkeypatch.setattr(script, "unpacked_of", lambda name, part: [half, home / "none"])
    script.fetch_archives(spec, output)
    assert not half.exists() and not (home / "locks/results/unpacking").exists()
    archive.path.write_bytes(CONTENT[1:])
    with pytest.raises(InputError, match=f"docs.tar.gz has the MD5 .*, not the published {MD5}: remove it"):
        script.fetch_archives(spec, output)
    assert archive.path.exists()
