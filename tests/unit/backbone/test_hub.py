"""A backbone from the model hub: what is fetched, and that it is held to the checksums that the hub lists."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.standin import hub
from workflow_scripts.backbone.fetch_backbone import fetch_backbone
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError

REVISION = "622038df5bb2999b99d614f9f604dcc6f08cb3d7"


@pytest.mark.slow
def test_files_of_the_hub_are_held_to_their_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.write_models(tmp_path / "hub", [f"some words {number}" for number in range(300)], REVISION)

    def fetch(name: str, source: str, address: str, revision: str | None = None) -> subprocess.CompletedProcess:
        spec = json.dumps({"source": source, "revision": revision})
        command = [sys.executable, "-m", "workflow_scripts.backbone.fetch_backbone", "--spec", spec]
        command += ["--output", str(tmp_path / name / "manifest.json")]
        own = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
        return subprocess.run(command, cwd=ROOT, env=os.environ | own, capture_output=True, text=True)

    with hub.serve(tmp_path / "hub") as (address, fetched):
        done = fetch("electra", hub.ELECTRA, address, REVISION)
        assert done.returncode == 0, done.stderr
        made = Artifact(tmp_path / "electra/manifest.json")
        assert made.counts["revision"] == REVISION and "model.safetensors" in made
        weights = (tmp_path / "hub" / hub.ELECTRA / REVISION / "model.safetensors").read_bytes()
        assert made.counts["checksums"]["model.safetensors"] == hashlib.sha256(weights).hexdigest()
        assert {name.rpartition("/")[2] for name in fetched}.isdisjoint(hub.NOT_WANTED)
        assert "has no safetensors: set the revision" in fetch("main", hub.ELECTRA, address).stderr
        listed = hub._listed
        monkeypatch.setattr(hub, "_listed", lambda path: listed(path) | {"blobId": "0" * 40})
        refused = fetch("bert", hub.BERT, address).stderr.splitlines()[-1]
        assert refused.startswith(f"error: {hub.BERT}: ") and f"and the hub lists {'0' * 40}" in refused


def test_unreachable_hub_is_one_line(tmp_path, monkeypatch):
    import huggingface_hub

    def fail(*_, **__):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fail)
    one_line = r"^some/model cannot be fetched [^\n]*no route to host\)[^\n]*local folder[^\n]*\Z"
    with pytest.raises(InputError, match=one_line):
        fetch_backbone({"source": "some/model"}, tmp_path / "backbone/manifest.json")
