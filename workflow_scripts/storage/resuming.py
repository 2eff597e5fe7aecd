"""What a killed job goes on from: where its unfinished work lies, and how it knows that work for its own."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from workflow_scripts.storage.artifacts import sha256

FOLDER = ".checkpoint"  # beside the artifact's manifest


def fingerprint(spec: Mapping, inputs: Mapping[str, str | Path | None], device: str) -> str:
    """SHA-256 of what decides the numbers: spec, inputs, the kind of device, torch's version and the code in use.

    An input is known by the checksums its manifest lists, not by the manifest's own, which changes with every rebuild;
    the code by the loaded modules of this package, so that no edited loss goes on from the old one's weights.
    """
    parts = {
        "spec": dict(spec),
        "inputs": {
            name: json.loads(Path(path).read_text()).get("files", sha256(Path(path)))
            for name, path in inputs.items()
            if path is not None
        },
        "device": device,
        "torch": torch.__version__,
        "code": {
            name: sha256(Path(module.__file__))
            for name, module in sys.modules.items()
            if name.startswith("workflow_scripts.ranking") and getattr(module, "__file__", None)
        },
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
