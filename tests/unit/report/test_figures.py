"""Embedding and the figures that read artifacts: what they are given is what they use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from workflow_scripts.report.draw_cost import draw_cost
from workflow_scripts.report.draw_training import draw_training
from workflow_scripts.storage.artifacts import ArtifactWriter
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_table

HISTORY = pa.schema(
    [
        ("step", pa.int32()),
        ("loss", pa.float32()),
        ("gradient_norm", pa.float32()),
        ("learning_rate", pa.float64()),
        ("documents", pa.int64()),
    ]
)


def images(folder: Path) -> dict[str, Path]:
    return {kind: folder / f"figure.{kind}" for kind in ("png", "pdf")}


def test_training_needs_every_cell_and_equal_steps(tmp_path: Path) -> None:
    def student(name: str, steps: int) -> Path:
        manifest = tmp_path / name / "manifest.json"
        numbers = np.arange(1, steps + 1)
        columns = {"step": numbers, "loss": 1 / numbers, "gradient_norm": numbers, "learning_rate": numbers * 1.0}
        with ArtifactWriter(manifest, kind="test", spec={}) as writer:
            write_table(writer.path("history.parquet"), {**columns, "documents": numbers * 8}, HISTORY)
        return manifest

    rankers = [["be", "kl", "random", "t", 0], ["be", "kl", "random", "t", 1]]
    spec = {"students": ["be"], "losses": ["kl"], "samplers": ["random"], "smoothing": 0.1, "rankers": rankers}
    draw_training(spec=spec, students=[student("a", 20), student("b", 20)], **images(tmp_path))
    assert images(tmp_path)["pdf"].read_bytes()[:4] == b"%PDF"
    with pytest.raises(InputError, match="different steps"):
        draw_training(spec=spec, students=[student("a", 20), student("c", 30)], **images(tmp_path))
    with pytest.raises(InputError, match="no student be of kl and bm25"):
        draw_training(
            spec={**spec, "samplers": ["bm25"]}, students=[student("a", 20), student("b", 20)], **images(tmp_path)
        )


def test_cost_figure_refuses_a_student_without_a_cost(tmp_path: Path) -> None:
    cells = [("bm25", "", "", ""), ("teacher", "", "", "t"), ("be", "kl", "random", "t"), ("be", "kl", "bm25", "t")]
    main = pd.DataFrame(cells, columns=["student", "loss", "sampler", "teacher"])
    main = main.assign(domain="in", collection="all", measure="AP", mean=[0.1, 0.4, 0.2, 0.3])
    cost = main[2:].assign(scope="student", energy_wh=[1.0, 2.0])
    main.to_csv(tmp_path / "main.csv", index=False)
    cost.to_csv(tmp_path / "cost.csv", index=False)
    spec = {"students": ["be"], "losses": ["kl"], "samplers": ["random", "bm25"], "domain": "in", "measure": "AP"}
    paths = {"cost": tmp_path / "cost.csv", "effectiveness": tmp_path / "main.csv"}
    draw_cost(spec=spec, **paths, **images(tmp_path))
    cost[:1].to_csv(tmp_path / "cost.csv", index=False)
    with pytest.raises(InputError, match="is missing"):
        draw_cost(spec=spec, **paths, **images(tmp_path))


def test_embeddings_are_the_library_s_cls_vectors_in_the_rows_order(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from workflow_scripts.models.embedding import embed_texts
    from workflow_scripts.models.rankers import new_ranker

    torch.set_num_threads(1)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    config = {"model_type": "bert", "vocab_size": 50, "max_position_embeddings": 20, "initializer_range": 0.3, **shape}
    model = new_ranker(config, "bi-encoder", initialise_seed=1)
    store = FakeStore([[7, 8, 9], [10], [11, 12, 13, 14, 15], [16, 17]])
    rows = np.array([2, 0, 3, 1])
    vectors = embed_texts(model, store, rows, token_budget=9)
    for vector, row in zip(vectors, rows, strict=True):
        alone = embed_texts(model, store, np.array([row]))
        assert vector == pytest.approx(alone[0], abs=1e-5)
    assert embed_texts(model, store, rows, max_tokens=1)[0] == pytest.approx(
        embed_texts(model, FakeStore([[11]]), np.array([0]))[0], abs=1e-5
    )


class FakeStore:
    """A token store in memory."""

    cls, sep, cut_at = 1, 2, 8

    def __init__(self, texts: list[list[int]]) -> None:
        self.texts = texts
        self.lengths = np.array([len(text) for text in texts])

    def gather(self, rows: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
        parts = [self.texts[row][:limit] for row in rows]
        return np.concatenate([np.array(part, np.int32) for part in parts]), np.array([len(part) for part in parts])
