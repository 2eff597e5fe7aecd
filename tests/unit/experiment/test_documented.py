"""What the docs tell to write into a config is accepted as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from changed_demo import demo
from project import ROOT

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.overlay import overlaid


def test_a_collection_of_ones_own_as_the_docs_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = (ROOT / "docs/extending.md").read_text().split("\n## Your own collection\n")[1]
    block = re.search("```yaml\n(.*?)```", section, re.DOTALL)[1]
    assert '# config/mine.yaml: make all EXPERIMENT=mine CONFIGS="config/demo.yaml config/mine.yaml"' in block
    monkeypatch.chdir(tmp_path)
    for path in re.findall(r"data/[\w.]+", block):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).touch()
    found = Experiment(overlaid(demo(), yaml.safe_load(block)))
    assert (found.name, found.test_collections, found.training_collections) == ("mine", ["mine"], ["mine-train"])
    assert [*found.config["corpora"], *found.config["collections"]] == ["mine", "mine-train", "mine"]
    # The main grid alone, as the section says.
    none = "studies: {cuts: null, factorial: null, teachers: null}"
    assert f"`{none}`" in section
    assert not Experiment(overlaid(demo(), yaml.safe_load(block) | yaml.safe_load(none))).studies
