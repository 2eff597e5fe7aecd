"""Bi-encoders pool and compare as their folders ask; what is not computed here is said, and refused as an encoder."""

import json

import numpy as np
import pytest
import torch
import transformers
from factories import write_collection, write_corpus
from scored_world import CONFIG, new_encoder, write_backbone
from small_models import CONFIGS, library_twin

from workflow_scripts.backbone.fetch_backbone import fetch_backbone
from workflow_scripts.backbone.tokenise_corpus import tokenise_corpus
from workflow_scripts.backbone.tokenise_queries import tokenise_queries
from workflow_scripts.models.dense_retrieval import DenseRetriever, Settings
from workflow_scripts.models.embedding import embed_texts
from workflow_scripts.models.rankers import load_ranker, save_ranker
from workflow_scripts.models.scoring import scoring_ranker
from workflow_scripts.models.sentence_transformers import other_embedding, read_embedding
from workflow_scripts.models.token_store import TokenStore
from workflow_scripts.storage.errors import InputError

KINDS = "sentence_transformers.models."
CLS = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
MEAN = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}


def ask_for(folder, pooling, *modules, similarity=None, prompts=None, lower=False, family="bert", **more):
    """Write the files by which sentence-transformers embeds with a folder; ``pooling`` None writes no settings."""
    kinds = ["Transformer", "Pooling", *modules]
    paths = ["", *(f"{place}_{kind}" for place, kind in enumerate(kinds[1:], 1))]
    listed = [{"path": path, "type": KINDS + kind} for path, kind in zip(paths, kinds, strict=True)]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling/config.json").unlink(missing_ok=True)
    if pooling is not None:
        (folder / "1_Pooling/config.json").write_text(json.dumps(pooling | {"word_embedding_dimension": 16}))
    settings = {"similarity_fn_name": similarity, "prompts": prompts or {"query": "", "document": ""}, **more}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    text = {"max_seq_length": 9, "do_lower_case": lower}
    (folder / f"sentence_{family}_config.json").write_text(json.dumps(text))
    return folder


@pytest.mark.parametrize(
    ("asked", "options", "embedding", "message"),
    [
        ([CLS], {}, ("cls", "dot"), None),
        ([{"pooling_mode": "cls"}], {"similarity": "dot"}, ("cls", "dot"), None),
        ([MEAN], {}, ("mean", "dot"), None),
        ([{"pooling_mode": "mean"}], {"similarity": "dot_product"}, ("mean", "dot"), None),
        ([None], {}, ("mean", "dot"), None),
        ([MEAN, "Normalize"], {}, ("mean", "cosine"), None),
        # Vectors of length 1 have one similarity.
        ([CLS, "Normalize"], {"similarity": "dot"}, ("cls", "cosine"), None),
        ([CLS], {"similarity": "cosine"}, ("cls", "cosine"), None),
        ([{"pooling_mode": ["cls", "max"]}], {}, ("cls", "dot"), "cls and max pooling"),
        ([CLS | MEAN | {"pooling_mode_cls_token": True}], {}, ("cls", "dot"), "cls and mean pooling"),
        ([MEAN, "Dense"], {}, ("mean", "dot"), "the module Dense"),
        ([CLS], {"similarity": "euclidean"}, ("cls", "dot"), "euclidean similarity"),
        ([CLS], {"prompts": {"query": "query: "}}, ("cls", "dot"), "the prompt 'query: '"),
        ([CLS], {"lower": True}, ("cls", "dot"), "lower-cased text"),
        ([CLS], {"lower": True, "family": "roberta"}, ("cls", "dot"), "lower-cased text"),
        ([CLS], {"truncate_dim": 8}, ("cls", "dot"), "vectors cut to their first 8 numbers"),
    ],
)
def test_how_a_folder_asks_to_be_used(asked, options, embedding, message, tmp_path):
    folder = ask_for(tmp_path, *asked, **options)
    assert read_embedding(folder) == embedding
    said = other_embedding(folder)
    assert said == (message and f"sentence-transformers would embed with {message}, which is not done here")
    # What the settings choose, the folder need not have.
    assert read_embedding(folder, "mean", "cosine") == ("mean", "cosine")
    settled = message is None or "pooling" in message or "similarity" in message
    assert (other_embedding(folder, "mean", "cosine") is None) == settled


def embedded_by_modules(folder, texts):
    """Vectors as the folder's files ask for, one text and one module after the other, by the library's model."""
    tokenizer, model = (
        transformers.AutoTokenizer.from_pretrained(folder),
        transformers.AutoModel.from_pretrained(folder),
    )
    vectors = []
    for text in texts:
        with torch.no_grad():
            states = model.eval()(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        for module in json.loads((folder / "modules.json").read_text()):
            kind, settings = module["type"].rsplit(".", 1)[1], folder / module["path"] / "config.json"
            if kind == "Pooling":
                (mode,) = [name for name, on in json.loads(settings.read_text()).items() if on is True]
                vector = {"pooling_mode_cls_token": states[0], "pooling_mode_mean_tokens": states.mean(0)}[mode]
            elif kind == "Normalize":
                vector = vector / vector.norm()
        vectors.append(vector.numpy())
    return np.stack(vectors)


TEXTS = ["red green blue red", "blue", "green red blue green red", "red"]


def saved_and_embedded(folder, model_type, pooling, similarity):
    """A bi-encoder saved below ``folder``, and its vectors of the texts  # (texts, hidden)."""
    write_backbone(folder / "words")
    config = CONFIGS[model_type] | {"vocab_size": CONFIG["vocab_size"]}
    library_twin(config, "bi-encoder").save_pretrained(folder / "library")
    model = load_ranker(folder / "library", "bi-encoder", initialise_seed=0, pooling=pooling, similarity=similarity)
    save_ranker(model, folder / "saved", folder / "words")
    corpus = write_corpus(folder / "corpus", {str(place): text for place, text in enumerate(TEXTS)})
    output = folder / "tokens/manifest.json"
    tokenise_corpus({"view": "full", "max_tokens": 9}, folder / "words/manifest.json", corpus, output)
    store = TokenStore(output)
    encoder = scoring_ranker(folder / "saved", "bi-encoder", store)
    return folder / "saved", embed_texts(encoder, store, np.arange(len(TEXTS)))


@pytest.mark.parametrize("model_type", ["bert", "distilbert"])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_the_saved_files_make_the_same_vectors(tmp_path, model_type, pooling, similarity):
    folder, ours = saved_and_embedded(tmp_path, model_type, pooling, similarity)
    assert ours == pytest.approx(embedded_by_modules(folder, TEXTS), abs=1e-5)
    settings = json.loads((folder / "config_sentence_transformers.json").read_text())
    assert settings["similarity_fn_name"] == similarity


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_sentence_transformers_makes_the_same_vectors(tmp_path, pooling, similarity):
    from sentence_transformers import SentenceTransformer

    folder, ours = saved_and_embedded(tmp_path, "bert", pooling, similarity)
    theirs = SentenceTransformer(str(folder), device="cpu")
    encoded = theirs.encode(TEXTS, convert_to_numpy=True)
    assert ours == pytest.approx(encoded, abs=1e-5)
    assert theirs.similarity(encoded, encoded).numpy() == pytest.approx(ours @ ours.T, abs=1e-5)


@pytest.mark.parametrize("content", ["{", "{}", '["Transformer"]', '[{"path": ""}]', '[{"type": 3, "path": ""}]'])
def test_files_that_are_no_modules_are_one_line(content, tmp_path):
    (tmp_path / "modules.json").write_text(content)
    with pytest.raises(InputError, match=str(tmp_path / "modules.json")):
        other_embedding(tmp_path)


def fetched(folder, *asked, **options):
    """A backbone whose files ask for an embedding so, and the token store of one query in its vocabulary."""
    write_backbone(folder / "words")
    new_encoder(folder / "source", "bi-encoder", folder / "words")
    assert other_embedding(folder / "source") is None
    ask_for(folder / "source", *asked, **options)
    backbone, output = folder / "backbone/manifest.json", folder / "tokens/manifest.json"
    fetch_backbone({"source": str(folder / "source")}, backbone)
    tokenise_queries({"max_tokens": 3}, backbone, write_collection(folder / "asked", {"q": "red"}), output)
    return backbone, TokenStore(output)


def test_a_mean_pooled_folder_is_a_dense_encoder_and_where_a_mean_pooled_student_starts(tmp_path, capsys):
    backbone, store = fetched(tmp_path, MEAN, "Normalize", similarity="cosine")
    assert "sentence-transformers" not in capsys.readouterr().err
    assert DenseRetriever(backbone, Settings(depth=1), store).encoder.embedding == ("mean", "cosine")
    assert DenseRetriever(backbone, Settings(depth=1, similarity="dot"), store).encoder.embedding == ("mean", "dot")
    assert capsys.readouterr().err == ""
    student = load_ranker(backbone.parent, "bi-encoder", initialise_seed=0, similarity="dot")
    save_ranker(student, tmp_path / "student", backbone.parent)
    assert read_embedding(tmp_path / "student") == ("mean", "dot")


def test_a_folder_that_names_no_similarity_is_compared_by_the_dot_product_and_a_line_says_so(tmp_path, capsys):
    backbone, store = fetched(tmp_path, MEAN, family="roberta")
    assert (backbone.parent / "sentence_roberta_config.json").is_file()
    capsys.readouterr()
    assert DenseRetriever(backbone, Settings(depth=1), store).encoder.embedding == ("mean", "dot")
    (said,) = capsys.readouterr().err.splitlines()
    assert "backbone: its files name no similarity" in said and "takes the cosine" in said
    DenseRetriever(backbone, Settings(depth=1, similarity="dot"), store)
    assert capsys.readouterr().err == ""


def test_a_folder_that_asks_for_more_is_where_a_student_starts_and_no_dense_encoder(tmp_path, capsys):
    backbone, store = fetched(tmp_path, MEAN, "Dense")
    (said,) = (line for line in capsys.readouterr().err.splitlines() if "sentence-transformers" in line)
    assert "the module Dense" in said and "only where a student starts" in said
    with pytest.raises(InputError, match=r"backbone is no dense encoder as it is: .*module Dense.*; train"):
        DenseRetriever(backbone, Settings(depth=1), store)
    scoring_ranker(backbone.parent, "bi-encoder", store)
    assert "the module Dense" in capsys.readouterr().err
    # What is trained from it says what it is itself.
    student = load_ranker(backbone.parent, "bi-encoder", initialise_seed=0)
    save_ranker(student, tmp_path / "student", backbone.parent)
    assert other_embedding(tmp_path / "student") is None
