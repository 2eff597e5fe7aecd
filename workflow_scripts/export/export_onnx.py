"""Write a trained ranker as an ONNX graph, by transformers' own exporter."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow_scripts.export.cards import write_card
from workflow_scripts.export.export_model import model_facts, model_front_matter
from workflow_scripts.models.model_folders import weight_files
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.provenance import CARD

OUTPUTS = {"cross-encoder": "logits", "bi-encoder": "last_hidden_state"}
"""What a graph computes."""
SHOWN = {
    "cross-encoder": ('["a query"], ["a document"]', "scores"),
    "bi-encoder": ('["a query", "a document"]', "hidden states, to be pooled as modules.json says"),
}
"""Texts that a graph reads, and what it computes in words."""
USE = """import onnxruntime
from transformers import AutoTokenizer

session, tokenizer = onnxruntime.InferenceSession(f"{folder}/model.onnx"), AutoTokenizer.from_pretrained(folder)
inputs = tokenizer(%s, padding=True, truncation=True, return_tensors="np")
(found,) = session.run(["%s"], {each.name: inputs[each.name] for each in session.get_inputs()})  # %s"""
TOLERANCE = 1e-4
"""How far the graph's numbers may be from the model's: both compute in 32 bits, in other orders."""
TRACED = (["a query", "another one"], ["a document", "a document of some more words"])
COMPARED = (["a query of three more words", "a", "query"], ["a document", "a much longer document " * 3, "words"])


def export_onnx(*, spec: Mapping, model: Path, metrics: Sequence[Path], card: Path, output: Path) -> None:
    """Write ``model.onnx`` for any number and length of texts, the model's other files, and its card.

    As :func:`~workflow_scripts.export.export_model.export_model`, but for the weights. A cross-encoder's graph ends in
    the score (logits), a bi-encoder's in the hidden states, which the caller pools as ``modules.json`` says. The graph
    is run on other texts than it was traced with and held against the model. Raises :class:`InputError` where ``onnx``
    and ``onnxscript`` are not installed.
    """
    artifact = Artifact(model)
    if artifact.nothing is not None:
        raise InputError(f"{model} holds no model: {artifact.nothing}")
    folder, architecture = artifact.folder, artifact.spec["architecture"]
    facts = model_facts(spec, artifact, metrics) | {"library": "onnx", "use": _use(architecture)}
    with ArtifactWriter(output, kind="export", spec=spec) as writer:
        weights = {path.name for path in weight_files(folder)}
        for name in artifact.manifest["files"]:
            if name not in (CARD, *weights):
                shutil.copyfile(folder / name, writer.path(name))
        writer.counts["difference"] = _export(folder, architecture, writer.path("model.onnx").parent)
        write_card(writer.path(CARD), card, model_front_matter(facts), facts)


def _use(architecture: str) -> str:
    """How the graph is run, as the card shows it."""
    texts, what = SHOWN[architecture]
    return USE % (texts, OUTPUTS[architecture], what)


def _export(folder: Path, architecture: str, target: Path) -> float:
    """Write the graph; the largest difference of its numbers from the model's."""
    import torch
    from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

    pairs = architecture == "cross-encoder"
    kind = AutoModelForSequenceClassification if pairs else AutoModel
    library, tokenizer = kind.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    traced, compared = (
        dict(tokenizer(*texts[: 1 + pairs], padding=True, truncation=True, return_tensors="pt"))
        for texts in (TRACED, COMPARED)
    )
    try:
        from transformers.exporters import OnnxConfig, OnnxExporter

        exported = OnnxExporter().export(library, traced, config=OnnxConfig(dynamic=True))
    except ImportError as error:
        raise InputError(f"ONNX needs more packages: pip install onnx onnxscript ({error})") from None
    exported.save_pretrained(target)
    name = OUTPUTS[architecture]
    with torch.no_grad():
        expected, found = library(**compared)[name], torch.as_tensor(exported(**compared)[name])
    read = compared["attention_mask"].bool() if not pairs else slice(None)
    difference = float((found - expected)[read].abs().max())
    if not difference <= TOLERANCE:
        raise InputError(f"{folder}: the graph's numbers differ from the model's by {difference:.2g}: not written")
    return difference


if __name__ == "__main__":
    run(export_onnx)
