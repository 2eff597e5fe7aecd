"""What all rules share: the experiment, paths, the base rule, and what a job of each stage needs."""

import functools
import gc
import itertools
import json
import os
import re
import shlex
import sys
from pathlib import Path, PurePosixPath

from snakemake.exceptions import WorkflowError

# A DAG of thousands of jobs is millions of objects that all stay: looking for garbage among them took a sixth of a dry run.
gc.set_threshold(200_000)
sys.path.append(workflow.basedir)
from workflow_scripts.analysis.measure_names import EXCESS_RISK
from workflow_scripts.experiment.backbone_source import local_files
from workflow_scripts.experiment.references import collections_of
from workflow_scripts.storage.code import job_digest
from workflow_scripts.experiment.environment import bring_to_now, prepare_environment, take_over_locks
from workflow_scripts.experiment.experiment import Experiment, cut_sampler, unique
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.experiment.studies import dial
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.locks import STARTED

prepare_environment(Path(workflow.basedir))
if re.search("[{}]", workflow.basedir):
    raise WorkflowError(f"Snakemake cannot work in {workflow.basedir}: move the project to a path without braces")
if workflow.is_main_process:
    take_over_locks()
if not config:
    raise WorkflowError("name an experiment, for example: snakemake --configfile config/demo.yaml --cores 2")
try:
    EXPERIMENT = Experiment(config)
except InputError as error:
    raise WorkflowError(str(error)) from None

CONFIG = EXPERIMENT.config
RANKERS = Rankers(EXPERIMENT)
entry = EXPERIMENT.entry
RESULTS = f"results/{EXPERIMENT.name}"
TRAINING = CONFIG["training"]
# A list, since canonical JSON would sort the names: domains stand in the order of the config.
DOMAINS = [{"name": name, "collections": members} for name, members in CONFIG["domains"].items()]
MEASURES = {
    collection: CONFIG["evaluation"]["measures"] + CONFIG["evaluation"]["more_measures"].get(collection, [])
    for collection in EXPERIMENT.evaluated
}
ALL_MEASURES = unique(itertools.chain(*MEASURES.values()))
# The main grid as a table lists it: rows in the order of the config.
GRID = EXPERIMENT.grid
STUDIES = CONFIG["studies"]
RETRIEVAL = CONFIG["evaluation"]["retrieval"]
RETRIEVERS = EXPERIMENT.retrievers
# Domains all of whose collections are retrieved from.
RETRIEVED_DOMAINS = [
    domain for domain in DOMAINS if set(collections_of(domain["collections"])) <= set(EXPERIMENT.tested("retrieved/"))
]
# The rule of every paired comparison.
COMPARISON = dict(CONFIG["analysis"]["equivalence"], confidence=CONFIG["evaluation"]["bootstrap"]["confidence"])
# Each stage's file appends its own.
TABLES, FIGURES = [], []


# What a job of each stage needs on a small collection: (threads, megabytes, minutes). An experiment at another scale
# says so under "resources"; a site says how jobs run in a profile.
NEEDS = {
    "prepare": (1, 2000, 30),
    "index": (2, 3000, 30),
    "tokenise": (1, 2000, 30),
    "search": (2, 3000, 30),
    "pretrain": (1, 2000, 30),
    "mine": (1, 2000, 30),
    "score": (1, 2000, 60),
    "train": (1, 2000, 60),
    "rerank": (1, 2000, 60),
    "analyse": (1, 1000, 30),
}
ON_GPU = ("score", "train", "rerank")


def threads_of(stage):
    """Threads of a stage's jobs."""
    return CONFIG["resources"].get(stage, {}).get("threads", NEEDS[stage][0])


def resources_of(stage):
    """Memory (MB) and run time (minutes) of a stage's jobs, which double with each retry, and a GPU where it needs one."""
    configured = CONFIG["resources"].get(stage, {})
    first = {what: configured.get(what, NEEDS[stage][place]) for what, place in (("mem_mb", 1), ("runtime", 2))}
    doubled = {
        what: lambda wildcards, attempt, value=value: value * 2 ** (attempt - 1) for what, value in first.items()
    }
    return {**doubled, **({"gpu": 1} if stage in ON_GPU else {})}


def manifest(*parts):
    """Path of the manifest of the artifact in the folder ``results/{experiment}/parts...``."""
    return str(PurePosixPath(RESULTS, *map(str, parts), "manifest.json"))


def artifact(*parts):
    """:func:`manifest` as the output of a rule: it is there when the job starts, which may find it as it would make it."""
    return update(manifest(*parts))


# The test collections, and what every ranker is evaluated on: them with what the first stage found.
TESTS = [manifest("collections", name) for name in EXPERIMENT.evaluated]
EVALUATION = manifest("runs", "bm25")


def log(name):
    """Path of a job's log."""
    return f"{RESULTS}/logs/{name}.log"


def table(name):
    """The three files of a table, as a rule's output."""
    return {ending: f"{RESULTS}/tables/{name}.{ending}" for ending in ("csv", "md", "tex")}


def table_files(*names):
    """Paths of all files of the named tables."""
    return [path for name in names for path in table(name).values()]


def numbers(name):
    """The numbers of a table, in full precision."""
    return f"{RESULTS}/analysis/{name}.parquet"


def figure(name):
    """The two files of a figure, as a rule's output."""
    return {ending: f"{RESULTS}/figures/{name}.{ending}" for ending in ("png", "pdf")}


def layout_of(name):
    """Layout of a table: tables of one kind, such as ``per_collection.be`` and ``per_collection.ce``, share theirs."""
    return name.split(".")[0]


def in_project(path):
    """A file of the project, relative to the working directory as other inputs are."""
    return os.path.relpath(os.path.join(workflow.basedir, path))


def rebuild_if_missing(path):
    """``path`` as an input that is made again where it is missing or its last job did not end well.

    Snakemake leaves a missing intermediate alone while the files made from it stand. Here a path is a promise: a
    student or a run that was deleted is made again by whatever asks for its cell.
    """
    if not _is_whole(path):
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

        return paths

    return {name: resolved(value) for name, value in named.items()}


def job(script, spec=None, ids=None, **values):
    """Parameters of a rule: its script, the digest of the script's code, its spec as JSON, its options.

    ``spec`` is a dict or a function of the wildcards that gives one; ``values`` are added to it. JSON is canonical:
    equal values give equal text. ``ids`` are options that name what the paths of another option hold, in its order: a
    dict of lists, or a function of the wildcards that gives one.
    """
    script = f"workflow_scripts.{script}"

    def filled(wildcards):
        return values | ((spec(wildcards) if callable(spec) else spec) or {})

    def canonical(wildcards):
        return json.dumps(filled(wildcards), sort_keys=True, separators=(",", ":"))

    def code(wildcards):
        return digest_of(script, canonical(wildcards))

    def options(wildcards, input, output):
        return arguments(input, output, (ids(wildcards) if callable(ids) else ids) or {})

    return {"module": script, "code": code, "spec": canonical, "options": options}


@functools.cache
def digest_of(script, spec):
    return job_digest(script, json.loads(spec))


def arguments(input, output, ids):
    """Named inputs and outputs and ``ids`` as options, quoted for the shell; what is empty is left out.

    A file whose name starts with a dash is given as ``./-name``, or it would be read as an option.
    """
    outputs = output.items() if list(output.keys()) else [("output", output[0])]
    options = []
    for name, values in [*ids.items(), *input.items(), *outputs]:
        values = [values] if isinstance(values, str) else list(values)
        values = [f"./{value}" if value.startswith("-") else value for value in values]
        options += [f"--{name.replace('_', '-')}", *map(shlex.quote, values)] if values else []
    return " ".join(options)


rule python_job:
    """What every rule has: one script, its log, its environment."""
    log:
        log("python_job"),
    conda:
        "../environment.yml"
    shell:
        "python -m {params.module} --log {log:q} --threads {threads} --memory-mb {resources.mem_mb} "
        "--spec {params.spec:q} {params.options}"


use rule python_job as prepare_job with:
    threads: threads_of("prepare")
    resources:
        **resources_of("prepare"),


use rule python_job as index_job with:
    threads: threads_of("index")
    resources:
        **resources_of("index"),


use rule python_job as tokenise_job with:
    threads: threads_of("tokenise")
    resources:
        **resources_of("tokenise"),


use rule python_job as search_job with:
    threads: threads_of("search")
    resources:
        **resources_of("search"),


use rule python_job as pretrain_job with:
    threads: threads_of("pretrain")
    resources:
        **resources_of("pretrain"),


use rule python_job as mine_job with:
    threads: threads_of("mine")
    resources:
        **resources_of("mine"),


use rule python_job as score_job with:
    threads: threads_of("score")
    resources:
        **resources_of("score"),


use rule python_job as train_job with:
    threads: threads_of("train")
    resources:
        **resources_of("train"),


use rule python_job as rerank_job with:
    threads: threads_of("rerank")
    resources:
        **resources_of("rerank"),


use rule python_job as analyse_job with:
    threads: threads_of("analyse")
    resources:
        **resources_of("analyse"),


def subset(axis, name, *keys):
    """Those of ``keys`` that the entry ``name`` of an axis has, as a dict."""
    return {key: value for key, value in entry(axis, name).items() if key in keys}


def one_of(names):
    """A wildcard constraint: exactly these ids."""
    return "|".join(map(re.escape, names)) or "(?!)"


def other_than(names, pattern="[a-z0-9-]+"):
    """A wildcard constraint: any slug but these, so that an unknown id reaches the look-up that names the valid ones."""
    return f"(?!({one_of(names)})[/.]){pattern}"


def tokens(backbone, *folder):
    """Token store, in the vocabulary of a backbone, of a collection's queries or a corpus."""
    return manifest("tokens", entry("backbones", backbone)["vocabulary"], *folder)


def query_tokens(backbone, collection):
    return tokens(backbone, f"{collection}.queries")


def document_tokens(backbone, collection, view):
    return tokens(backbone, f"{entry('collections', collection)['corpus']}.{view}")


def training_tokens(of):
    """Inputs ``queries`` and ``documents``: token stores of a training collection.

    ``of`` gives, of the wildcards, the backbone whose vocabulary they are in, and the collection.
    """
    return {
        "queries": lambda wildcards: query_tokens(*of(wildcards)),
        "documents": lambda wildcards: document_tokens(*of(wildcards), TRAINING["view"]),
    }


def runs(ranker):
    """Run files of a ranker, one per test collection."""
    return [f"{RESULTS}/runs/{ranker}/{collection}.run.gz" for collection in EXPERIMENT.tested(ranker)]


def whole_runs(ranker):
    """The manifest that speaks for a ranker's runs, which are made again where one is missing."""
    for path in runs(ranker):
        rebuild_if_missing(path)
    return manifest("runs", ranker)


def sampler_of(label):
    """The sampler's config and its teacher (None where it reads no scores) behind a label."""
    sampler, teacher = EXPERIMENT.sampler_of(label)
    return entry("samplers", sampler), teacher


def drawn_for(label):
    """The training collection that a label's groups are of."""
    return EXPERIMENT.trained_on(EXPERIMENT.sampler_of(label)[0])


def teacher_tokens(collection):
    """:func:`training_tokens` in a teacher's vocabulary; ``collection`` gives the wildcards' training collection."""
    return training_tokens(lambda w: (entry("teachers", w.teacher)["backbone"], collection(w)))


def every_metrics():
    """Metrics of every ranker; made again where they are missing."""
    return [manifest("metrics", ranker) for ranker in RANKERS.all]


def retrieval_metrics():
    """Metrics of the students that retrieve from whole collections."""
    return [manifest("metrics", f"retrieved/{ranker}") for ranker in RETRIEVERS]


def axes(*names):
    """Ids of the named axes of the main grid (or all systems), each in the order of the config."""
    return {name: GRID.get(name) or list(CONFIG[name]) for name in names}


def sampled(kind, rows=EXPERIMENT.sampled):
    """Manifests of the groups or the labels of (sampler, teacher, seed) rows, in their order."""
    labels = [(EXPERIMENT.label(sampler, teacher), teacher, f"seed{seed}") for sampler, teacher, seed in rows]
    if kind == "groups":
        return [manifest("groups", label, seed) for label, _, seed in labels]
    return [manifest("labels", teacher, label, seed) for label, teacher, seed in labels]


def rules_all(wildcards):
    """Every artifact that the default target promises."""
    rankers = [*RANKERS.all, *(f"retrieved/{ranker}" for ranker in RETRIEVERS)]
    cells = [f"{RESULTS}/cells/{cell}.{domain}.csv" for cell in EXPERIMENT.cells for domain in CONFIG["domains"]]
    models = [manifest("students", ranker) for ranker in EXPERIMENT.rankers]
    return [
        rebuild_if_missing(path)
        for path in TABLES + FIGURES + cells + models + [whole_runs(ranker) for ranker in rankers]
    ]


IMPORTED, DENSE = (
    [name for name, system in CONFIG["systems"].items() if system["model"] == model] for model in ("import", "dense")
)


LABEL = r"[a-z0-9-]+(\.[a-z0-9-]+)?"
RANKER = "[a-z0-9-]+/[a-z0-9./-]+"


wildcard_constraints:
    corpus="[a-z0-9-]+",
    collection="[a-z0-9-]+",
    system="[a-z0-9-]+",
    backbone="[a-z0-9-]+",
    vocabulary="[a-z0-9-]+",
    view="full|body",
    teacher="[a-z0-9-]+",
    pool="[a-z0-9-]+",
    label=LABEL,
    seed=r"\d+",
    ranker=RANKER,
    cell=r"[a-z0-9-]+\.[a-z0-9-]+\.[a-z0-9-]+\.[a-z0-9-]+\.seed\d+",
