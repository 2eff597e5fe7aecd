"""Every setting of the shipped experiments, made wrong in each way that a slip or a tool makes: none is accepted.

A mutation is refused in one line that names its key, or it is on the list of accepted ones with a reason.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import pytest
from changed_demo import DEMO, demo, refused
from factories import shipped

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.functions import function_names, read_function
from workflow_scripts.storage.errors import InputError

STUDY, RIVALS = shipped("demo", "study"), shipped("demo", "rivals")
CONFIGS = {"demo": DEMO, "paper": shipped("paper"), "study": STUDY, "rivals": RIVALS}
KINDS = ("source", "model", "function", "architecture", "role")
"""Keys that decide which other keys an entry has: one entry of each kind is enough."""
NUMBERS = {
    "nan": math.nan,
    "text-nan": "nan",
    "infinity": math.inf,
    "-1": -1,
    "0": 0,
    "10^12": 10**12,
    "10^400": 10**400,
    "text": "many",
    "true": True,
    "list": [1],
    "mapping": {"a": 1},
    "null": None,
}
TEXTS = {
    "newline": "a\nb",
    "control": "a\x00b",
    "300 letters": "a" * 300,
    "5000 letters": "a" * 5000,
    "accent": "démo",
    "path": "../no-such-folder",
    "dash": "-demo",
    "blank": "a b",
    "quote": "a'b",
    "braces": "{demo}",
    "empty": "",
    "number": 7,
    "true": True,
    "list": ["a"],
    "null": None,
    "nothing": "no-such-thing",
}
Place = tuple[str | int, ...]


def leaves(value: object, place: Place = ()) -> Iterator[tuple[Place, object]]:
    """Every number and text below a value; of a list, its first entry."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, (*place, key))
    elif isinstance(value, list):
        yield from leaves(value[0], (*place, 0)) if value else ()
    elif not isinstance(value, bool) and value is not None:
        yield place, value


def shape(config: dict, place: Place) -> tuple:
    """Place without the ids of entries: two entries of one kind are checked alike."""
    entry = config[place[0]]
    if isinstance(entry, dict) and len(place) > 1 and isinstance(part := entry[place[1]], dict):
        return (place[0], *(str(part.get(kind)) for kind in KINDS), *place[2:])
    return place[:1] if place[0] in ("domains", "seeds") else place


def places(kind: type | tuple[type, ...]) -> list[tuple[str, Place]]:
    """(experiment, place) of one leaf of each shape."""
    found = {}
    for name, config in CONFIGS.items():
        for place, value in leaves(config):
            if isinstance(value, kind):
                found.setdefault(shape(config, place), (name, place))
    return list(found.values())


def mutated(name: str, place: Place, value: object) -> dict:
    config = copy.deepcopy(CONFIGS[name])
    part = config
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    return config


def verdict(config: dict) -> str | None:
    """The line of a refusal; None for an experiment."""
    try:
        Experiment(config)
    except InputError as error:
        return str(error)
    return None


ACCEPTED = {
    ("seeds", "0"): "a seed",
    ("seed", "0"): "a seed",
    ("k1", "0"): "term frequency does not count",
    ("b", "0"): "length does not count",
    ("steps", "0"): "random weights",
    ("mlm_weight", "0"): "no masked language modelling",
    ("calibrate", "null"): "labels as the teacher scores",
    ("collection", "null"): "of training.collection",
    ("dropout", "0"): "no dropout",
    ("dropout", "null"): "the backbone's own",
    ("depth", "0"): "of a pool of positives alone",
    ("margin", "0"): "scores above the positive's are dropped",
    ("margin", "-1"): "scores above the positive's by 1 are dropped",
    ("share", "0"): "no near negatives",
    ("fence", "0"): "outliers are all outside the quartiles",
    ("title_field", "null"): "there is none",
    ("published", "null"): "no table",
    ("candidates", "null"): "cross-encoders re-rank BM25's alone",
    ("experiment", "nothing"): "a new name",
    ("vocabulary", "nothing"): "a new name",
    # Only the other side knows its names.
    ("source", "nothing"): "of the hub",
    ("systems", "nothing"): "of a published file",
}
"""(key, mutation) that experiments may have, and what it means."""


def test_no_nonsense_is_accepted_and_each_refusal_names_its_key() -> None:
    accepted, wrong = set(), []
    numbers = [(*place, mutation, value) for place in places((int, float)) for mutation, value in NUMBERS.items()]
    texts = [(*place, mutation, value) for place in places(str) for mutation, value in TEXTS.items()]
    for name, place, mutation, value in numbers + texts:
        key = next(part for part in reversed(place) if isinstance(part, str))
        line = verdict(mutated(name, place, value))
        if line is None and (key, mutation) in ACCEPTED:
            accepted.add((key, mutation))
        elif line is None or not one_line(line) or key not in line:
            wrong.append((".".join(map(str, place)), mutation, line))
    assert wrong == []
    assert len(numbers) > 700 and len(texts) > 1000 and accepted == set(ACCEPTED)


def one_line(line: str) -> bool:
    return line.startswith("config: ") and line.isprintable() and "a" * 1000 not in line


AXES = [
    axis for axis, part in DEMO.items() if isinstance(part, dict) and axis not in ("lengths", "studies", "analysis")
]
AXES = [axis for axis in AXES if axis not in ("first_stage", "training", "evaluation", "resources")]
IDS = {name: text for name, text in TEXTS.items() if name not in ("list", "nothing")}


@pytest.mark.parametrize("axis", AXES)
def test_an_id_is_a_short_slug(axis: str) -> None:
    entry = next(iter(DEMO[axis].values()))
    for name, text in IDS.items():
        line = verdict(demo() | {axis: DEMO[axis] | {text: entry}})
        assert line is not None and one_line(line) and axis in line, (name, line)


@pytest.mark.parametrize("kind", ["samplers", "losses"])
def test_options_are_judged_by_their_functions_files(kind: str) -> None:
    configs = {"study": STUDY, "rivals": RIVALS}
    entries = {
        entry["function"]: (config, name, entry)
        for config, read in configs.items()
        for name, entry in read[kind].items()
        if entry
    }
    tried = 0
    for function in function_names(kind):
        config, name, entry = entries[function]
        options = dict(entry.get("options", {}))
        for option, about in read_function(kind, function).options.items():
            allowed = {"null"} if about["type"] in ("text", "texts") else {"number"}
            allowed |= {"0"} if about.get("ge") == 0 else set()
            for mutation, value in {**NUMBERS, **TEXTS}.items():
                if (option, mutation) in ACCEPTED or mutation in allowed:
                    continue
                line = verdict(mutated(config, (kind, name), entry | {"options": options | {option: value}}))
                assert line and one_line(line) and f"{kind}.{name}.options.{option}" in line, (mutation, line)
                tried += 1
        line = verdict(mutated(config, (kind, name), entry | {"options": options | {"a\nb": 1}}))
        assert line and one_line(line) and "unknown key" in line
    assert tried > 60


IMPORTED = {"model": "import", "url": "https://a.org/b.gz", "systems": ["a"], "depth": 10}
DENSE = {"model": "dense", "encoder": "mini", "depth": 10}
GENERATED = {"corpus": "demo", "source": "generated", "role": "test", "seed": 7, "queries": 5}
TOGETHER = [
    ({"backbones.mini.architecture.heads": 3}, "architecture: heads 3 do not divide hidden 64"),
    ({"collections.demo.seed": 8}, "collections.demo.seed: 8, and its corpus demo has seed 7; make them agree"),
    ({"collections.demo.pairs": "titles"}, "unknown key 'pairs'"),
    ({"evaluation.more_measures": {"demo-train": ["RR"]}}, "more_measures.demo-train: is in no domain"),
    ({"evaluation.more_measures": {"no": ["RR"]}}, "more_measures: no 'no' among the collections"),
    ({"pools.x": {"systems": [], "depth": 0}}, "pools.x: holds nothing; name systems, or set positives to true"),
    ({"pools.x": {"systems": ["bm25"], "depth": 0}}, "pools.x: depth 0 of 1 systems; set both or neither"),
    ({"pools.x": {"systems": [], "depth": 5, "positives": True}}, "pools.x: depth 5 of 0 systems"),
    ({"systems.x": IMPORTED | {"systems": ["a", "a"]}}, "systems.x.systems: has 'a' twice"),
    ({"systems.x": IMPORTED | {"systems": ["fill"]}}, "systems.x: a ranking system cannot be called 'fill'"),
    (
        {
            "systems.x": IMPORTED | {"systems": ["bm25"], "depth": 20},
            "samplers.ensemble.systems": ["bm25-short", "x", "qld", "bm25"],
        },
        "samplers.ensemble.systems: two of them rank as 'bm25'",
    ),
    ({"systems.corpus": IMPORTED}, "systems.corpus: a ranking system cannot be called 'corpus'"),
    *(
        ({"systems.x": IMPORTED | {"url": url}}, r"systems.x.url: .* must begin with https:// \(or file:///\)")
        for url in ("http://a.org/b", "ftp://a.org/b", "a.org/b", "https://a.org/", "https://a.org/-b", "file:b.gz")
    ),
    *(
        ({"systems.x": IMPORTED | {"url": url}}, "systems.x.url: ")
        for url in ("file:///", "file:b/", "file://b.gz", "file://b/c.gz")
    ),
    *(
        ({"mirrors": {"https://": start}}, r"mirrors.*: .* must begin with https://, http:// or file:///")
        for start in ("copies/", "file:copies/", "file://copies/", "ftp://a.org/")
    ),
    ({"systems.x": IMPORTED | {"sha256": "abc"}}, "systems.x.sha256: must be 64 hexadecimal digits"),
    *(
        ({"systems.x": DENSE | {"index": index}}, "systems.x.index: ")
        for index in ("Flatt", "IVF", "IVF99999999999,Flat", "PQ7", "x" * 300)
    ),
    *(
        ({"systems.x": DENSE | {"index": "IVF16,Flat", "index_parameters": text}}, "systems.x.index_parameters: ")
        for text in ("nprobe", "nprobe=0", "nprobe=nan", "probes=3", "nprobe=-1", "=")
    ),
    ({"systems.x": DENSE | {"index_parameters": "nprobe=3"}}, "index_parameters: Flat has none; leave them out"),
    ({"evaluation.retrieval": {"depth": 5, "index": "Flatt"}}, "evaluation.retrieval.index: 'Flatt' is not supported"),
    ({"analysis": {"figures": {"fit_range": [0.5, 0]}}}, "fit_range: must rise from the first to the second"),
    ({"analysis": {"figures": {"fit_range": [0.5, 0.5]}}}, "fit_range: must rise from the first to the second"),
    ({"analysis": {"advice": {"budgets": [2, 2]}}}, "budgets: has 2 twice"),
    ({"corpora.demo.documents": 10**12}, "corpora.demo.documents: must be at most 1e.08"),
    ({"samplers.bm25.options.pool": 101}, r"samplers.bm25.options.pool: pool must be at most depth \(101"),
    ({"samplers.bm25.options.system": "dense"}, "options.system: 'dense' is none of bm25, which its systems rank"),
    ({"samplers.bm25.systems": ["bm25", "dense"]}, "samplers.bm25.options.system: is missing; name one of bm25, dense"),
    ({"losses.ranknet": {"function": "ranknet", "options": {"targets": "hart"}}}, "targets: must be one of hard, soft"),
]


@pytest.mark.parametrize(("changes", "message"), TOGETHER)
def test_settings_that_do_not_go_together_are_one_line(changes: dict, message: str) -> None:
    refused(changes, message)


def test_every_reference_to_nothing_is_refused() -> None:
    """Every list of ids, with one that is none."""
    lists = [
        (name, place)
        for name, config in CONFIGS.items()
        for place, value in leaves(config)
        if place[-1] == 0 and isinstance(value, str) and place[-2] not in ("measures", "text_fields")
    ]
    for name, place in lists:
        line = verdict(mutated(name, place, "no-such-thing"))
        assert (line and one_line(line) and place[0] in line) or CONFIGS[name][place[0]][place[1]].get("url"), place


@pytest.mark.parametrize("text", ["2e-5", "2E-5", "+2e-5", ".00002", "2.e-5", "20_0e-7"])
def test_a_number_that_yaml_reads_as_text_is_a_number(text: str) -> None:
    """YAML 1.1 wants a dot and a sign in an exponent; Python's reading is taken, of options too."""
    loss = {"function": "kl", "options": {"temperature": text}}
    config = demo({"students.be.learning_rate": text, "losses.x": loss, "training.documents": "2.56e4"})
    read = Experiment(config).config
    assert read["students"]["be"]["learning_rate"] == read["losses"]["x"]["options"]["temperature"] == 2e-5
    assert read["training"]["documents"] == 25600
    options = {"pool": "5e1", "depth": "1e2"}
    read = Experiment(demo({"samplers.bm25.options": options})).config
    assert read["samplers"]["bm25"]["options"] == {"pool": 50, "depth": 100}
