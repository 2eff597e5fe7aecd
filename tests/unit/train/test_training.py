"""Training: against a plain second implementation, killed and resumed, and refused where it cannot work."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch
from factories import training_spec
from safetensors import safe_open

from workflow_scripts.models.optimiser import AdamW
from workflow_scripts.models.rankers import RankerModel, load_ranker
from workflow_scripts.models.sentence_transformers import Embedding, read_embedding
from workflow_scripts.models.token_store import TokenStore, pair_sequences, single_sequences
from workflow_scripts.storage.artifacts import CHECKPOINT
from workflow_scripts.storage.command import read_settings
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.seeds import derive_seed
from workflow_scripts.train import training
from workflow_scripts.train.checkpoints import FILE, Checkpoints
from workflow_scripts.train.groups import group_order, read_groups
from workflow_scripts.train.history import History
from workflow_scripts.train.losses import load_loss
from workflow_scripts.train.settings import Settings
from workflow_scripts.train.train_ranker import train_ranker as train

SPEC = training_spec()


def plain_training(inputs, spec):
    """The same training, a group and a sequence at a time, by torch's own optimiser; returns weights and losses."""
    queries, documents = TokenStore(inputs["queries"]), TokenStore(inputs["documents"])
    groups = read_groups(inputs["groups"], queries, documents, group_size=3, labels=inputs["labels"])
    seed = derive_seed(spec["seeds"]["initialisation"], "head")
    embedding = {key: spec[key] for key in ("pooling", "similarity") if key in spec}
    folder = inputs["backbone"].parent
    model = load_ranker(folder, spec["architecture"], initialise_seed=seed, dropout=0.0, **embedding).train()
    biases = [parameter for parameter in model.parameters() if parameter.dim() == 1]
    others = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    optimiser = torch.optim.AdamW([{"params": others, "weight_decay": 0.01}, {"params": biases, "weight_decay": 0.0}])
    loss = load_loss(spec["loss"]["function"])
    order = group_order(5, 6 * 4, spec["seeds"]["order"]).reshape(6, 4)
    # 10% of 6 steps is one step of warm-up, which is at the peak already; then 5 steps down.
    rates = [0.003 * share for share in (1, 1, 0.8, 0.6, 0.4, 0.2)]
    seen = []
    for chosen, rate in zip(order, rates, strict=True):
        scores = []
        for number in chosen:
            query, docs = groups.query_rows[number : number + 1], groups.document_rows[number]
            if spec["architecture"] == "cross-encoder":
                each = [model(pair_sequences(queries, query, documents, docs[i : i + 1], 99, 99)) for i in range(3)]
                scores.append(torch.cat(each))
            else:
                embedded = [model(single_sequences(documents, docs[i : i + 1], 99))[0] for i in range(3)]
                scores.append(torch.stack(embedded) @ model(single_sequences(queries, query, 99))[0])
        value = loss(torch.stack(scores), torch.from_numpy(groups.teacher[chosen]))
        optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.step()
        seen.append(value.item())
    return model.state_dict(), seen, rates


@pytest.mark.parametrize(
    ("architecture", "function", "embedding"),
    [
        ("cross-encoder", "marginmse", {}),
        ("bi-encoder", "kl", {}),
        ("bi-encoder", "kl", {"pooling": "mean", "similarity": "cosine"}),
    ],
)
def test_agrees_with_a_plain_loop(inputs, tmp_path, architecture, function, embedding):
    spec = SPEC | {"architecture": architecture, "loss": {"function": function}} | embedding
    output = tmp_path / "manifest.json"
    train(**inputs, spec=spec, output=output)
    expected, losses, rates = plain_training(inputs, spec)
    trained = load_ranker(tmp_path, architecture, initialise_seed=0).state_dict()
    before = load_ranker(inputs["backbone"].parent, architecture, initialise_seed=0).state_dict()
    assert trained.keys() == expected.keys()
    # AdamW divides by the gradient's size, so rounding grows where a gradient is nearly 0: single weights are not held
    # to the digit, the movement of all is. A key's bias and the score's bias move a group's scores alike: noise alone.
    names = [name for name in trained if not name.endswith(("key.bias", "head.out.bias"))]
    moved, apart = (torch.cat([(trained[n] - other[n]).flatten() for n in names]) for other in (before, expected))
    assert moved.abs().max() > 0.01 and apart.norm() < 0.01 * moved.norm()
    history = pd.read_parquet(tmp_path / "history.parquet")
    assert history["loss"].tolist() == pytest.approx(losses, rel=1e-4)
    assert history["learning_rate"].tolist() == pytest.approx(rates)
    assert history["documents"].tolist() == [12 * step for step in range(1, 7)]
    assert (history["gradient_norm"] > 0).all()
    manifest = json.loads(output.read_text())
    assert manifest["counts"] == {"documents": 72, "steps": 6, "groups": 5}
    card = (tmp_path / "README.md").read_text()
    assert card.startswith("---\n") and "# a-student" in card and f"`{inputs['labels']}`" in card
    if architecture == "bi-encoder":
        assert read_embedding(tmp_path) == Embedding(**embedding)
        assert ("the cosine of their mean states" if embedding else "the dot product of their [CLS] states") in card


@pytest.mark.parametrize(("architecture", "longest"), [("cross-encoder", 12 + 12 + 3), ("bi-encoder", 12 + 2)])
def test_sentence_transformers_cuts_where_the_settings_do_however_short_training_texts_are(
    inputs, tmp_path, architecture, longest
):
    counts = {name: json.loads(inputs[name].read_text())["counts"] for name in ("queries", "documents")}
    assert all(each["longest"] < each["cut_at"] == 12 for each in counts.values())
    for lengths, fewer in ((None, 0), ({"query": 11, "document": 11}, 1 + (architecture == "cross-encoder"))):
        output = tmp_path / f"{fewer}/manifest.json"
        train(**inputs, spec=SPEC | {"architecture": architecture, "max_tokens": lengths}, output=output)
        settings = json.loads((output.parent / "sentence_bert_config.json").read_text())
        assert settings["max_seq_length"] == longest - fewer


def test_a_batch_in_parts_is_the_whole_batch(inputs, tmp_path, monkeypatch):
    seen = []
    for name, size in (("whole", 2**23), ("parts", 1)):
        monkeypatch.setattr(training, "CPU_CACHE_BYTES", size)
        train(**inputs, spec=SPEC, output=tmp_path / name / "manifest.json")
        seen.append(pd.read_parquet(tmp_path / name / "history.parquet"))
    whole, parts = seen
    assert parts["loss"].tolist() == pytest.approx(whole["loss"].tolist(), rel=1e-4)
    assert not parts.equals(whole)  # other batches, so other rounding
    assert parts["documents"].equals(whole["documents"])
    # The most groups that divide the batch and fit; one where none does.
    monkeypatch.setattr(training, "CPU_CACHE_BYTES", 120)
    assert [training.part_groups(12, size) for size in (12, 30, 31, 121)] == [6, 4, 3, 1]


@pytest.mark.slow
def test_killed_and_told_to_stop_and_resumed_it_ends_with_the_same_bytes(inputs, tmp_path):
    # With dropout, which the backbone itself does not have: the masks must resume too.
    spec = SPEC | {"documents": 200 * 12, "dropout": 0.1, "checkpoint_steps": 40}
    paths = [part for name, path in inputs.items() for part in (f"--{name}", str(path))]
    script = "workflow_scripts.train.train_ranker"
    command = [sys.executable, "-m", script, "--spec", json.dumps(spec), *paths, "--output"]
    options = {"stderr": subprocess.PIPE, "text": True, "env": os.environ | {"OMP_NUM_THREADS": "1"}}
    manifest, checkpoint = tmp_path / "broken" / "manifest.json", tmp_path / "broken" / CHECKPOINT / FILE
    whole = subprocess.Popen([*command, str(tmp_path / "whole" / "manifest.json")], **options)
    state = spent = None
    for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 128 + signal.SIGTERM)):
        broken = subprocess.Popen([*command, str(manifest)], **options)
        while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == state:
            assert broken.poll() is None, broken.stderr.read()
            time.sleep(0.002)
        broken.send_signal(number)
        said = broken.communicate()[1]
        assert broken.returncode == code and not manifest.exists() and checkpoint.exists()
        assert ("resumed after step" in said) == (state is not None)
        state = checkpoint.stat().st_mtime_ns
        with safe_open(checkpoint, framework="pt") as file:
            before, spent = spent, json.loads(file.metadata()["cost"])
    assert "asked to stop: checkpoint written after step" in said
    done = subprocess.run([*command, str(manifest)], **options)
    assert done.returncode == 0 and "resumed after step" in done.stderr
    assert whole.wait() == 0
    cost = json.loads(manifest.read_text())["cost"]
    assert all(cost[name] > spent[name] > before[name] > 0 for name in ("wall_s", "cpu_s"))
    assert not checkpoint.parent.exists()
    for name in ("model.safetensors", "history.parquet", "config.json"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_checkpoint_of_another_job_or_a_broken_one_is_ignored_with_a_line(tmp_path, capsys):
    model = torch.nn.Linear(3, 2)
    optimiser = AdamW(model, weight_decay=0.0)
    history = History(load_loss("lce"))
    history.add(torch.tensor(1.5), torch.tensor(0.5), torch.tensor(2.0), 6, 0.1)
    history.flush()
    own, other = Checkpoints(tmp_path, "a"), Checkpoints(tmp_path, "b")
    assert own.load(model, optimiser) is None and capsys.readouterr().err == ""
    own.save(model, optimiser, 1, history.tensors(), {"scale": 2.0})
    weight = model.weight.detach().clone()
    torch.nn.init.zeros_(model.weight)
    assert other.load(model, optimiser) is None and not model.weight.any()
    assert capsys.readouterr().err == "checkpoint ignored: it is of another spec or other inputs\n"
    restored = own.load(model, optimiser)
    assert torch.equal(model.weight, weight) and (restored.step, restored.scaler) == (1, {"scale": 2.0})
    assert History(history.loss, restored.history).columns == history.columns
    # What the process that wrote it had cost comes back, and goes on from there.
    again = Checkpoints(tmp_path, "a")
    again.load(model, optimiser)
    assert again.cost_before_resume["wall_s"] > 0 and not Checkpoints(tmp_path, "a").cost_before_resume
    again.cost_before_resume |= {"wall_s": 1e6, "peak_rss_mb": 1e6}
    again.save(model, optimiser, 1, history.tensors(), {})
    own.load(model, optimiser)
    assert own.cost_before_resume["wall_s"] > 1e6 and own.cost_before_resume["peak_rss_mb"] == 1e6
    whole = own.path.read_bytes()
    for place in range(8, len(whole), 11):  # a bit of the header or of a tensor
        own.path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert own.load(model, optimiser) is None and "checkpoint ignored" in capsys.readouterr().err, place
    own.path.write_bytes(whole[:-7])
    assert own.load(model, optimiser) is None and "cannot be read" in capsys.readouterr().err
    own.remove()
    assert not own.folder.exists()


def test_a_checkpoint_belongs_to_the_precision_in_use(inputs, tmp_path, monkeypatch):
    marks = []

    def stop(model, loss, batches, settings, checkpoints, device):
        marks.append((checkpoints.fingerprint, settings.precision))
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "fit", stop)
    # The same spec, on a GPU with and without bf16.
    for precision in ("bf16", "bf16", "fp16"):
        monkeypatch.setattr(training, "settle_precision", lambda *_, found=precision: found)
        with pytest.raises(KeyboardInterrupt):
            train(**inputs, spec=SPEC, output=tmp_path / "manifest.json")
    # A model of the library that fails in it.
    monkeypatch.setattr(RankerModel, "computable", lambda self, precision, wanted, autocast: "fp32")
    with pytest.raises(KeyboardInterrupt):
        train(**inputs, spec=SPEC, output=tmp_path / "manifest.json")
    assert marks[0] == marks[1] and len(set(marks)) == 3
    assert [precision for _, precision in marks] == ["bf16", "bf16", "fp16", "fp32"]


def test_settings_that_cannot_work_are_one_line():
    with pytest.raises(InputError, match=r"80 documents .* steps of 12 \(2 groups x 3 x accumulation 2\)$"):
        _ = read_settings(Settings, SPEC | {"documents": 80}).steps
    with pytest.raises(InputError, match="no key 'epochs'"):
        read_settings(Settings, SPEC | {"epochs": 3})
    with pytest.raises(InputError, match="lacks the key 'learning_rate'"):
        read_settings(Settings, {name: value for name, value in SPEC.items() if name != "learning_rate"})


def test_inputs_that_do_not_fit_together_are_one_line_and_leave_nothing(inputs, tmp_path):
    output = tmp_path / "model" / "manifest.json"
    with pytest.raises(InputError, match="marginmse reads teacher scores"):
        train(**inputs | {"labels": None}, spec=SPEC, output=output)
    with pytest.raises(InputError, match=r"has groups of 3 documents, not 1 \+ 1"):
        train(**inputs, spec=SPEC | {"group_size": 2, "documents": 80}, output=output)
    # As long as texts may be in evaluation, however short those of training are.
    with pytest.raises(InputError, match="a sequence of 29 tokens does not fit the model's 28 positions"):
        train(**inputs, spec=SPEC | {"max_tokens": {"query": 12, "document": 14}}, output=output)
    assert not any(tmp_path.rglob("*.*"))
