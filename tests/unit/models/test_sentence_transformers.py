"""Folders that ask for another embedding than [CLS] and the dot product: said when fetched, refused as an encoder."""

import json

import pytest

from tests.unit.models.test_scoring import CONFIG
from tests.unit.models.test_tokens import write_backbone, write_collection
from workflow_scripts.backbone.fetch_backbone import fetch_backbone
from workflow_scripts.backbone.tokenise_queries import tokenise_queries
from workflow_scripts.models.dense_retrieval import DenseRetriever, Settings
from workflow_scripts.models.rankers import load_ranker, new_ranker, save_ranker
from workflow_scripts.models.scoring import scoring_ranker
from workflow_scripts.models.sentence_transformers import other_embedding
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.errors import InputError

KINDS = "sentence_transformers.models."
CLS = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
MEAN = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}


def ask_for(folder, pooling, *modules, similarity=None, prompts=None, lower=False):
    """Write the files by which sentence-transformers embeds with a folder; ``pooling`` None writes no settings."""
    kinds = ["Transformer", "Pooling", *modules]
    paths = ["", *(f"{place}_{kind}" for place, kind in enumerate(kinds[1:], 1))]
    listed = [{"path": path, "type": KINDS + kind} for path, kind in zip(paths, kinds, strict=True)]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling/config.json").unlink(missing_ok=True)
    if pooling is not None:
        (folder / "1_Pooling/config.json").write_text(json.dumps(pooling | {"word_embedding_dimension": 16}))
    settings = {"similarity_fn_name": similarity, "prompts": prompts or {"query": "", "document": ""}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 9, "do_lower_case": lower}))
    return folder


@pytest.mark.parametrize(
    ("asked", "options", "message"),
    [
        ([CLS], {}, None),
        ([{"pooling_mode": "cls"}], {"similarity": "dot"}, None),
        ([MEAN], {}, "mean pooling"),
        ([{"pooling_mode": "mean"}], {}, "mean pooling"),
        ([{"pooling_mode": ["cls", "max"]}], {}, "cls and max pooling"),
        ([CLS | MEAN | {"pooling_mode_cls_token": True}], {}, "cls and mean pooling"),
        ([None], {}, "mean pooling"),
        ([MEAN, "Normalize"], {}, "mean pooling, the module Normalize"),
        ([CLS, "Dense"], {}, "the module Dense"),
        ([CLS], {"similarity": "cosine"}, "cosine similarity"),
        ([CLS], {"prompts": {"query": "query: "}}, "the prompt 'query: '"),
        ([CLS], {"lower": True}, "lower-cased text"),
    ],
)
def test_what_a_folder_asks_for_is_said(asked, options, message, tmp_path):
    said = other_embedding(ask_for(tmp_path, *asked, **options))
    assert said == (
        message and f"sentence-transformers would embed with {message}; here it is [CLS] pooling and the dot product"
    )


@pytest.mark.parametrize("content", ["{", "{}", '["Transformer"]', '[{"path": ""}]', '[{"type": 3, "path": ""}]'])
def test_files_that_are_no_modules_are_one_line(content, tmp_path):
    (tmp_path / "modules.json").write_text(content)
    with pytest.raises(InputError, match=str(tmp_path / "modules.json")):
        other_embedding(tmp_path)


def test_such_a_folder_is_where_a_student_starts_and_no_dense_encoder(tmp_path, capsys):
    write_backbone(tmp_path / "words")
    save_ranker(new_ranker(CONFIG, "bi-encoder", initialise_seed=0), tmp_path / "source", tmp_path / "words")
    assert other_embedding(tmp_path / "source") is None
    ask_for(tmp_path / "source", MEAN, "Normalize")
    backbone = tmp_path / "backbone/manifest.json"
    fetch_backbone({"source": str(tmp_path / "source")}, backbone)
    (said,) = (line for line in capsys.readouterr().err.splitlines() if "pooling" in line)
    assert "mean pooling, the module Normalize" in said and "only where a student starts" in said
    write_collection(tmp_path, {"d": ("", "red")}, {"q": "red"})
    tokenise_queries(
        {"max_tokens": 3}, backbone, tmp_path / "collection/manifest.json", tmp_path / "tokens/manifest.json"
    )
    store = TokenStore(tmp_path / "tokens/manifest.json")
    with pytest.raises(
        InputError, match=r"backbone is no dense encoder as it is: .*mean pooling.*; train a bi-encoder"
    ):
        DenseRetriever(backbone, Settings(depth=1), store)
    scoring_ranker(backbone.parent, "bi-encoder", store)
    assert "mean pooling" in capsys.readouterr().err
    # What is trained from it says what it is itself.
    student = load_ranker(backbone.parent, "bi-encoder", initialise_seed=0)
    save_ranker(student, tmp_path / "student", backbone.parent)
    assert other_embedding(tmp_path / "student") is None
