"""Settings whose one right value is known: filled in where they are left out, refused where they are wrong."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from workflow_scripts.experiment.config.settings import read_number, read_whole
from workflow_scripts.experiment.cycles import trained_encoders
from workflow_scripts.experiment.functions import Function, function_names, read_function
from workflow_scripts.experiment.options import option_problems
from workflow_scripts.experiment.references import drawn_for, tested
from workflow_scripts.storage.errors import InputError


def fill_in(config: dict) -> Iterator[str]:
    """Complete ``config`` in place; yields what is wrong, as lines that name the key and the fix."""
    yield from _fill_functions(config)
    _fill_known(config)
    yield from _fill_docvectors(config)


def _fill_functions(config: dict) -> Iterator[str]:
    """Options of samplers and losses as their files describe them, and ``reads_teacher``."""
    for kind in ("samplers", "losses"):
        names = function_names(kind)
        read: dict[str, Function] = {}
        for name, entry in config[kind].items():
            where, function = f"{kind}.{name}", entry["function"]
            if function not in names:
                yield f"{where}.function: no {function!r}; there are {', '.join(names)}"
                continue
            try:
                described = read[function] = read.get(function) or read_function(kind, function)
            except InputError as error:
                yield f"{where}.function: {error}"
                continue
            entry["options"] = _typed(entry["options"], described)
            problems = option_problems(entry["options"], described.options, described.defaults)
            yield from (f"{where}.options{problem}" for problem in problems)
            yield from _fill_needs(where, entry, described.needs)


def _typed(options: Mapping, function: Function) -> dict:
    """Options with texts read as numbers where the function wants these: --config gives texts alone."""
    read = {"whole": read_whole, "number": read_number}
    kinds = {name: each["type"] for name, each in function.options.items()}
    return {name: read[kinds[name]](value) if kinds.get(name) in read else value for name, value in options.items()}


def _fill_needs(where: str, entry: dict, needs: Mapping[str, bool]) -> Iterator[str]:
    """What an entry reads, by the flags of its function's file."""
    teacher, function = needs["NEEDS_TEACHER"], entry["function"]
    if entry.setdefault("reads_teacher", teacher) != teacher:
        yield f"{where}.reads_teacher: {function} reads {'' if teacher else 'no '}teacher scores; leave it out"
    if "NEEDS_RANKINGS" in needs:
        if needs["NEEDS_RANKINGS"] and not entry["systems"]:
            yield f"{where}.systems: {function} draws from rankings; name at least one system"
        if entry["systems"] and not needs["NEEDS_RANKINGS"]:
            yield f"{where}.systems: {function} reads no rankings; leave them out"
        if teacher and not entry["pools"]:
            yield f"{where}.pools: {function} draws by the teacher's scores; name at least one pool"


def _fill_known(config: dict) -> None:
    """``known`` of pools: those of the same collection that stand before it.

    A pool of a trained encoder's ranking is filled in nowhere: waiting for its scores could close a dependency cycle
    that nobody wrote.
    """
    trained = trained_encoders(config)
    untrained: dict[str, str] = {}
    for name, pool in config["pools"].items():
        collection = drawn_for(config, pool)
        pool.setdefault("known", [other for other, of in untrained.items() if of == collection])
        if trained.keys().isdisjoint(pool["systems"]) and untrained.keys() >= set(pool["known"]):
            untrained[name] = collection


def _fill_docvectors(config: dict) -> Iterator[str]:
    """``docvectors`` of corpora: true where a system with rm3 searches one."""
    needed = {}
    for system, collection in searched(config):
        if config["systems"][system].get("rm3"):
            needed[config["collections"][collection]["corpus"]] = (system, collection)
    for name, corpus in config["corpora"].items():
        if not corpus.setdefault("docvectors", name in needed) and name in needed:
            system, collection = needed[name]
            yield f"corpora.{name}.docvectors: {system} with rm3 reads term vectors for {collection}; leave it out"


def searched(config: Mapping) -> Iterator[tuple[str, str]]:
    """(system, collection) of every ranking."""
    for axis in ("samplers", "pools"):
        for entry in config[axis].values():
            for system in entry["systems"]:
                yield system, drawn_for(config, entry)
    collections = set(tested(config)).union(*config["evaluation"]["sets"].values())
    first_stage = config["first_stage"]
    yield from itertools.product([first_stage["system"], *first_stage["check"]], sorted(collections))
