"""The only functions: the experiment, paths, spec(), code(), remake(), what a job needs."""

import itertools
import json
import os
import shlex
import sys
from pathlib import Path, PurePosixPath

from snakemake.exceptions import WorkflowError
from snakemake.io import ancient

sys.path.insert(0, workflow.basedir)
from workflow_scripts.planning.code import closure
from workflow_scripts.planning.environment import prepare_environment
from workflow_scripts.planning.experiment import Experiment
from workflow_scripts.storage.artifacts import InputError

prepare_environment(Path(workflow.basedir))
if not config:
    raise WorkflowError("name an experiment, for example: snakemake --configfile config/demo.yaml --cores 2")
try:
    EXPERIMENT = Experiment(config)
except InputError as error:
    raise WorkflowError(str(error)) from None

CONFIG = EXPERIMENT.config
RESULTS = f"results/{EXPERIMENT.name}"
TRAINING = CONFIG["training"]
# A list, since canonical JSON would sort the names: domains stand in the order of the config.
DOMAINS = [{"name": name, "collections": members} for name, members in CONFIG["domains"].items()]
MEASURES = {
    collection: CONFIG["evaluation"]["measures"] + CONFIG["evaluation"]["more_measures"].get(collection, [])
    for collection in EXPERIMENT.evaluated
}
# (system, collection) of the rankings that are held against published figures.
CHECKED = [(system, name) for system in CONFIG["first_stage"]["check"] for name in EXPERIMENT.evaluated]
ALL_MEASURES = list(dict.fromkeys(itertools.chain(*MEASURES.values())))
# The grid as a table lists it: rows in the order of the config.
GRID = {axis: list(CONFIG[axis]) for axis in ("students", "losses", "samplers", "teachers", "seeds")}
TABLES = [
    f"{RESULTS}/tables/{name}.{ending}"
    for name in (
        "main",
        "equivalence",
        *(f"collections.{student}" for student in GRID["students"]),
        "variance",
        "correlation",
        "locality",
        "configuration",
        "cost",
        "contamination",
    )
    for ending in ("csv", "md", "tex")
]
if CHECKED:
    TABLES.append(f"{RESULTS}/tables/first_stage.csv")
DRAWN = ("pipeline", "score_by_rank", "training", "score_grid", "cost")
FIGURES = [f"{RESULTS}/figures/{name}.{ending}" for name in DRAWN for ending in ("png", "pdf")]

# What a job of each stage needs on a small collection: (threads, megabytes, minutes). An experiment at another scale
# says so under "resources"; a site says how jobs run in a profile.
NEEDS = {
    "prepare": (1, 2000, 30),
    "index": (2, 3000, 30),
    "search": (2, 3000, 30),
    "pretrain": (1, 2000, 30),
    "mine": (1, 2000, 30),
    "score": (1, 2000, 60),
    "train": (1, 2000, 60),
    "rerank": (1, 2000, 60),
    "analyse": (1, 1000, 30),
}


def needs(stage, what):
    """Threads, mem_mb or runtime (minutes) of a stage; memory and time double with each retry."""
    value = CONFIG["resources"].get(stage, {}).get(what)
    if value is None:
        value = NEEDS[stage][("threads", "mem_mb", "runtime").index(what)]
    return value if what == "threads" else lambda wildcards, attempt: value * 2 ** (attempt - 1)


def manifest(*parts):
    """Path of the manifest of the artifact in the folder ``results/{experiment}/parts...``."""
    return str(PurePosixPath(RESULTS, *map(str, parts), "manifest.json"))


def spec(**values):
    """The canonical JSON of what a step depends on: equal values give equal text."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def code(rule, *chosen):
    """Files that a rule's script runs, with the chosen losses or samplers (``"losses.kl"``) that it finds by name."""
    modules = [f"workflow_scripts.{rule}", *(f"workflow_scripts.ranking.{name}" for name in chosen)]
    # Relative where possible: metadata stays valid when the whole project is copied.
    return [os.path.relpath(os.path.join(workflow.basedir, path)) for path in closure(modules)]


def known(look_up, *arguments):
    """Look something up in the experiment; an unknown id ends with one line that names the valid ones."""
    try:
        return look_up(*arguments)
    except InputError as error:
        raise WorkflowError(str(error)) from None


def entry(axis, name):
    """An entry of the config, e.g. ``entry("samplers", "bm25")``."""
    return known(EXPERIMENT.entry, axis, name)


def picked(axis, name, *keys):
    """Those of ``keys`` that the entry ``name`` of an axis has, as a dict."""
    return {key: value for key, value in entry(axis, name).items() if key in keys}


def one_of(names):
    """A wildcard constraint: exactly these ids."""
    return "|".join(names) or "(?!)"


def other_than(names):
    """A wildcard constraint: any slug but these, so that an unknown id reaches the look-up that names the valid ones."""
    return f"(?!({one_of(names)})[/.])[a-z0-9-]+"


def remake(path):
    """``path`` as an input that is made again where it is missing.

    Snakemake leaves a missing intermediate alone while the files made from it stand. Here a path is a promise: a
    student or a run that was deleted is made again by whatever asks for its cell.
    """
    if not os.path.exists(path):
        workflow.dag.forcefiles.add(path)
    return path


def tokens(backbone, *folder):
    """Token store, in the vocabulary of a backbone, of a collection's queries or a corpus."""
    return manifest("tokens", entry("backbones", backbone)["vocabulary"], *folder)


def query_tokens(backbone, collection):
    return tokens(backbone, f"{collection}.queries")


def document_tokens(backbone, collection, view):
    return tokens(backbone, f"{entry('collections', collection)['corpus']}.{view}")


def model(ranker):
    """Manifest of the model behind ``students/...`` or ``teacher/{teacher}``."""
    if ranker.startswith("teacher/"):
        name = ranker.removeprefix("teacher/")
        teacher = entry("teachers", name)
        return manifest("teachers", name) if teacher["trained"] else manifest("backbones", teacher["backbone"])
    return manifest("students", known(EXPERIMENT.ranker, ranker).path)


def architecture(ranker):
    """Architecture and backbone of a student or a teacher."""
    if ranker.startswith("teacher/"):
        return "cross-encoder", entry("teachers", ranker.removeprefix("teacher/"))["backbone"]
    student = entry("students", known(EXPERIMENT.ranker, ranker).student)
    return student["architecture"], student["backbone"]


def local_model(source):
    """Files of a backbone in a local folder; none of a hub id."""
    if not source.startswith((".", "/")):
        return []
    return sorted(str(path) for path in Path(source).iterdir() if path.suffix in (".json", ".safetensors", ".txt"))


def runs(ranker):
    """Run files of a ranker, one per test collection."""
    return [f"{RESULTS}/runs/{ranker}/{collection}.run.gz" for collection in EXPERIMENT.evaluated]


def optimisation(name, documents, learning_rate, loss, seed):
    """Spec values of a training job."""
    keys = ("batch_groups", "gradient_accumulation", "warmup", "weight_decay", "dropout", "precision")
    return dict(
        {key: TRAINING[key] for key in keys},
        name=name,
        documents=documents,
        learning_rate=learning_rate,
        group_size=1 + TRAINING["negatives"],
        loss={"function": entry("losses", loss)["function"], "options": entry("losses", loss)["options"]},
        seeds={"initialisation": seed, "order": seed},
        max_tokens=CONFIG["lengths"],
    )


# Folder of a sampler's groups -> (sampler, teacher); the teacher is None where the sampler reads no teacher scores.
LABELS = {
    EXPERIMENT.label(sampler, teacher): (sampler, teacher if options["reads_teacher"] else None)
    for sampler, options in CONFIG["samplers"].items()
    for teacher in CONFIG["teachers"]
}


def sampler_of(label):
    """The sampler's config and its teacher (None where it reads no scores) behind a label."""
    if label not in LABELS:
        raise WorkflowError(f"no sampler {label!r} in {EXPERIMENT.name}: it has {', '.join(LABELS)}")
    sampler, teacher = LABELS[label]
    return entry("samplers", sampler), teacher


def teacher_tokens(wildcards):
    """Token stores of the training queries and documents in the teacher's vocabulary."""
    backbone = entry("teachers", wildcards.teacher)["backbone"]
    collection = TRAINING["collection"]
    return {
        "queries": query_tokens(backbone, collection),
        "documents": document_tokens(backbone, collection, TRAINING["view"]),
    }


def student_inputs(wildcards):
    """Groups, labels where the loss reads a teacher, backbone and token stores of one student."""
    ranker = known(EXPERIMENT.ranker, wildcards.ranker)
    loss, backbone = entry("losses", ranker.loss), entry("students", ranker.student)["backbone"]
    label, seed = EXPERIMENT.label(ranker.sampler, ranker.teacher), f"seed{ranker.seed}"
    collection = TRAINING["collection"]
    return {
        "code": code("train_student", f"losses.{loss['function']}"),
        "backbone": manifest("backbones", backbone),
        "groups": manifest("groups", label, seed),
        "labels": [manifest("labels", ranker.teacher, label, seed)] if loss["reads_teacher"] else [],
        "queries": query_tokens(backbone, collection),
        "documents": document_tokens(backbone, collection, TRAINING["view"]),
    }


def student_spec(wildcards):
    """Spec of one student's training."""
    ranker = known(EXPERIMENT.ranker, wildcards.ranker)
    return spec(
        architecture=entry("students", ranker.student)["architecture"],
        **optimisation(
            ranker.path,
            documents=TRAINING["documents"],
            learning_rate=entry("students", ranker.student)["learning_rate"],
            loss=ranker.loss,
            seed=ranker.seed,
        ),
    )


def evaluated_rankings(system):
    """A system's rankings of all test collections."""
    return [manifest("rankings", system, collection) for collection in EXPERIMENT.evaluated]


def ranker_keys(ranker):
    """Columns that name a ranker in the metrics: empty where a reference has no such axis."""
    if ranker == "bm25":
        return {"student": "bm25", "loss": "", "sampler": "", "teacher": "", "seed": None}
    if ranker.startswith("teacher/"):
        return {
            "student": "teacher",
            "loss": "",
            "sampler": "",
            "teacher": ranker.removeprefix("teacher/"),
            "seed": None,
        }
    student = known(EXPERIMENT.ranker, ranker)
    return {key: getattr(student, key) for key in ("student", "loss", "sampler", "teacher", "seed")}


def references():
    """Rankers that are no students: BM25 and every teacher."""
    return ["bm25", *(f"teacher/{teacher}" for teacher in CONFIG["teachers"])]


def every_metrics():
    """Metrics of every ranker; made again where they are missing."""
    return [remake(manifest("metrics", ranker)) for ranker in [*references(), *EXPERIMENT.rankers]]


def axes(*names):
    """Ids of the named axes of the grid, each in the order of the config."""
    return {name: list(CONFIG[name]) for name in names}


def embedder():
    """Whose vectors locality is measured by: its id, its model's manifest and the backbone that it reads texts as."""
    chosen = CONFIG["analysis"]["locality"]["embedding"]
    if chosen is None:
        chosen = next(iter(CONFIG["students"].values()))["backbone"]
    if chosen in CONFIG["backbones"]:
        return chosen, manifest("backbones", chosen), chosen
    student = known(EXPERIMENT.ranker, chosen)
    kind, backbone = architecture(student.path)
    if kind != "bi-encoder":
        raise WorkflowError(
            f"analysis.locality.embedding: {chosen} is a {kind}; name a backbone or a bi-encoder's cell"
        )
    return chosen, manifest("students", student.path), backbone


# (sampler, teacher, seed) of every set of groups and labels.
SAMPLED = list(itertools.product(CONFIG["samplers"], CONFIG["teachers"], CONFIG["seeds"]))


def sampled(kind):
    """Manifests of the groups or the labels of SAMPLED, in its order."""
    labels = [(EXPERIMENT.label(sampler, teacher), teacher, f"seed{seed}") for sampler, teacher, seed in SAMPLED]
    if kind == "groups":
        return [manifest("groups", label, seed) for label, _, seed in labels]
    return [manifest("labels", teacher, label, seed) for label, teacher, seed in labels]


def rules_all():
    """Every artifact that the default target promises."""
    rankers = [*references(), *EXPERIMENT.rankers]
    cells = [f"{RESULTS}/cells/{cell}.{domain}.csv" for cell in EXPERIMENT.cells for domain in CONFIG["domains"]]
    models = [manifest("students", ranker) for ranker in EXPERIMENT.rankers]
    return TABLES + FIGURES + cells + models + [path for ranker in rankers for path in runs(ranker)]


IMPORTED = [name for name, system in CONFIG["systems"].items() if system["model"] == "import"]


wildcard_constraints:
    corpus="[a-z0-9-]+",
    collection="[a-z0-9-]+",
    system="[a-z0-9-]+",
    backbone="[a-z0-9-]+",
    vocabulary="[a-z0-9-]+",
    view="full|body",
    teacher="[a-z0-9-]+",
    pool="[a-z0-9-]+",
    label=r"[a-z0-9-]+(\.[a-z0-9-]+)?",
    seed=r"\d+",
    ranker=r"[a-z0-9-]+/[a-z0-9./-]+",
    cell=r"[a-z0-9-]+\.[a-z0-9-]+\.[a-z0-9-]+\.[a-z0-9-]+\.seed\d+",
