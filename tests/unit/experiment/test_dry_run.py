"""What is read in what Snakemake prints."""

from __future__ import annotations

import pytest

from workflow_scripts.experiment.dry_run import fields_of_jobs, paths_of, refusal
from workflow_scripts.storage.errors import InputError

PRINTED = """Job stats:
job      count
-----  -------
train        1
total        1

[Sat Nov 21 01:07:33 2026]
localrule train:
    input: a, b
    output: c/manifest.json (update), d
    wildcards: ranker=ce/kl
Shell command: python --output: no
"""


def test_a_jobs_fields_are_read_and_jobs_are_counted() -> None:
    (fields,) = fields_of_jobs(PRINTED)
    assert fields == {
        **{"rule": "train", "input": "a, b", "output": "c/manifest.json (update), d", "wildcards": "ranker=ce/kl"}
    }
    assert paths_of(fields["output"]) == ["c/manifest.json", "d"] and paths_of(fields.get("log")) == []
    assert fields_of_jobs("Nothing to be done.\n") == []
    with pytest.raises(InputError, match="lists 1 jobs and counts 2"):
        fields_of_jobs(PRINTED.replace("train        1", "train        2"))


def test_a_refusal_is_the_line_after_its_exception() -> None:
    lines = ["Building", 'WorkflowError in file "rules/common.smk", line 28:', "config: seeds: no", "  File x"]
    assert refusal(lines) == "config: seeds: no" and "said nothing" in refusal([])
