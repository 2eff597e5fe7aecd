"""What is exported, read by the libraries that it is for, and held against the experiment's own files."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from project import ROOT, Project

import distillery
from workflow_scripts.storage.errors import InputError
from workflow_scripts.train.losses import kl, marginmse

pytestmark = pytest.mark.long
STUDENTS = {"be": "be.marginmse.bm25.base.seed0", "ce": "ce.marginmse.crossencoder.base.seed0"}
CONTRASTIVE = "ce.lce.bm25.none.seed0"
RUNS = {"bm25": "bm25", STUDENTS["ce"]: "ce/marginmse.crossencoder.base/seed0"}
MODELS = {
    STUDENTS["be"]: "be/marginmse.bm25.base/seed0",
    STUDENTS["ce"]: "ce/marginmse.crossencoder.base/seed0",
    "teacher.base": "teacher/base",
}


@pytest.fixture(scope="module")
def exported(tiny: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny experiment with all exports that the tests read."""
    project = tiny.duplicate(tmp_path_factory.mktemp("exports"))
    wanted = [f"{name}/trec" for name in RUNS] + [f"{name}/model" for name in MODELS]
    for student in STUDENTS.values():
        wanted += [f"{student}/{kind}" for kind in ("datasets", "sentence-transformers", "tevatron", "onnx")]
    wanted += [f"{CONTRASTIVE}/{kind}" for kind in ("datasets", "sentence-transformers", "tevatron")]
    project.build(*(f"results/tiny/exports/{each}/manifest.json" for each in wanted))
    return project


@pytest.fixture
def results(exported: Project) -> distillery.Results:
    return distillery.load(exported.folder / "results/tiny")


@pytest.fixture
def texts(exported: Project) -> tuple[dict[str, str], dict[str, str]]:
    """Texts of queries, of all collections, and of documents, as the full view reads them, by id."""
    queries, documents = {}, {}
    for path in exported.folder.glob("results/tiny/collections/*/queries.parquet"):
        queries |= pd.read_parquet(path).set_index("query_id")["text"].to_dict()
    for path in exported.folder.glob("results/tiny/corpora/*/documents.parquet"):
        frame = pd.read_parquet(path)
        titles = frame["title"].fillna("") if "title" in frame else pd.Series("", frame.index)
        documents[path.parent.name] = dict(
            zip(frame["doc_id"], (titles + " " + frame["text"]).str.strip(), strict=True)
        )
    return queries, documents


def folder(exported: Project, name: str, kind: str) -> Path:
    return exported.folder / "results/tiny/exports" / name / kind


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("collection", ["demo", "demo-hard"])
def test_every_tool_reads_a_run_in_its_order_and_measures_what_the_experiment_says(name, collection, exported, results):
    import ir_measures
    import pyterrier
    import pytrec_eval

    run, qrels = (folder(exported, name, "trec") / f"{collection}.{kind}" for kind in ("run", "qrels"))
    ours = results.run(RUNS[name], collection)
    with gzip.open(exported.folder / f"results/tiny/runs/{RUNS[name]}/all/{collection}.run.gz", "rt") as file:
        assert len(file.readlines()) == len(ours)
    with open(run) as lines:
        parsed = pytrec_eval.parse_run(lines)
    # trec_eval sorts by 32-bit scores, equal ones by document ids downwards.
    for query, own in ours.groupby("query_id"):
        order = sorted(parsed[query], key=lambda doc_id: (np.float32(parsed[query][doc_id]), doc_id), reverse=True)
        assert order == own["doc_id"].tolist()
        np.testing.assert_allclose([parsed[query][doc_id] for doc_id in order], own["score"], rtol=1e-5)
    read = pyterrier.io.read_results(str(run))
    assert read.sort_values(["qid", "rank"])["docno"].tolist() == ours["doc_id"].tolist()
    by_score = read.sort_values(["qid", "score"], ascending=[True, False])
    assert by_score["docno"].tolist() == ours["doc_id"].tolist()
    measures = [ir_measures.nDCG @ 10, ir_measures.AP]
    found = ir_measures.iter_calc(
        measures, list(ir_measures.read_trec_qrels(str(qrels))), list(ir_measures.read_trec_run(str(run)))
    )
    own = results.metrics.query("student == @name.partition('.')[0] and collection == @collection")
    own = own.query("measure != 'excess risk' and loss in ('', 'marginmse') and sampler in ('', 'crossencoder')")
    expected = own.set_index(["query_id", "measure"])["value"].to_dict()
    values = {(each.query_id, str(each.measure)): each.value for each in found}
    assert values.keys() == expected.keys() and len(values) > 20
    assert values == pytest.approx(expected, abs=1e-9)


def test_runs_have_equal_scores_which_the_exports_have_not(exported):
    counts = json.loads((folder(exported, "bm25", "trec") / "manifest.json").read_text())["counts"]
    assert min(counts.values()) > 0
    for path in folder(exported, "bm25", "trec").glob("*.run"):
        frame = pd.read_csv(path, sep=" ", names=["query", "q0", "document", "rank", "score", "tag"])
        assert not frame.duplicated(["query", "score"]).any()


def training_rows(results, name):
    """The groups of a cell, and the teacher's scores where it reads them."""
    _, _, sampler, teacher, seed = name.split(".")
    groups_id = f"{sampler}.{teacher}/{seed}" if sampler == "crossencoder" else f"{sampler}/{seed}"
    return results.groups(groups_id, None if teacher == "none" else teacher)


@pytest.mark.parametrize("name", [*STUDENTS.values(), CONTRASTIVE])
def test_exported_groups_are_those_trained_on(name, exported, results, texts, tmp_path):
    from datasets import load_dataset

    rows, (queries, documents) = training_rows(results, name), (texts[0], texts[1]["demo"])
    scored = "teacher_score" in rows
    groups = load_dataset(str(folder(exported, name, "datasets")), split="train", cache_dir=str(tmp_path)).to_list()
    assert [row["query_id"] for row in groups] == rows["query_id"].tolist()[::4]
    assert [row["query"] for row in groups] == [queries[row["query_id"]] for row in groups]
    columns = [key for key, value in groups[0].items() if isinstance(value, list)]
    flat = {key: list(chain.from_iterable(row[key] for row in groups)) for key in columns}
    assert flat["doc_ids"] == rows["doc_id"].tolist()
    assert flat["documents"] == [documents[doc_id] for doc_id in flat["doc_ids"]]
    assert flat["sources"] == rows["source"].tolist()
    assert ("scores" in flat) == scored and (not scored or flat["scores"] == rows["teacher_score"].tolist())

    path = str(folder(exported, name, "sentence-transformers"))
    tuples, lists = (
        load_dataset(path, kind, split="train", cache_dir=str(tmp_path)).to_list()
        for kind in ("n-tuple", "labeled-list")
    )
    names = ["query", "positive", "negative_1", "negative_2", "negative_3"]
    assert list(tuples[0]) == names + ["label"] * scored
    assert [[row[each] for each in names] for row in tuples] == [[row["query"], *row["documents"]] for row in groups]
    assert [row["documents"] for row in lists] == [row["documents"] for row in groups]
    labels = [row["scores"] for row in groups] if scored else [[1, 0, 0, 0]] * len(groups)
    assert [row["labels"] for row in lists] == labels
    assert not scored or [row["label"] for row in tuples] == labels

    lines = [json.loads(line) for line in (folder(exported, name, "tevatron") / "train.jsonl").read_text().splitlines()]
    for line, row in zip(lines, groups, strict=True):
        assert list(line) == ["query_id", "query", "positive_passages", "negative_passages"]
        assert (line["query_id"], line["query"], len(line["positive_passages"])) == (row["query_id"], row["query"], 1)
        passages = line["positive_passages"] + line["negative_passages"]
        columns = (
            {"docid": "doc_ids", "text": "documents", "score": "scores"}
            if scored
            else {"docid": "doc_ids", "text": "documents"}
        )
        assert passages == [
            dict(zip(columns, values, strict=True))
            for values in zip(*(row[key] for key in columns.values()), strict=True)
        ]


@pytest.mark.parametrize("kind", STUDENTS)
def test_sentence_transformers_losses_of_the_exported_groups_are_ours(kind, exported, tmp_path):
    """Second implementation: its models, its losses, its columns."""
    from datasets import load_dataset
    from sentence_transformers import CrossEncoder, SentenceTransformer
    from sentence_transformers.cross_encoder import losses as cross_losses
    from sentence_transformers.sentence_transformer import losses

    path, model_path = (str(folder(exported, STUDENTS[kind], part)) for part in ("sentence-transformers", "model"))
    rows = load_dataset(path, "n-tuple", split="train", cache_dir=str(tmp_path))
    labels = torch.tensor(rows["label"])
    # The tiny teacher has learned little: its scores are all but equal.
    labels = (labels - labels.mean()) / labels.std()
    columns = [list(rows[name]) for name in rows.column_names if name != "label"]
    if kind == "ce":
        model = CrossEncoder(model_path, device="cpu")
        pairs = [pair for documents in columns[1:] for pair in zip(columns[0], documents, strict=True)]
        student = torch.from_numpy(model.predict(pairs)).view(4, -1).T
        found = [(cross_losses.MarginMSELoss(model)(columns, labels), marginmse)]
    else:
        model = SentenceTransformer(model_path, device="cpu")
        vectors = [model.encode(texts, convert_to_tensor=True) for texts in columns]
        vectors[0] = 30 * vectors[0]
        student = torch.stack([(vectors[0] * each).sum(1) for each in vectors[1:]], 1)
        found = [
            (losses.MarginMSELoss(model).compute_loss_from_embeddings(vectors, labels), marginmse),
            (losses.DistillKLDivLoss(model).compute_loss_from_embeddings(vectors, labels), kl),
        ]
    for theirs, ours in found:
        assert theirs.item() == pytest.approx(ours.loss(student, labels).item(), rel=1e-4)


def scored(results, name, collection, texts):
    """Ids, texts and scores of the first three queries of a run."""
    run = results.run(MODELS[name], collection)
    run = run[run["query_id"].isin(run["query_id"].unique()[:3])]
    queries, documents = texts[0], texts[1][collection]
    return run, [(queries[row.query_id], documents[row.doc_id]) for row in run.itertuples()]


@pytest.mark.parametrize("collection", ["demo", "demo-hard"])
@pytest.mark.parametrize("name", MODELS)
def test_libraries_give_the_exported_model_s_scores(name, collection, exported, results, texts):
    from sentence_transformers import CrossEncoder, SentenceTransformer
    from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

    path = str(folder(exported, name, "model"))
    run, pairs = scored(results, name, collection, texts)
    tokenizer = AutoTokenizer.from_pretrained(path)
    lengths = np.array([len(tokenizer(document, add_special_tokens=False).input_ids) for _, document in pairs])
    whole = lengths <= 36
    run, pairs = run[whole], [pair for pair, fits in zip(pairs, whole, strict=True) if fits]
    # Documents of the hard shift are longer than those of training.
    assert len(pairs) > 20 and (lengths[whole].max() == 36) == (collection == "demo-hard")
    queries, documents = map(list, zip(*pairs, strict=True))
    if name.startswith("be"):
        model = SentenceTransformer(path, device="cpu")
        vectors = [model.encode(side) for side in (queries, documents)]
        theirs = model.similarity_pairwise(*vectors)
        library = AutoModel.from_pretrained(path).eval()
        with torch.no_grad():
            states = [
                library(**tokenizer(side, padding=True, return_tensors="pt")).last_hidden_state[:, 0]
                for side in (queries, documents)
            ]
        plain = (states[0] * states[1]).sum(1)
    else:
        theirs = CrossEncoder(path, device="cpu").predict(pairs)
        library = AutoModelForSequenceClassification.from_pretrained(path).eval()
        with torch.no_grad():
            plain = library(**tokenizer(queries, documents, padding=True, return_tensors="pt")).logits[:, 0]
    # The tiny student's scores are all but equal: held to their spread, two tokens cut off a document show.
    for found in (theirs, plain):
        np.testing.assert_allclose(np.asarray(found), run["score"], rtol=0, atol=0.1 * run["score"].std())


@pytest.mark.parametrize("kind", STUDENTS)
def test_onnx_runtime_gives_the_same_scores(kind, exported, results, texts):
    import onnxruntime
    from transformers import AutoTokenizer

    path = folder(exported, STUDENTS[kind], "onnx")
    session, tokenizer = onnxruntime.InferenceSession(path / "model.onnx"), AutoTokenizer.from_pretrained(path)

    def computed(*sides):
        inputs = tokenizer(*sides, padding=True, truncation=True, return_tensors="np")
        return session.run(None, {each.name: inputs[each.name] for each in session.get_inputs()})[0]

    run, pairs = scored(results, STUDENTS[kind], "demo", texts)
    whole = [len(tokenizer(document, add_special_tokens=False).input_ids) <= 36 for _, document in pairs]
    queries, documents = (
        list(side) for side in zip(*(pair for pair, fits in zip(pairs, whole, strict=True) if fits), strict=True)
    )
    scores = (
        computed(queries, documents)[:, 0]
        if kind == "ce"
        else (computed(queries)[:, 0] * computed(documents)[:, 0]).sum(1)
    )
    np.testing.assert_allclose(scores, run.loc[whole, "score"], rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_s_card_has_the_results_of_its_cells_and_its_folder_the_model_as_it_is(name, exported):
    from huggingface_hub import ModelCard

    path = folder(exported, name, "model")
    origin = (
        exported.folder
        / "results/tiny"
        / (MODELS[name].replace("teacher", "teachers") if "teacher" in name else f"students/{MODELS[name]}")
    )
    made = json.loads((origin / "manifest.json").read_text())["files"]
    assert {each for each in made if each != "README.md"} <= {
        str(each.relative_to(path)) for each in path.rglob("*") if each.is_file()
    }
    assert all((path / each).read_bytes() == (origin / each).read_bytes() for each in made if each != "README.md")
    card = ModelCard.load(path / "README.md")
    assert (card.data.license, len(card.data.eval_results)) == ("apache-2.0", 4)
    assert f"results/tiny/exports/{name}/model/manifest.json" in card.text
    if name == "teacher.base":
        return
    for domain in ("in-domain", "hard-shift"):
        cell = pd.read_csv(exported.folder / f"results/tiny/cells/{name}.{domain}.csv").set_index("measure")
        for measure, row in cell.iterrows():
            interval = f"{row.value:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}]"
            assert f"| {domain} | {row.n_queries:.0f} | {measure} | {interval} |" in card.text
            (noted,) = (
                each.metric_value
                for each in card.data.eval_results
                if (each.dataset_name, each.metric_type) == (domain, measure)
            )
            assert noted == pytest.approx(row.value, abs=1e-6)


def test_what_cannot_be_exported_is_said(exported):
    for target, message in (
        ("bm25/model", "bm25 was not trained here"),
        (
            f"{STUDENTS['be']}/parquet",
            "no format 'parquet': choose datasets, sentence-transformers, tevatron, trec, model or",
        ),
        ("teacher.bse/model", "no 'bse' among the teachers"),
    ):
        assert message in exported.refused(f"results/tiny/exports/{target}/manifest.json")


def test_results_as_frames(results, tmp_path):
    cell = results.metrics.query("student == 'ce' and loss == 'lce' and sampler == 'bm25' and measure == 'AP'")
    mean = cell[cell["collection"] == "demo"]["value"].mean()
    main = results.table("main").query("student == 'ce' and loss == 'lce' and sampler == 'bm25' and measure == 'AP'")
    assert main.query("domain == 'in-domain' and collection == 'all'")["mean"].item() == pytest.approx(mean)
    assert len(results.rankers) == 10 and "profiles" in results.tables
    assert results.groups_ids == ["bm25/seed0", "bm25/seed1", "crossencoder.base/seed0"]
    for wrong, named in (
        (lambda: results.run("be", "demo"), "be/lce.bm25.none/seed0"),
        (lambda: results.table("man"), "main"),
        (lambda: results.groups("bm25/seed7"), "bm25/seed7"),
        (lambda: distillery.load(tmp_path), "results/demo"),
    ):
        with pytest.raises(InputError, match=named):
            wrong()


def test_what_the_docs_show_runs_as_written(exported, monkeypatch):
    """Every block of Python in docs/formats.md, on this experiment's cell in the place of the demo's."""
    text = (ROOT / "docs/formats.md").read_text()
    command = re.search(r"^make export CELL=.* FORMAT=model", text, re.MULTILINE)[0]
    done = subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "results/demo/exports/ce.kl.crossencoder.base.seed0/model/manifest.json" in done.stdout
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    monkeypatch.chdir(exported.folder)
    for block in blocks:
        names: dict = {}
        exec(block.replace("results/demo", "results/tiny").replace("kl.", "marginmse."), names)
        assert "scores" not in names or names["scores"].shape == (1, 1)
