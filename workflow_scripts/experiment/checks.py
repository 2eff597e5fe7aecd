"""Cross-references of a configuration that its schema cannot check, each a line that names the key and the fix.

The checks run in order and assume those before them: after the references, every name that is used exists.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

from workflow_scripts.analysis.domains import ALL
from workflow_scripts.experiment.functions import function_names, read_function
from workflow_scripts.experiment.seeds import seed_problems
from workflow_scripts.experiment.studies import study_problems
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.ids import NO_TEACHER

AXES = ("students", "losses", "samplers", "teachers", "domains")
TAKEN = {"bm25": "the first stage", "teacher": "the teachers", "retrieved": "dense retrieval"}
"""Names under which other runs and metrics are kept, beside the students'."""
LUCENE = ("bm25", "qld")
"""Models of the systems that Lucene ranks by."""


def collections_of(members: list) -> list[str]:
    """Collections of a domain, those of its sets among them."""
    nested = [member["collections"] if isinstance(member, dict) else [member] for member in members]
    return list(itertools.chain(*nested))


def problems(config: Mapping) -> Iterator[str]:
    """Everything wrong with a configuration that its schema accepts, as lines without the word ``config``."""
    for check in (_names, _dangling, _missing_files, _functions, _collections, _first_stage, _depths, _teachers):
        yield from check(config)
    for check in (_budgets, _term_vectors, _positions, _measures, _retrieval, seed_problems, study_problems):
        yield from check(config)


def _names(config: Mapping) -> Iterator[str]:
    for axis in AXES:
        if not config[axis]:
            yield f"{axis}: there are none; name at least one"
        elif axis != "domains" and not any(entry.get("in_grid", True) for entry in config[axis].values()):
            yield f"{axis}: none is in the main grid; take in_grid: false from at least one"
    for name, owner in TAKEN.items():
        if name in config["students"]:
            yield f"students.{name}: this name is taken by the runs of {owner}; choose another"
    if NO_TEACHER in config["teachers"]:
        yield f"teachers.{NO_TEACHER}: this name stands for no teacher in a student's id; choose another"
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


def _functions(config: Mapping) -> Iterator[str]:
    for kind in ("samplers", "losses"):
        known = function_names(kind)
        for name, entry in config[kind].items():
            where, function = f"{kind}.{name}", entry["function"]
            if function not in known:
                yield f"{where}.function: no {function!r}; there are {', '.join(known)}"
                continue
            try:
                read = read_function(kind, function)
            except InputError as error:
                yield f"{where}.function: {error}"
                continue
            for option in entry["options"]:
                if option not in read.options:
                    yield f"{where}.options: {function} has no {option!r}; it has {', '.join(read.options) or 'none'}"
            for option, required in read.options.items():
                if required and option not in entry["options"]:
                    yield f"{where}.options: {function} needs {option!r}; give it a value"
            yield from _needs(where, entry, read.needs)


def _needs(where: str, entry: Mapping, needs: Mapping[str, bool]) -> Iterator[str]:
    """What an entry says it reads, against the constants of its function's file."""
    teacher, function = needs["NEEDS_TEACHER"], entry["function"]
    if entry["reads_teacher"] != teacher:
        reads = "reads" if teacher else "does not read"
        yield f"{where}.reads_teacher: {function} {reads} teacher scores; set it to {str(teacher).lower()}"
    if "NEEDS_RANKINGS" in needs:
        if needs["NEEDS_RANKINGS"] and not entry["systems"]:
            yield f"{where}.systems: {function} draws from rankings; name at least one system"
        if entry["systems"] and not needs["NEEDS_RANKINGS"]:
            yield f"{where}.systems: {function} reads no rankings; leave them out"
        if teacher and not entry["pools"]:
            yield f"{where}.pools: {function} draws by the teacher's scores; name at least one pool"


def _collections(config: Mapping) -> Iterator[str]:
    training, collections = config["training"]["collection"], config["collections"]
    if collections[training]["role"] != "train":
        yield f"training.collection: {training} has role {collections[training]['role']}; it needs role train"
    for domain, members in config["domains"].items():
        for name in collections_of(members):
            if collections[name]["role"] != "test":
                yield f"domains.{domain}: {name} is a training collection; a domain has test collections"

    for kind in ("samplers", "pools"):
        for name, entry in config[kind].items():
            if (drawn := entry["collection"]) and collections[drawn]["role"] != "train":
                yield f"{kind}.{name}.collection: {drawn} has role {collections[drawn]['role']}; it needs role train"
    for kind, key in (("samplers", "pools"), ("pools", "known")):
        for name, entry in config[kind].items():
            for pool in entry[key]:
                # The ids of two collections may coincide: a score would be another pair's.
                if (entry["collection"] or training) != (config["pools"][pool]["collection"] or training):
                    yield f"{kind}.{name}.{key}: {pool} is of another collection; give both the same collection"


def _first_stage(config: Mapping) -> Iterator[str]:
    name = config["first_stage"]["system"]
    if (model := config["systems"][name]["model"]) not in LUCENE:
        yield (
            f"first_stage.system: {name} is of model {model}, and what evaluation re-ranks is for now Lucene's and "
            f"called BM25; name a system of model {' or '.join(LUCENE)}"
        )


def _depths(config: Mapping) -> Iterator[str]:
    first_stage, systems = config["first_stage"], config["systems"]
    if first_stage["depth"] > systems[first_stage["system"]]["depth"]:
        yield f"first_stage.depth: {first_stage['depth']} exceeds the depth of system {first_stage['system']}"
    for name, pool in config["pools"].items():
        for system in pool["systems"]:
            if systems[system]["depth"] < pool["depth"]:
                yield f"pools.{name}.depth: {pool['depth']} exceeds the depth {systems[system]['depth']} of {system}"
    for name, sampler in config["samplers"].items():
        wanted = sampler["options"].get("depth")
        for system in sampler["systems"]:
            listed = systems[system]["depth"]
            if isinstance(wanted, int) and listed < wanted:
                yield f"samplers.{name}.options.depth: {wanted} exceeds the depth {listed} of {system}"


def _teachers(config: Mapping) -> Iterator[str]:
    for name, teacher in config["teachers"].items():
        if teacher["trained"]:
            if config["samplers"][teacher["sampler"]]["reads_teacher"]:
                yield f"teachers.{name}.sampler: {teacher['sampler']} itself reads a teacher; choose one that does not"
            if config["losses"][teacher["loss"]]["reads_teacher"]:
                yield f"teachers.{name}.loss: {teacher['loss']} itself reads a teacher; choose one that does not"


def _budgets(config: Mapping) -> Iterator[str]:
    training = config["training"]
    step = training["batch_groups"] * (1 + training["negatives"]) * training["gradient_accumulation"]
    budgets = {"training": training["documents"]}
    budgets |= {f"teachers.{name}": teacher.get("documents", step) for name, teacher in config["teachers"].items()}
    for where, documents in budgets.items():
        if documents % step:
            nearest = max(documents // step, 1) * step
            yield f"{where}.documents: {documents} is no multiple of a step's {step} documents; {nearest} is"


def _term_vectors(config: Mapping) -> Iterator[str]:
    """Systems with rm3 on corpora whose indexes will not have what it reads."""
    training, first_stage = config["training"]["collection"], config["first_stage"]
    searched = [
        (system, entry["collection"] or training)
        for axis in ("samplers", "pools")
        for entry in config[axis].values()
        for system in entry["systems"]
    ]
    tested = itertools.chain(*map(collections_of, config["domains"].values()))
    searched += itertools.product([first_stage["system"], *first_stage["check"]], tested)
    for system, collection in searched:
        corpus = config["collections"][collection]["corpus"]
        if config["systems"][system].get("rm3") and not config["corpora"][corpus].get("docvectors"):
            where = f"corpora.{corpus}"
            yield f"systems.{system}: rm3 reads term vectors of {collection}'s corpus; give {where} docvectors: true"


def _positions(config: Mapping) -> Iterator[str]:
    """Sequences that a backbone made here could not hold; of another, its own config knows."""
    query, document = config["lengths"]["query"], config["lengths"]["document"]
    sequences = {  # architecture: what it reads at most, special tokens included
        "cross-encoder": (f"a pair of {query} + {document} + 3 special tokens", query + document + 3),
        "bi-encoder": (f"a text of {max(query, document)} + 2 special tokens", max(query, document) + 2),
    }
    models = [(student["backbone"], student["architecture"]) for student in config["students"].values()]
    models += [(teacher["backbone"], "cross-encoder") for teacher in config["teachers"].values()]
    for name, architecture in models:
        what, longest = sequences[architecture]
        if config["backbones"][name]["source"] == "scratch":
            positions = config["backbones"][name]["architecture"]["positions"]
            if longest > positions:
                yield f"lengths: {what} exceeds the {positions} positions of backbone {name}; raise them to {longest}"


def _measures(config: Mapping) -> Iterator[str]:
    import ir_measures

    evaluation = config["evaluation"]
    named = {"evaluation.measures": evaluation["measures"]}
    named |= {f"evaluation.more_measures.{key}": names for key, names in evaluation["more_measures"].items()}
    for where, names in named.items():
        for name in names:
            try:
                measure = ir_measures.parse_measure(name)
                measure.validate_params()
            except (ValueError, NameError, AssertionError, AttributeError, TypeError):
                yield f"{where}: {name!r} is no measure of ir_measures; write one as in nDCG@10, R@100 or AP(rel=2)"
                continue
            if str(measure) != name:
                yield f"{where}: {name!r} is printed as {str(measure)!r}; write it so"
            if where != "evaluation.measures" and name in evaluation["measures"]:
                yield f"{where}: {name!r} is among evaluation.measures already; name it once"


def _retrieval(config: Mapping) -> Iterator[str]:
    """Collections to retrieve from: evaluated, and all of some domain, since the table has rows of whole domains."""
    where, retrieval = "evaluation.retrieval.collections", config["evaluation"]["retrieval"]
    if not retrieval or retrieval["collections"] is None:
        return
    domains = {name: collections_of(members) for name, members in config["domains"].items()}
    tested, chosen = set(itertools.chain(*domains.values())), set(retrieval["collections"])
    for name in retrieval["collections"]:
        if name not in tested:
            role = config["collections"][name]["role"]
            yield f"{where}: {name}, of role {role}, is in no domain; name test collections of the domains"
    if not any(chosen.issuperset(members) for members in domains.values()):
        told = "; ".join(f"{name} has {', '.join(members)}" for name, members in domains.items())
        yield f"{where}: they hold no domain as a whole; name all collections of one: {told}"


def _references(config: Mapping) -> Iterator[tuple[str, str, list[str]]]:
    """(where, axis, ids) of every reference from one part of the config to another."""
    yield "training.collection", "collections", [config["training"]["collection"]]
    yield "first_stage.system", "systems", [config["first_stage"]["system"]]
    yield "first_stage.check", "systems", config["first_stage"]["check"]
    yield "evaluation.more_measures", "collections", list(config["evaluation"]["more_measures"])
    for domain, members in config["domains"].items():
        yield f"domains.{domain}", "collections", collections_of(members)
    for name, entry in config["collections"].items():
        yield f"collections.{name}.corpus", "corpora", [entry["corpus"]]
    for name, entry in config["backbones"].items():
        yield f"backbones.{name}.corpora", "corpora", entry.get("corpora", [])
    for name, entry in config["students"].items():
        yield f"students.{name}.backbone", "backbones", [entry["backbone"]]
    for name, entry in config["teachers"].items():
        yield f"teachers.{name}.backbone", "backbones", [entry["backbone"]]
        if entry["trained"]:
            yield f"teachers.{name}.sampler", "samplers", [entry["sampler"]]
            yield f"teachers.{name}.loss", "losses", [entry["loss"]]
    for kind in ("pools", "samplers"):
        for name, entry in config[kind].items():
            yield f"{kind}.{name}.systems", "systems", entry["systems"]
            yield f"{kind}.{name}.collection", "collections", [entry["collection"]] if entry["collection"] else []
            key = "known" if kind == "pools" else "pools"
            yield f"{kind}.{name}.{key}", "pools", entry[key]
    for name, study in config["studies"].items():
        for axis in ("students", "losses", "samplers", "teachers"):
            yield f"studies.{name}.{axis}", axis, study[axis]
    retrieval = config["evaluation"]["retrieval"] or {"collections": None}
    yield "evaluation.retrieval.collections", "collections", retrieval["collections"] or []


def _dangling(config: Mapping) -> Iterator[str]:
    for where, axis, names in _references(config):
        for name in names:
            if name not in config[axis]:
                yield f"{where}: no {name!r} among the {axis}: there are {', '.join(config[axis])}"


def _missing_files(config: Mapping) -> Iterator[str]:
    named = [(f"corpora.{name}.documents", entry.get("documents")) for name, entry in config["corpora"].items()]
    for name, entry in config["collections"].items():
        named += [(f"collections.{name}.{key}", entry.get(key)) for key in ("queries", "qrels")]
    for where, path in named:
        if isinstance(path, str) and not Path(path).is_file():
            yield f"{where}: no file {path}; give its path from the working directory or an absolute one"
    for name, backbone in config["backbones"].items():
        source = backbone["source"]
        if source.startswith((".", "/")) and not Path(source).is_dir():
            yield f"backbones.{name}.source: no folder {source}; give a local model folder, a hub id or scratch"
