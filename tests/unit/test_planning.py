"""The experiment and the closure of a script's code."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from workflow_scripts.planning import functions
from workflow_scripts.planning.code import ROOT, closure
from workflow_scripts.planning.experiment import Experiment
from workflow_scripts.storage.artifacts import InputError

CONFIGS = sorted((ROOT / "config").glob("*.yaml"))


def names(*modules: str) -> set[str]:
    return {str(path.relative_to("workflow_scripts")) for path in closure(modules)}


def test_code_is_what_a_script_really_imports() -> None:
    """Second implementation: what Python has loaded after importing the script."""
    for script in ("collect_metrics", "mine_negatives", "train_student"):
        probe = (
            f"import sys, workflow_scripts.{script}\n"
            "print(*sorted(m.__file__ for n, m in sys.modules.items() if n.startswith('workflow_scripts')))"
        )
        done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
        loaded = {str(Path(path).relative_to(ROOT / "workflow_scripts")) for path in done.stdout.split()}
        # The closure also sees imports inside functions.
        assert loaded <= names(f"workflow_scripts.{script}")


def test_code_names_the_chosen_loss_only() -> None:
    base = names("workflow_scripts.train_student")
    with_kl = names("workflow_scripts.train_student", "workflow_scripts.ranking.losses.kl")
    assert with_kl - base == {"ranking/losses/kl.py"}
    assert not any(path.startswith("ranking/losses/") and path != "ranking/losses/__init__.py" for path in base)


def test_gpu_stages_import_no_java_and_tables_no_torch() -> None:
    for script in ("train_student", "train_teacher", "score_pool", "label_groups", "rerank_candidates"):
        assert not any("java" in path or "indexing" in path for path in names(f"workflow_scripts.{script}"))
    for script in ("mine_negatives", "measure_runs", "write_cell", "collect_metrics", "make_main_table"):
        for path in closure([f"workflow_scripts.{script}"]):
            assert "import torch" not in (ROOT / path).read_text(), f"{script} reaches torch through {path}"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_experiment_is_valid(path: Path) -> None:
    if path.stem != "schema":
        experiment = Experiment(yaml.safe_load(path.read_text()))
        grid = len(experiment.config["seeds"]) * 2 * 4
        assert len(experiment.grid_rankers) == grid * (4 if path.stem == "small" else 5)
        teacher = next(iter(experiment.config["teachers"]))
        assert experiment.ranker(f"ce.kl.random.{teacher}.seed0") in experiment.rankers.values()


def test_defaults_come_from_the_schema() -> None:
    config = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    filled = Experiment(config).config
    assert filled["evaluation"]["bootstrap"] == {"samples": 1000, "seed": 0, "confidence": 0.95}
    assert filled["training"]["warmup"] == 0.1 and filled["samplers"]["random"]["reads_teacher"] is False
    # The caller's own mapping is left as it was.
    assert "bootstrap" not in config["evaluation"]


BAD = [
    ("losses.lce.reads_teacher", True, "losses.lce.reads_teacher: lce does not read teacher scores; set it to false"),
    ("samplers.crossencoder.reads_teacher", False, "crossencoder reads teacher scores; set it to true"),
    ("losses.kl.options", {"temp": 1}, "losses.kl.options: kl has no 'temp'; it has temperature"),
    ("losses.lce.options", {"temp": 1}, "losses.lce.options: lce has no 'temp'; it has none"),
    ("samplers.bm25.options", {"pool": 50}, "samplers.bm25.options: bm25 needs 'depth'"),
    ("samplers.bm25.systems", [], "samplers.bm25.systems: bm25 draws from rankings; name at least one system"),
    ("samplers.random.systems", ["qld"], "samplers.random.systems: random reads no rankings; leave them out"),
    ("samplers.ensemble.pools", [], "samplers.ensemble.pools: ensemble draws by the teacher's scores"),
    ("students.teacher", {"architecture": "bi-encoder", "backbone": "mini", "learning_rate": 0.1}, "students.teacher:"),
    *((axis, {}, f"{axis}: there are none") for axis in ("students", "losses", "samplers", "teachers", "domains")),
    ("pools.positives.known", ["positives"], "pools.positives.known: positives knows positives, a circle"),
    ("pools.positives.known", ["ensemble"], "a circle; drop one of them"),
    (
        "lengths.document",
        38,
        r"a pair of 8 \+ 38 \+ 3 special tokens exceeds the 48 positions of backbone mini; .* to 49",
    ),
    (
        "domains.more",
        [{"name": "demo-mild", "collections": ["demo"]}],
        "demo-mild has the name of one of the collections",
    ),
    ("domains.more", [{"name": "in-domain", "collections": ["demo"]}], "in-domain has the name of one of the domains"),
    ("domains.more", [{"name": "all", "collections": ["demo"]}], "domains.more: all stands for a domain as a whole"),
    ("domains.more", ["demo", {"name": "x", "collections": ["demo"]}], "domains.more: demo is in it twice"),
    (
        "domains.more",
        [{"name": "x", "collections": ["demo"]}, {"name": "x", "collections": ["demo-mild"]}],
        "the set x has other collections",
    ),
    ("evaluation.measures", ["nDGC@10"], "evaluation.measures: 'nDGC@10' is no measure"),
    ("evaluation.measures", ["R"], "evaluation.measures: 'R' is no measure"),
    ("evaluation.measures", ["MRR"], "evaluation.measures: 'MRR' is printed as 'RR'; write it so"),
    ("evaluation.more_measures", {"demo": ["AP"]}, "evaluation.more_measures.demo: 'AP' is among evaluation.measures"),
    ("corpora.demo.docvectors", False, "systems.bm25-rm3: rm3 reads .* give corpora.demo docvectors: true"),
    ("samplers.bm25.collection", "demo", "samplers.bm25.collection: demo has role test; it needs role train"),
    ("samplers.bm25.collection", "demo-2", "no 'demo-2' among the collections"),
    ("pools.bm25.collection", "other", "no 'other' among the collections"),
    (
        "studies.factorial.losses",
        ["kl-flat", "kl-sharp"],
        "teacher_temperature is 4.0, 0.25; list them in rising order",
    ),
    ("studies.factorial.losses", ["kl-flat"], "studies.factorial.losses: one level shows no effect"),
    ("studies.factorial.samplers", ["random", "near-100"], "random is no mixed, whose share is the dial"),
    ("studies.factorial.seeds", [1], "studies.factorial.seeds: no 1 among the seeds: there are 0"),
    ("studies.teachers.teachers", ["base"], "one teacher shows no difference"),
    ("studies.teachers.losses", ["lce"], "lce reads no teacher"),
    ("studies.cuts.cuts", ["upper"], r"studies.cuts.cuts.0: 'upper' is not one of \['lower-quartile'"),
    (
        "studies.collections",
        {"students": ["ce"], "losses": ["kl"], "samplers": ["bm25"], "teachers": ["base"]},
        "all draw for one collection",
    ),
    ("systems.dense.encoder", "be/lce.dense.base/seed0", "dense draws from dense itself"),
    ("systems.dense.encoder", "ce/lce.bm25.base/seed0", "systems.dense.encoder: ce is no bi-encoder"),
    ("systems.dense.encoder", "minilm", "minilm is no backbone and no cell"),
    ("teachers.base.in_grid", False, "teachers: none is in the main grid"),
    ("first_stage.check", ["bm25-rm3"], "of demo-mild's corpus; give corpora.demo-mild docvectors: true"),
]


def demo(key: str | None = None, value: object = None) -> dict:
    """The demo's configuration with one key set to another value."""
    config = part = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    if key:
        *parents, last = key.split(".")
        for parent in parents:
            part = part[parent]
        part[last] = value
    return config


@pytest.mark.parametrize(("key", "value", "message"), BAD)
def test_a_faulty_cross_reference_is_one_line(key: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        Experiment(demo(key, value))
    assert str(raised.value).startswith("config: ") and "\n" not in str(raised.value)


def test_a_cut_takes_only_a_free_name() -> None:
    config = demo()
    config["samplers"]["bm25-outliers"] = config["samplers"]["bm25"]
    with pytest.raises(InputError, match=r"samplers.bm25-outliers: this name is taken by an entropy cut"):
        Experiment(config)


def test_studies_add_cells_and_seeds_are_told_apart() -> None:
    config = demo("seeds", [0, {"seed": 4, "order": 0}])
    config["studies"]["teachers"]["seeds"] = [4]
    experiment = Experiment(config)
    assert experiment.seeding[4] == {"sampling": 4, "order": 0, "initialisation": 4}
    # The study's cells of the grid's own teacher are the grid's.
    assert [ranker.cell for ranker in experiment.study("teachers") if ranker.path not in experiment.grid_rankers] == [
        "ce.kl.random.weak.seed4",
        "ce.kl.crossencoder.weak.seed4",
    ]
    assert "ce.marginmse.bm25-outliers.base.seed0" in experiment.cells and len(experiment.grid_rankers) == 80
    assert experiment.label("bm25-outliers", "base") == "bm25-outliers.base"


def test_numbers_given_as_texts_are_numbers() -> None:
    # As --config 'seeds=[0, 1]' 'training={documents: 2560}' gives them.
    config = demo("seeds", ["0", {"seed": "1", "order": "0"}])
    config["training"]["documents"], config["training"]["dropout"] = "2560", "null"
    experiment = Experiment(config)
    assert experiment.config["seeds"] == [0, 1] and experiment.seeding[1]["order"] == 0
    assert experiment.config["training"]["documents"] == 2560 and experiment.config["training"]["dropout"] is None
    with pytest.raises(InputError, match=r"config: seeds.0: 'zero' is not of type 'integer', 'object'"):
        Experiment(demo("seeds", ["zero"]))


def test_what_is_not_read_is_not_refused() -> None:
    # One set in two domains, vectors that no system reads, and documents that only bi-encoders read.
    config = demo("domains.more", [{"name": "x", "collections": ["demo"]}])
    config["domains"]["most"] = [{"name": "x", "collections": ["demo"]}, "demo-mild"]
    del config["samplers"]["ensemble"], config["pools"]["ensemble"], config["corpora"]["demo"]["docvectors"]
    config["backbones"]["other"] = config["backbones"]["mini"] | {"source": "google/large"}
    for entry in (config["students"]["ce"], *config["teachers"].values()):
        entry["backbone"] = "other"
    config["lengths"]["document"] = 46
    assert Experiment(config).rankers
    config["lengths"]["document"] = 47
    with pytest.raises(InputError, match=r"a text of 47 \+ 2 special tokens exceeds the 48 positions"):
        Experiment(config)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("NEEDS_TEACHER = 1\n", "kl.py lacks NEEDS_TEACHER = True or False, a function loss"),
        ("NEEDS_TEACHER: bool = True\n", "kl.py lacks a function loss"),
        ("def loss(:\n", "kl.py is no Python: invalid syntax"),
    ],
)
def test_a_faulty_function_file_is_one_line(tmp_path: Path, monkeypatch, text: str, message: str) -> None:
    for kind in ("samplers", "losses"):
        shutil.copytree(ROOT / functions.FOLDER / kind, tmp_path / functions.FOLDER / kind)
    (tmp_path / functions.FOLDER / "losses" / "kl.py").write_text(text)
    monkeypatch.setattr(functions, "ROOT", tmp_path)
    with pytest.raises(InputError, match=f"config: losses.kl.function: .*{message}"):
        Experiment(demo())


def test_planning_loads_nothing_heavy() -> None:
    probe = (
        "import sys, yaml; from workflow_scripts.planning.experiment import Experiment\n"
        "Experiment(yaml.safe_load(open('config/demo.yaml')))\n"
        "assert not {'torch', 'numpy', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", probe], cwd=ROOT, check=True)
