"""A backbone from the hub, where there is none."""

import pytest

from workflow_scripts.backbone.fetch_backbone import fetch_backbone
from workflow_scripts.storage.errors import InputError


def test_unreachable_hub_is_one_line(tmp_path, monkeypatch):
    import huggingface_hub

    def fail(*_, **__):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", fail)
    one_line = r"^some/model cannot be fetched [^\n]*no route to host\)[^\n]*local folder[^\n]*\Z"
    with pytest.raises(InputError, match=one_line):
        fetch_backbone({"source": "some/model"}, tmp_path / "backbone/manifest.json")
