"""What settings that are right one by one must be together, each fault a line that names the key and the fix.

The checks assume that every name that is used exists, see :mod:`workflow_scripts.experiment.references`.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterator, Mapping

from workflow_scripts.analysis.domains import ALL
from workflow_scripts.analysis.measure_names import orders_candidates, parse_measure
from workflow_scripts.experiment.backbone_uses import head_problems, position_problems
from workflow_scripts.experiment.claims import claim_problems
from workflow_scripts.experiment.controls import control_problems
from workflow_scripts.experiment.datasets import dataset_problems
from workflow_scripts.experiment.depths import depth_problems
from workflow_scripts.experiment.faiss_index import index_problems
from workflow_scripts.experiment.functions import read_function
from workflow_scripts.experiment.grid_point import AXES, grids, in_grid
from workflow_scripts.experiment.levels import level_problems
from workflow_scripts.experiment.published import read_published
from workflow_scripts.experiment.references import collections_of, drawn_for, ranked_by, tested
from workflow_scripts.experiment.seeds import seed_problems
from workflow_scripts.experiment.shares import TEST_SOURCES
from workflow_scripts.experiment.studies import step_documents, study_problems
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.ids import NO_TEACHER, check_system

TAKEN = {"bm25": "the first stage", "teacher": "the teachers", "retrieved": "dense retrieval"}
"""Names under which other runs and metrics are kept, beside the students'."""
RESULTS = "results"
"""The folder of all experiments: the last part of a path that has this name is taken for it."""
LUCENE = ("bm25", "qld")
"""Models of the systems that Lucene ranks by."""


def problems(config: Mapping) -> Iterator[str]:
    """Everything wrong with a configuration whose settings are valid and whose names exist, a line each."""
    for check in (
        _names,
        _domains,
        _collections,
        _first_stage,
        depth_problems,
        _teachers,
        _budgets,
        position_problems,
        head_problems,
        dataset_problems,
        _measures,
        _curves,
        _systems,
        index_problems,
        _sets,
        _retrieval,
        _published,
        _in_batch,
        seed_problems,
        level_problems,
        control_problems,
        study_problems,
        claim_problems,
    ):
        yield from check(config)


def _names(config: Mapping) -> Iterator[str]:
    for axis in AXES[:-1]:
        if not in_grid(config, axis):
            yield f"{axis}: none is in the main grid; take in_grid: false from at least one"
    named = {**config, "evaluation.sets": config["evaluation"]["sets"], "experiment": {config["experiment"]: None}}
    named["backbones.vocabulary"] = {entry["vocabulary"]: None for entry in config["backbones"].values()}
    for axis, entries in named.items():
        if isinstance(entries, Mapping) and RESULTS in entries:
            yield f"{axis}: {RESULTS} is the name of the folder that all experiments lie in; choose another"
    for name, owner in TAKEN.items():
        if name in config["students"]:
            yield f"students.{name}: this name is taken by the runs of {owner}; choose another"
    first: dict[str, tuple[str, dict]] = {}
    for name, entry in config["backbones"].items():
        if entry["source"] == "scratch":
            made = {"tokenizer": entry["tokenizer"], "corpora": sorted(entry["corpora"])}
            other, same = first.setdefault(entry["vocabulary"], (name, made))
            for key in (key for key in made if made[key] != same[key]):
                yield f"backbones.{name}.vocabulary: {other}'s is made of another {key}; give {name} one of its own"
    if NO_TEACHER in config["teachers"]:
        yield f"teachers.{NO_TEACHER}: this name stands for no teacher in a student's id; choose another"


def _published(config: Mapping) -> Iterator[str]:
    name = config["evaluation"]["published"]
    if name and not (ROOT / f"config/expected/{name}.yaml").is_file():
        yield f"evaluation.published: there is no config/expected/{name}.yaml; name one of its files, or null"
    elif name:
        try:
            read_published(ROOT / f"config/expected/{name}.yaml", config["domains"])
        except InputError as error:
            yield f"evaluation.published: {error}"


def _domains(config: Mapping) -> Iterator[str]:
    """Names of collections and of sets of them: each once in a domain, and a set's everywhere the same."""
    sets: dict[str, list[str]] = {}
    for domain, members in config["domains"].items():
        for member in (member for member in members if isinstance(member, dict)):
            name, where = member["name"], f"domains.{domain}: the set {member['name']}"
            for axis in ("collections", "domains"):
                if name in config[axis]:
                    yield f"{where} has the name of one of the {axis}; choose another"
            if sets.setdefault(name, member["collections"]) != member["collections"]:
                yield f"{where} has other collections in another domain; give each set a name of its own"
        names = [*collections_of(members), *(member["name"] for member in members if isinstance(member, dict))]
        for name in dict.fromkeys(names):
            if names.count(name) > 1:
                yield f"domains.{domain}: {name} is in it twice; name it once"
            if name == ALL:
                yield f"domains.{domain}: {ALL} stands for a domain as a whole in the tables; choose another name"


def _collections(config: Mapping) -> Iterator[str]:
    training, collections = config["training"]["collection"], config["collections"]
    if collections[training]["role"] != "train":
        yield f"training.collection: {training} has role {collections[training]['role']}; it needs role train"
    roles: dict[str, str] = {}
    for domain, members in config["domains"].items():
        for name in collections_of(members):
            role = collections[name]["role"]
            if role == "train":
                yield f"domains.{domain}: {name} is a training collection; a domain has test collections"
            roles.setdefault(role, f"domains.{domain}: {name}")
    if len(roles) > 1:
        yield f"{roles['dev']} is of role dev, others are of role test; choose by the one, then report the other"

    for kind in ("samplers", "pools"):
        for name, entry in config[kind].items():
            role = collections[drawn_for(config, entry)]["role"]
            if role == "test" or (role == "dev" and (kind == "samplers" or entry["positives"])):
                yield f"{kind}.{name}.collection: {entry['collection']} has role {role}; it needs role train"
    yield from _query_sources(config)
    for kind, key in (("samplers", "pools"), ("pools", "known")):
        for name, entry in config[kind].items():
            for pool in entry[key]:
                # The ids of two collections may coincide: a score would be another pair's.
                if drawn_for(config, entry) != drawn_for(config, config["pools"][pool]):
                    yield f"{kind}.{name}.{key}: {pool} is of another collection; give both the same collection"

    for name, entry in collections.items():
        if entry.get("pairs") == "titles" and config["training"]["view"] != "body":
            yield f"training.view: full shows a query of {name}, which is a title, in its own positive; set it to body"
        corpus = config["corpora"][entry["corpus"]]
        if entry["source"] == "generated" and (corpus["source"], corpus.get("seed")) != ("generated", entry["seed"]):
            made = f"has seed {corpus['seed']}" if corpus["source"] == "generated" else "is not generated"
            yield f"collections.{name}.seed: {entry['seed']}, and its corpus {entry['corpus']} {made}; make them agree"
    for name in config["evaluation"]["more_measures"]:
        if name not in tested(config):
            yield f"evaluation.more_measures.{name}: is in no domain; name a test collection of the domains"


def _query_sources(config: Mapping) -> Iterator[str]:
    """Generated test and development queries that are more than their corpus keeps documents for."""
    numbers: dict[str, dict[str, int]] = {}
    for entry in config["collections"].values():
        if entry["source"] == "generated":
            of_corpus = numbers.setdefault(entry["corpus"], dict.fromkeys(("dev", "test", "train"), 0))
            of_corpus[entry["role"]] = max(of_corpus[entry["role"]], entry["queries"])
    for name, of_corpus in numbers.items():
        corpus = config["corpora"][name]
        sources = int(corpus["documents"] * TEST_SOURCES) if corpus["source"] == "generated" else math.inf
        if of_corpus["dev"] + of_corpus["test"] > sources:
            wanted = " and ".join(f"{of_corpus[role]} {role}" for role in ("dev", "test") if of_corpus[role])
            wanted += " queries need a source each"
            yield f"corpora.{name}.documents: {wanted}, and an eighth of it is {sources}; ask for more"


def _sets(config: Mapping) -> Iterator[str]:
    """Evaluation sets: of test collections, each in one, and no name that stands for a domain's other collections."""
    owner: dict[str, str] = {}
    for name, members in config["evaluation"]["sets"].items():
        for member in members:
            if config["collections"][member]["role"] == "train":
                yield f"evaluation.sets.{name}: {member} is a training collection; a set has test collections"
            if member in owner:
                yield f"evaluation.sets.{name}: {member} is in the set {owner[member]} already; name it once"
            owner[member] = name
    for name in config["evaluation"]["sets"]:
        if rest := [each for each in collections_of(config["domains"].get(name, [])) if each not in owner]:
            yield (
                f"evaluation.sets.{name}: {', '.join(rest)}, in no set, would be the domain's own set of this name; "
                "choose another name"
            )


def _systems(config: Mapping) -> Iterator[str]:
    """Names that systems cannot have, and rankings that a sampler does not read."""
    for name, system in config["systems"].items():
        for listed in [name, *system.get("systems", ())]:
            try:
                check_system(listed)
            except InputError as error:
                yield f"systems.{name}: {error}"
        if system["model"] == "dense":
            for key in ("pooling", "similarity") if system["encoder"] not in config["backbones"] else ():
                if key in system:
                    yield f"systems.{name}.{key}: {system['encoder']} embeds as it was trained; leave it out"
    for name, sampler in config["samplers"].items():
        ranked = ranked_by(config, *sampler["systems"])
        if twice := [each for each in ranked if ranked.count(each) > 1]:
            yield f"samplers.{name}.systems: two of them rank as {twice[0]!r}; name one of them"
        options, where = sampler["options"], f"samplers.{name}.options"
        chosen = [("system", options["system"])] if options.get("system") is not None else []
        chosen += [("systems", each) for each in options.get("systems") or ()]
        drawn_from = options.get("systems")
        if drawn_from is not None and not 0 < len(drawn_from) == len({*drawn_from}):
            yield f"{where}.systems: must be different systems, at least one; null stands for all"
        for option, each in chosen:
            if each not in ranked:
                yield f"{where}.{option}: {reprlib.repr(each)} is none of {', '.join(ranked)}, which its systems rank"
        if not chosen and len(ranked) > 1 and "system" in read_function("samplers", sampler["function"]).options:
            yield f"{where}.system: is missing; name one of {', '.join(ranked)}"


def _first_stage(config: Mapping) -> Iterator[str]:
    name = config["first_stage"]["system"]
    if (model := config["systems"][name]["model"]) not in LUCENE:
        yield (
            f"first_stage.system: {name} is of model {model}, and what evaluation re-ranks is for now Lucene's and "
            f"called BM25; name a system of model {' or '.join(LUCENE)}"
        )


def _teachers(config: Mapping) -> Iterator[str]:
    for name, teacher in config["teachers"].items():
        if pool := teacher["calibrate"]:
            drawn = drawn_for(config, config["pools"][pool])
            if (role := config["collections"][drawn]["role"]) != "dev":
                yield f"teachers.{name}.calibrate: {pool} has collection {drawn} of role {role}; name one of role dev"
        if teacher["trained"]:
            if config["samplers"][teacher["sampler"]]["reads_teacher"]:
                yield f"teachers.{name}.sampler: {teacher['sampler']} itself reads a teacher; choose one that does not"
            if config["losses"][teacher["loss"]]["reads_teacher"]:
                yield f"teachers.{name}.loss: {teacher['loss']} itself reads a teacher; choose one that does not"


def _in_batch(config: Mapping) -> Iterator[str]:
    """In-batch negatives where there can be none: under a loss that reads a teacher, or of a cross-encoder."""
    for name in (name for name, loss in config["losses"].items() if loss.get("in_batch_negatives")):
        where = f"losses.{name}.in_batch_negatives"
        if config["losses"][name]["reads_teacher"]:
            yield f"{where}: {name} reads teacher scores, which a query has of its own group alone; take it out"
        trained = {f"teacher {teacher}" for teacher, entry in config["teachers"].items() if entry.get("loss") == name}
        for axes in grids(config):
            students = axes["students"] if name in axes["losses"] else ()
            trained |= {
                f"student {each}" for each in students if config["students"][each]["architecture"] == "cross-encoder"
            }
        for ranker in sorted(trained):
            yield f"{where}: {ranker} is a cross-encoder, which scores no pair of two groups; give it another loss"


def _budgets(config: Mapping) -> Iterator[str]:
    step = step_documents(config)
    budgets = {"training": config["training"]["documents"]}
    budgets |= {f"students.{name}": student.get("documents", step) for name, student in config["students"].items()}
    budgets |= {f"teachers.{name}": teacher.get("documents", step) for name, teacher in config["teachers"].items()}
    for where, documents in budgets.items():
        if documents % step:
            nearest = max(round(documents / step), 1) * step
            yield f"{where}.documents: {documents} must be a multiple of a step's {step} documents (nearest: {nearest})"


def _measures(config: Mapping) -> Iterator[str]:
    evaluation = config["evaluation"]
    named = {"evaluation.measures": evaluation["measures"]}
    named |= {f"evaluation.more_measures.{key}": names for key, names in evaluation["more_measures"].items()}
    for where, names in named.items():
        for name in names:
            try:
                measure = parse_measure(name)
            except InputError as error:
                yield f"{where}: {error}"
                continue
            if str(measure) != name:
                yield f"{where}: use ir_measures' own name {str(measure)!r} for {name!r}"
            if where != "evaluation.measures" and name in evaluation["measures"]:
                yield f"{where}: {name!r} is among evaluation.measures already; name it once"
    depth = config["first_stage"]["depth"]
    # Verdicts, claims and advice are of the first.
    if not orders_candidates(first := evaluation["measures"][0], depth):
        yield f"evaluation.measures: re-ranking {depth} candidates does not change {first}; put first one as nDCG@10"


def _curves(config: Mapping) -> Iterator[str]:
    """Curves of score against rank, and correlations, that could not be fitted: four points, and four queries."""
    depth, (low, high) = config["first_stage"]["depth"], config["analysis"]["figures"]["fit_range"]
    inside = sum(low <= rank / depth <= high for rank in range(1, depth + 1))
    if inside < 4:
        where = "analysis.figures.fit_range"
        yield f"{where}: a curve needs four of the first_stage.depth {depth} ranks, and {inside} lie in it; widen it"
    for name in tested(config):
        entry = config["collections"][name]
        key = "queries" if entry["source"] == "generated" else "max_queries"
        if (entry.get(key) or 4) < 4:
            yield f"collections.{name}.{key}: {entry[key]} test queries are too few for the tables; ask for at least 4"


def _retrieval(config: Mapping) -> Iterator[str]:
    """Collections to retrieve from: evaluated, and all of some domain, since the table has rows of whole domains."""
    where, retrieval = "evaluation.retrieval.collections", config["evaluation"]["retrieval"]
    if not retrieval or retrieval["collections"] is None:
        return
    domains = {name: collections_of(members) for name, members in config["domains"].items()}
    for name in retrieval["collections"]:
        if name not in tested(config):
            role = config["collections"][name]["role"]
            yield f"{where}: {name}, of role {role}, is in no domain; name test collections of the domains"
    if not any(set(retrieval["collections"]).issuperset(members) for members in domains.values()):
        wanted = "; ".join(f"{name} has {', '.join(members)}" for name, members in domains.items())
        yield f"{where}: they hold no domain as a whole; name all collections of one: {wanted}"
