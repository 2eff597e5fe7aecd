"""What all rules share: the experiment, paths, and functions of wildcards."""

import functools
import gc
import itertools
import math
import os
import re
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# A DAG of thousands of jobs is millions of objects that all stay: looking for garbage among them took a sixth of a dry run.
gc.set_threshold(200_000)
sys.path.append(workflow.basedir)
from workflow_scripts.analysis.measure_names import EXCESS_RISK
from workflow_scripts.experiment.archives import families, family_of
from workflow_scripts.experiment.backbone_source import local_files
from workflow_scripts.experiment.backbone_uses import asked_of
from workflow_scripts.experiment.references import collections_of
from workflow_scripts.experiment.claims_table import claims_table, judged_trainings
from workflow_scripts.experiment.warm_start import start as warm_start
from workflow_scripts.experiment.environment import (
    bring_to_now,
    let_jobs_reuse,
    prepare_environment,
    start_jobs_as_they_come,
    take_over_locks,
)
from workflow_scripts.experiment.experiment import Experiment, unique
from workflow_scripts.experiment.exports import Exports
from workflow_scripts.experiment.made_otherwise import ask_again_what_was_made_otherwise
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.experiment.places import Places
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.experiment.rule_parameters import (
    ANY_ID,
    NEEDS,
    gpu_shares,
    job,
    one_of,
    other_than,
    resources_of,
    threads_of,
    with_signature,
)
from workflow_scripts.experiment.slurm import check_jobs_are_seen, time_limit
from workflow_scripts.experiment.studies import budgets_of, dial
from workflow_scripts.experiment.study_tables import cuts_table, training_collections, training_collections_table
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.locks import STARTED
from workflow_scripts.storage.rerun import snakemake_command
from workflow_scripts.storage.shards import SHARD, shard_names

prepare_environment(Path(workflow.basedir))
if re.search("[{}]", workflow.basedir):
    raise WorkflowError(f"Snakemake cannot work in {workflow.basedir}: move the project to a path without braces")
for folder in (workflow.basedir, os.getcwd()):
    if re.search("[\\udc80-\\udcff]", folder):  # what Python makes of bytes that are not UTF-8
        # Snakemake itself could not print its error, which names the rules' file.
        sys.exit(f"error: Java cannot work in {folder!a}: move the project to a path whose name is UTF-8")
if workflow.is_main_process:
    take_over_locks()
if not config:
    raise WorkflowError(f"name an experiment: {snakemake_command(['config/demo.yaml'], '--cores', '2')}")
try:
    read_config(*workflow.configfiles)  # Snakemake's own reader takes the last of two equal keys
    EXPERIMENT = Experiment(config)
except InputError as error:
    raise WorkflowError(str(error)) from None

CONFIG = EXPERIMENT.config
# What a reader gives again to make the same: whose results are linked is no part of it.
CONFIG_FILES = [os.path.relpath(path) for path in workflow.configfiles]
GIVEN = {key: value for key, value in workflow.config_settings.config.items() if key != "reuse"}
let_jobs_reuse(CONFIG["reuse"])
RANKERS = Rankers(EXPERIMENT)
entry = EXPERIMENT.entry
PLACES = Places(EXPERIMENT)
RESULTS, METRICS = PLACES.results, PLACES.metrics
manifest, manifests, log, numbers = PLACES.manifest, PLACES.manifests, PLACES.log, PLACES.numbers
table, figure, runs = PLACES.table, PLACES.figure, PLACES.runs
tokens, query_tokens, document_tokens = PLACES.tokens, PLACES.query_tokens, PLACES.document_tokens
TRAINING = CONFIG["training"]
DEPTH = CONFIG["first_stage"]["depth"]
BOOTSTRAP = CONFIG["evaluation"]["bootstrap"]
# What every job that computes with a model is told about numbers; the command line has the arithmetic of all jobs.
NUMBERS = {"precision": TRAINING["precision"], "arithmetic": CONFIG["arithmetic"]}
# A list, since canonical JSON would sort the names: domains stand in the order of the config.
DOMAINS = [{"name": name, "collections": members} for name, members in CONFIG["domains"].items()]
MORE = CONFIG["evaluation"]["more_measures"]
ALL_MEASURES = unique(
    [*CONFIG["evaluation"]["measures"], *(each for name in EXPERIMENT.test_collections for each in MORE.get(name, []))]
)
# The main grid as a table lists it: rows in the order of the config.
GRID = EXPERIMENT.grid
# Pools and dense searches that several jobs share, where the config says so.
SHARDS = shard_names(CONFIG["shards"])
SCATTERED = len(SHARDS) > 1
# Cells with further seeds: what training again changes.
CONTROLS = EXPERIMENT.control_cells
STUDIES = CONFIG["studies"]
RETRIEVAL = CONFIG["evaluation"]["retrieval"] or dict.fromkeys(("candidates", "depth", "index", "index_parameters"))
RETRIEVERS = EXPERIMENT.retrievers
# Rankers with candidates beside BM25's: their own, or a dense system's.
RETRIEVED = [*RETRIEVERS, *EXPERIMENT.dense_rerankers]
# The rule of every paired comparison, and what a table of such comparisons is made by.
COMPARISON = dict(CONFIG["analysis"]["equivalence"], confidence=BOOTSTRAP["confidence"])
COMPARED = dict(rule=COMPARISON, domains=DOMAINS, measures=ALL_MEASURES, controls=CONTROLS, depth=DEPTH)
# On one host jobs may share a GPU: there Snakemake's resource gpu counts parts of each.
GPU_PARTS = math.lcm(*gpu_shares(CONFIG)) if workflow.local_exec and "gpu" in workflow.global_resources else 1
if GPU_PARTS > 1:
    workflow.register_resource("gpu", workflow.global_resources["gpu"].value * GPU_PARTS)


def minutes_allowed(rule, wildcards):
    """What a job may ask a cluster for; one group is a student's training and each set's re-ranking and measuring."""
    of_student = not wildcards.get("ranker", "").startswith("teacher/")
    return time_limit(workflow, rule, 1 + 2 * len(EXPERIMENT.evaluation_sets) * of_student)


# Each stage's file appends its own.
TABLES, FIGURES = [], []


def artifact(*parts):
    """:func:`manifest` as the output of a rule: it is there when the job starts, which may find it as it would make it."""
    return update(manifest(*parts))


# What every ranker is evaluated on: a set's test collections with what the first stage found.
EVALUATION = manifest("runs", "bm25", "{set}")


def in_project(path):
    """A file of the project, relative to the working directory as other inputs are."""
    return os.path.relpath(os.path.join(workflow.basedir, path))


def rebuild_if_missing(path, *beside):
    """``path`` as an input that is made again where it, or what is ``beside`` it, is missing, or its job ended badly.

    Snakemake leaves a missing intermediate alone while the files made from it stand. Here a path is a promise: a
    student or a run that was deleted is made again by whatever asks for its cell.
    """
    if not all(map(_is_whole, (path, *beside))):
        workflow.dag.forcefiles.add(path)
    return path


@functools.cache
def _is_whole(path):
    if not workflow.dryrun:
        bring_to_now(path)
    return os.path.exists(path) and not os.path.exists(os.path.join(os.path.dirname(path), STARTED))


def reads(**named):
    """A rule's named inputs, each path made again where :func:`rebuild_if_missing` says so.

    A value is a path with wildcards, a list of these, or a function of the wildcards that gives a path or a list.
    """

    def resolved(value):
        def paths(wildcards):
            found = value(wildcards) if callable(value) else value
            fill = (lambda path: path) if callable(value) else (lambda path: path.format(**wildcards))
            if isinstance(found, str):
                return rebuild_if_missing(fill(found))
            return [rebuild_if_missing(fill(path)) for path in found]

        return with_signature(paths)

    return {name: resolved(value) for name, value in named.items()}


def corpus_of(collection):
    """Manifest of the corpus of a collection."""
    return manifest("corpora", entry("collections", collection)["corpus"])


def removes_query(collection):
    """Whether the document that has a query's id is dropped from its results."""
    return entry("collections", collection).get("remove_query", False)


def subset(axis, name, *keys):
    """Those of ``keys`` that the entry ``name`` of an axis has, as a dict."""
    return {key: value for key, value in entry(axis, name).items() if key in keys}


def training_tokens(of):
    """Inputs ``queries`` and ``documents``: token stores of a training collection.

    ``of`` gives, of the wildcards, the backbone whose vocabulary they are in, and the collection.
    """
    return {
        "queries": lambda wildcards: query_tokens(*of(wildcards)),
        "documents": lambda wildcards: document_tokens(*of(wildcards), TRAINING["view"]),
    }


def whole_runs(ranker, evaluation_set):
    """The manifest that speaks for a ranker's runs on a set, which are made again where one is missing."""
    return rebuild_if_missing(manifest("runs", ranker, evaluation_set), *runs(ranker, evaluation_set))


def all_runs(rankers):
    """:func:`whole_runs` of some rankers, each ranker's on all its sets."""
    return [whole_runs(ranker, name) for ranker in rankers for name in EXPERIMENT.sets_of(ranker)]


def tested_in(wildcards):
    """Collections of an evaluation set."""
    return EXPERIMENT.collections_in("bm25", wildcards.set)


def retrieved_in(wildcards):
    """Those of :func:`tested_in` that are retrieved from."""
    return EXPERIMENT.collections_in("retrieved/", wildcards.set)


def ids_of(collections):
    """What names, in a job's options, the ``collections`` of its wildcards: :func:`tested_in`, :func:`retrieved_in`."""
    return lambda wildcards: {"collections": collections(wildcards)}


def student_of(wildcards):
    """Path of the student whose metrics and cells are written."""
    return EXPERIMENT.ranker("{student}/{point}/seed{seed}".format(**wildcards)).path


def sampler_of(groups_id):
    """The sampler's config and its teacher (None where it reads no scores) behind some groups."""
    sampler, teacher = EXPERIMENT.sampler_of(groups_id)
    return entry("samplers", sampler), teacher


def drawn_for(groups_id):
    """The training collection that some groups are of."""
    return EXPERIMENT.training_collection_of(EXPERIMENT.sampler_of(groups_id)[0])


def first_of_vocabulary(wildcards):
    """The backbone whose tokenizer makes the token stores of a vocabulary."""
    return manifest("backbones", EXPERIMENT.vocabulary_backbone(wildcards.vocabulary))


def other_of_vocabulary(wildcards):
    """The backbone, where it is another, whose tokens this one must make; the settings tell it of two made here."""
    first = EXPERIMENT.vocabulary_backbone(entry("backbones", wildcards.backbone)["vocabulary"])
    both_made = {wildcards.backbone, first} <= {*SCRATCH}
    return [] if both_made or first == wildcards.backbone else [manifest("backbones", first)]


def teacher_tokens(collection):
    """:func:`training_tokens` in a teacher's vocabulary; ``collection`` gives the wildcards' training collection."""
    return training_tokens(lambda w: (RANKERS.teacher(w.teacher)["backbone"], collection(w)))


def every_metrics():
    """Metrics of every ranker; made again where they are missing."""
    return PLACES.by_set("metrics", RANKERS.all)


def retrieval_metrics():
    """Metrics of the students on candidates that are not BM25's."""
    return PLACES.by_set("metrics", map("retrieved/{}".format, RETRIEVED))


def axes(*names):
    """Ids of the named axes of the main grid (or all systems), each in the order of the config."""
    return {name: GRID.get(name) or list(CONFIG[name]) for name in names}


def dense_search(wildcards):
    """Spec of a dense system's search."""
    return dict(
        system=wildcards.system,
        index=entry("systems", wildcards.system).get("index", "Flat"),
        remove_query=removes_query(wildcards.collection),
        **NUMBERS,
        max_tokens=CONFIG["lengths"],
        **subset("systems", wildcards.system, "depth", "index_parameters", "pooling", "similarity"),
    )


def archives_of(axis, name):
    """Manifest of the archives that an entry of ir_datasets is read from, if it is one.

    Its age says nothing: archives are held to their checksums, and one more in their family changes no other.
    """
    source = entry(axis, name)
    needed = source["source"] == "ir_datasets" and source.get("pairs") != "titles"
    return [ancient(manifest("archives", family_of(source["id"])))] if needed else []


def pools_of(groups_id, teacher):
    """The pools in which a sampler's pairs have a teacher's scores; none without a teacher."""
    return [manifest("scores", teacher, pool) for pool in sampler_of(groups_id)[0]["pools"] if teacher]


def calibrated_on(wildcards):
    """Scores of a teacher's pool of development, and of those that it leaves pairs to."""
    dev = entry("teachers", wildcards.teacher)["calibrate"]
    return [manifest("scores", wildcards.teacher, pool) for pool in (dev, *entry("pools", dev)["known"])]


def metrics_of_pipelines():
    """Metrics of this experiment, then of those that it lists as other pipelines."""
    others = [f"results/{name}/metrics.parquet" for name in CONFIG["pipelines"]]
    for path in others:
        if not os.path.exists(path):
            raise WorkflowError(f"pipelines: {path} is not there; make that experiment first, as make pipelines does")
    return [METRICS, *others]


def rules_all(wildcards):
    """Every artifact that the default target promises."""
    rankers = [*RANKERS.all, *(f"retrieved/{ranker}" for ranker in RETRIEVED)]
    cells = itertools.chain(*(PLACES.cells(cell, CONFIG["domains"]) for cell in EXPERIMENT.cells))
    promised = [*TABLES, *FIGURES, f"{RESULTS}/report.html", *cells, *manifests("students", EXPERIMENT.rankers)]
    return [*map(rebuild_if_missing, promised), *all_runs(rankers)]


IMPORTED, DENSE = (
    [name for name, system in CONFIG["systems"].items() if system["model"] == model] for model in ("import", "dense")
)
SCRATCH = [name for name, backbone in CONFIG["backbones"].items() if backbone["source"] == "scratch"]
RANKER = f"{ANY_ID}/[a-z0-9./-]+"


wildcard_constraints:
    **dict.fromkeys(
        ("corpus", "collection", "set", "system", "backbone", "vocabulary", "teacher", "pool", "student", "domain"),
        ANY_ID,
    ),
    view="full|body",
    groups_id=rf"{ANY_ID}(\.{ANY_ID})?",
    seed=r"\d+",
    shard=SHARD,
    study="losses|budgets",
    point=rf"{ANY_ID}(\.{ANY_ID}){{2}}",
    ranker=RANKER,
    cell=rf"({ANY_ID}\.){{4}}seed\d+",
