"""Arithmetic of encoders, and speeds: shipped or measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from workflow_scripts.plan.throughput import Shape, backbone_shape, read_figures, speeds
from workflow_scripts.storage.errors import InputError

BERT = Shape(12, 768, 3072, 30522, 512)
FIGURES = read_figures()


def test_arithmetic_of_bert_base() -> None:
    pair = BERT.forward(90)
    assert pair == pytest.approx(15.6e9, rel=0.03)
    assert 790e12 / pair == pytest.approx(50_700, rel=0.03)
    assert 32 * 12e6 * 3 * pair / 790e12 / 3600 == pytest.approx(6.3, rel=0.03)
    # transformers' BertForSequenceClassification of one label, counted by its parameters' sizes.
    assert BERT.parameters == 109_483_009


def test_the_known_hub_models_have_their_published_size() -> None:
    for source, millions in (
        ("google-bert/bert-base-uncased", 109.5),
        ("sentence-transformers/all-MiniLM-L6-v2", 22.7),
    ):
        shape = backbone_shape("x", {"source": source}, FIGURES)
        assert shape.parameters / 1e6 == pytest.approx(millions, rel=0.01)
    with pytest.raises(InputError, match=r"backbones.x: unknown size of google/large: give layers, hidden"):
        backbone_shape("x", {"source": "google/large"}, FIGURES)


def test_a_local_model_tells_its_own_size(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"num_hidden_layers": 2, "hidden_size": 8, "intermediate_size": 32, "vocab_size": 100, '
        '"max_position_embeddings": 64}'
    )
    assert backbone_shape("x", {"source": str(tmp_path)}, FIGURES) == Shape(2, 8, 32, 100, 64)
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"backbones.x: .*/none/config.json does not say its sizes"):
        backbone_shape("x", {"source": str(tmp_path / "none")}, FIGURES)


BENCH = """name,device,shape,items_a_second,tflops
"scoring pairs/s",X1,6 layers/384,90000,400
scoring pairs/s,X1,12 layers/768,20000,300
"scoring pairs/s, transformers padded, tokenised in the loop, batch 64",X1,12 layers/768,9000,140
"CE training groups/s, 4 groups x 16, dropout 0.1",X1,12 layers/768,300,210
"CE training groups/s, 8 groups x 16, dropout 0",X1,12 layers/768,300,260
"CE training groups/s, 8 groups x 16, dropout 0.1",X1,12 layers/768,300,250
"""


def test_speeds_are_measured_where_a_bench_has_them(tmp_path: Path) -> None:
    for name, text in (("gpu.csv", BENCH), ("none.csv", "name,tflops\npadding,1\n")):
        (tmp_path / name).write_text(text)
    device, found = speeds(FIGURES, tmp_path / "gpu.csv", batch_groups=8)
    assert device == "X1" and {kind: each.flops / 1e12 for kind, each in found.items()} == {
        **{"scoring": 300, "encoding": 300, "CE training": 250, "BE training": 250}
    }
    assert found["scoring"].basis == "300 TFLOP/s, measured: scoring pairs/s (12 layers/768, X1), gpu.csv"
    assert "assumed" in speeds(FIGURES)[1]["CE training"].basis
    with pytest.raises(InputError, match=r"none.csv has no row of scoring pairs/s"):
        speeds(FIGURES, tmp_path / "none.csv")


def test_figures_that_cannot_be_used_are_refused_in_one_line(tmp_path: Path) -> None:
    for text, why in (("models: {}", "has no rules"), ("- no mapping", "cannot be read"), ("{", "cannot be read")):
        (tmp_path / "own.yaml").write_text(text)
        with pytest.raises(InputError, match=rf"own.yaml {why}") as refused:
            read_figures(tmp_path / "own.yaml")
        assert "give --figures a copy of throughput.yaml" in str(refused.value)
