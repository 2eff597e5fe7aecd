"""A study of a few seconds in one process: corpus, backbone, teacher, students, dense miner, scores and metrics.

``python tests/processors/study.py FOLDER SITE_PACKAGES --arithmetic portable``: the packages are named, since an
emulator runs the bare interpreter. Each stage is called by its own command line.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

FOLDER = Path(sys.argv[1])
sys.path[:0] = [str(Path(__file__).parents[2]), sys.argv[2]]

from workflow_scripts.storage import command, processor  # noqa: E402
from workflow_scripts.storage.code import script_of  # noqa: E402

NUMBERS = {"precision": "auto", "arithmetic": processor.setting()}
BACKBONE = {
    "tokenizer": {"kind": "words", "size": 2000},
    "architecture": {"layers": 2, "hidden": 40, "heads": 2, "feed_forward": 72, "positions": 48},
    "pretraining": {"steps": 4, "batch": 16, "learning_rate": 0.003, "mlm_weight": 0.3},
    "seed": 0,
    "arithmetic": NUMBERS["arithmetic"],
}
TRAINING = {
    "documents": 128,
    "batch_groups": 8,
    "group_size": 4,
    "learning_rate": 0.003,
    "seeds": {"initialisation": 0, "order": 0},
    **NUMBERS,
}


def stage(script: str, spec: dict, output: str, **inputs: object) -> None:
    """Run a script by its command line; ``inputs`` are names of artifacts, or texts that start with "="."""
    options = ["--spec", json.dumps(spec), "--output", str(at(output))]
    for name, value in inputs.items():
        text = str(value)
        options += [f"--{name}", text[1:] if text.startswith("=") else str(at(text))]
    command.call(getattr(importlib.import_module(script_of(script)), script), options)


def at(name: str) -> Path:
    return FOLDER / name / "manifest.json"


def main() -> None:
    world = {"source": "generated", "world": "in-domain", "seed": 7}
    stage("prepare_corpus", {**world, "documents": 120}, "corpus")
    for role, queries in (("train", 32), ("test", 6)):
        stage("prepare_collection", {"source": "generated", "role": role, "queries": queries}, role, corpus="corpus")
    stage("pretrain_backbone", BACKBONE, "backbone", corpora="corpus")
    lengths = {"query": 8, "document": 36}
    stage("tokenise_corpus", {"view": "full", "max_tokens": 36}, "documents", backbone="backbone", corpus="corpus")
    for role in ("train", "test"):
        stage("tokenise_queries", {"max_tokens": 8}, f"{role}-queries", backbone="backbone", collection=role)
    mining = {"sampler": "random", "options": {}, "negatives": 3, "seed": 0}
    stage("mine_negatives", mining, "groups", corpus="corpus", collection="train")
    texts = {"queries": "train-queries", "documents": "documents"}
    training = {"backbone": "backbone", "groups": "groups", **texts}
    about = {"architecture": "cross-encoder", "name": "teacher/base", "loss": {"function": "lce"}, "dropout": 0.1}
    stage("train_ranker", TRAINING | about, "teacher", **training)
    stage("label_groups", NUMBERS, "labels", model="teacher", groups="groups", **texts)
    for architecture, loss in (("bi-encoder", "marginmse"), ("cross-encoder", "kl")):
        about = {"architecture": architecture, "name": architecture, "loss": {"function": loss}}
        stage("train_ranker", TRAINING | about, architecture, **training, labels="labels")
    for role, depth in (("train", 50), ("test", 20)):
        spec = {"system": "dense", "depth": depth, "max_tokens": lengths, **NUMBERS}
        inputs = {"collection": role, "queries": f"{role}-queries", "documents": "documents"}
        stage("search_dense", spec, f"dense-{role}", model="bi-encoder", **inputs)
    mining = {"sampler": "dense", "options": {"pool": 20, "depth": 50}, "negatives": 3, "seed": 0}
    stage("mine_negatives", mining, "dense-groups", corpus="corpus", collection="train", rankings="dense-train")
    tests = {"collections": "=demo", "tests": "test"}
    stage("gather_evaluation", {"depth": 20, "tag": "dense"}, "evaluation", **tests, rankings="dense-test")
    spec = {"query_tokens": 8, "document_tokens": 36}
    tested = {"backbone": "backbone", "evaluation": "evaluation", "corpora": "corpus"}
    stage("tokenise_evaluation", spec, "evaluation-tokens", **tested, **tests)
    tested = {"evaluation": "evaluation", "collections": "=demo"}
    spec = {"architecture": "cross-encoder", "tag": "ce", **NUMBERS}
    stage("rerank_candidates", spec, "run", model="cross-encoder", tokens="evaluation-tokens", **tested)
    spec = {"measures": {"demo": ["nDCG@10", "AP"]}, "keys": {"student": "ce"}}
    stage("measure_runs", spec, "metrics", runs="run", **tested)
    write_operations(FOLDER / "operations.npz")


def write_operations(path: Path) -> None:
    """Results of what a model of the library's, or a loss of the user's, may call beside the packed path."""
    import numpy as np
    import torch
    from torch.nn import functional as F

    from workflow_scripts.models.arithmetic import attention_by_operators

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))).requires_grad_()

    x, w, b, parts = draw(3, 70, 65), draw(33, 65), draw(33), [draw(2, 4, 70, 16) for _ in range(3)]
    mask = torch.arange(70) < 60
    results = {
        "linear": F.linear(x, w, b),
        "without a bias": F.linear(x, w),
        "einsum": torch.einsum("bik,ok->boi", x, w),
        "baddbmm": torch.baddbmm(draw(3, 70, 70), x, x.mT, alpha=0.5),
        "vector": x[0] @ w[0],
        "dot": w[0] @ w[1],
        "half precision": (x[0].bfloat16() @ w.bfloat16().T).float(),
    }
    with attention_by_operators(x.device):
        results["attention"] = F.scaled_dot_product_attention(*parts, attn_mask=mask[None, None, None])
        results["attention without a mask"] = F.scaled_dot_product_attention(*parts)
    sum((y * torch.linspace(-1, 1, y.numel()).view(y.shape)).sum() for y in results.values()).backward()
    results |= {f"gradient {number}": part.grad for number, part in enumerate((x, w, b, *parts))}
    np.savez(path, **{name: value.detach().numpy() for name, value in results.items()})


if __name__ == "__main__":
    main()
