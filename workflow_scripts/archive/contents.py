"""What an archive holds of an experiment, what it leaves out and why, and what each product is made from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

from workflow_scripts.storage.checked import files_named
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.locks import STARTED
from workflow_scripts.storage.provenance import CARD, MANIFEST, place_fault

MODELS, TEXTS = "models", "texts"
PARTS = "parts of rankings that are packed whole"
REMADE = "an index: made again from the texts"
FETCHED = "fetched again from its source"
ASKED = "left out on request"
UNNEEDED = "no number is made from it"
OF_KIND = {
    **dict.fromkeys(("corpora", "collections", "rankings", "calibrations", "groups", "labels"), None),
    **dict.fromkeys(("evaluation", "runs", "metrics"), None),
    **dict.fromkeys(("backbones", "teachers", "students", "embeddings"), MODELS),
    **dict.fromkeys(("pairs", "scored shards", "teacher scores", "looked-up labels"), MODELS),
    "searched shards": PARTS,
    "tokens": TEXTS,
    "indexes": REMADE,
    "archives": FETCHED,
    "downloads": FETCHED,
    "export": UNNEEDED,
}
"""Kind of artifact to the option that packs its files, or why they never are; None: always. Others are unneeded."""
TEXT_FILES = {"corpora": "documents.parquet", "collections": "queries.parquet"}
ALWAYS = ("history.parquet", CARD)
"""Of a model: how its training went, and its card."""
PRODUCTS = ("analysis", "cells", "figures", "tables")
REPORT = "report.html"
TABLES = ("metrics.parquet", "retrieval.parquet", REPORT)
SHOWING_TEXTS = (REPORT, "analysis/contamination_pairs.parquet", "tables/contamination_pairs.*")


class Source(NamedTuple):
    """What a rule's products are made from beside metrics and other tables, as patterns of paths below the results."""

    products: tuple[str, ...]
    opens: tuple[str, ...]


GROUPS, EMBEDDINGS, RUNS, HISTORIES = ("groups/*", "labels/*"), "embeddings/*", "runs/*", "students/*/history.parquet"
QUERIES, DOCUMENTS = "collections/*/queries.parquet", "corpora/*/documents.parquet"
SOURCES = {
    "make_claims_table": Source(("claims",), (HISTORIES,)),
    "make_correlation_table": Source(("correlation",), (RUNS,)),
    "make_locality_table": Source(
        ("locality", "locality_queries"), (*GROUPS, EMBEDDINGS, DOCUMENTS, "collections/*", "rankings/*")
    ),
    "make_bound_table": Source(("bound",), (*GROUPS, EMBEDDINGS, "students/*/model.safetensors")),
    "make_cuts_table": Source(("cuts",), ("labels/*",)),
    "make_factorial_table": Source(("factorial", "factorial_cells"), GROUPS),
    "make_contamination_table": Source(("contamination", "contamination_pairs"), (QUERIES,)),
    "make_training_collections_table": Source(("training_collections",), ("collections/*",)),
    "profile_scores": Source(("profiles", "query_profiles"), (RUNS,)),
    "smooth_curves": Source(("curves",), (HISTORIES,)),
    "check_first_stage": Source(("tables/first_stage.csv",), ("rankings/*", "collections/*/qrels.parquet")),
    "make_report": Source((REPORT,), (RUNS, QUERIES, DOCUMENTS)),
}
"""Rules that read more than metrics and other tables. A product without a folder is a table's numbers."""


class Entry(NamedTuple):
    """A file of the results: its path below them, why it is not packed (None: it is), and what its manifest lists."""

    name: str
    left_out: str | None
    listed: Mapping | None = None


def entries(
    results: Path,
    options: frozenset[str],
    without: tuple[str, ...] = (),
    is_left_over: Callable[[str], bool] = lambda name: False,
) -> Iterator[Entry]:
    """Every file that artifacts and products of an experiment consist of.

    ``options``: of :data:`MODELS` and :data:`TEXTS`, what is packed too; ``without``: patterns of paths below the
    results that are not; ``is_left_over``: of such a path, whether nothing makes it any more. Raises
    :class:`InputError` for an artifact whose job has not ended.
    """
    for path in sorted(files_named(MANIFEST, results)):
        if path.with_name(STARTED).exists():
            if is_left_over(str(path.relative_to(results))):
                raise InputError(f"{path.parent} is unfinished, and of no cell of this config: delete the folder")
            raise InputError(f"{path} is being made, or its job ended badly: finish the experiment first")
        made = read_manifest(path.read_bytes(), str(path))
        if fault := place_fault(path, made):
            raise InputError(f"{path} {fault}: make verify names the command that makes it again")
        folder = path.parent.relative_to(results)
        yield Entry(str(folder / MANIFEST), None)
        for name in sorted(made["files"]):
            entry = _entry(str(folder / name), _why_not(made["kind"], name, options), without)
            yield entry._replace(listed=made["files"][name])
    products = [path for folder in PRODUCTS for path in sorted((results / folder).glob("[!.]*"))]
    for path in [*products, *(results / name for name in TABLES)]:
        if path.is_file():
            name = str(path.relative_to(results))
            shows = any(fnmatch(name, pattern) for pattern in SHOWING_TEXTS)
            yield _entry(name, TEXTS if shows and TEXTS not in options else None, without)


def _entry(name: str, why: str | None, without: tuple[str, ...]) -> Entry:
    return Entry(name, ASKED if any(is_below(name, pattern) for pattern in without) else why)


def is_below(name: str, pattern: str) -> bool:
    """Does a path fit a pattern, or lie in the folder that it names?"""
    return fnmatch(name, pattern) or name.startswith(f"{pattern.rstrip('/')}/")


def _why_not(kind: str, name: str, options: frozenset[str]) -> str | None:
    why = TEXTS if name == TEXT_FILES.get(kind) else OF_KIND.get(kind, UNNEEDED)
    return None if why in options or (why == MODELS and name in ALWAYS) else why


def read_manifest(content: bytes, path: str) -> dict:
    """A manifest; :class:`InputError` where it is none, or names a file outside its folder."""
    try:
        made = json.loads(content)
        files, further = made["files"], (made["spec"], made["counts"], made["job"]["opened"], made["inputs"])
        sound = all(isinstance(each, dict) for each in further) and isinstance(made["kind"], str)
        sound = sound and isinstance(made["finished"], str)
        sound = sound and all(type(each["bytes"]) is int and type(each["sha256"]) is str for each in files.values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        sound, files = False, {}
    if not sound:
        raise InputError(f"{path} is not an artifact's manifest")
    for name in files:
        if name.startswith("/") or ".." in name.split("/"):
            raise InputError(f"{path} names {name!r}, a path outside its folder")
    return made


def measured_from(metrics: Mapping, path: str) -> list[Path]:
    """Folders of the runs and judgements that a manifest of metrics names; :class:`InputError` where it names none."""
    try:
        return [Path(metrics["inputs"][name]["path"]).parent for name in ("runs", "evaluation")]
    except (KeyError, TypeError):
        raise InputError(f"{path} does not name the runs and the judgements that it was measured from") from None


def path_of(product: str) -> str:
    """Path below the results of a product as :data:`SOURCES` names it."""
    return product if "." in product else f"analysis/{product}.parquet"


def not_rebuilt(left_out: Mapping[str, object], texts: bool) -> dict[str, list[str]]:
    """Rule to the files that it reads and that are ``left_out`` (paths below the results), of rules that lack any.

    ``texts``: whether the page shows texts; else it needs none.
    """
    lacking = {
        rule: [name for name in left_out if any(fnmatch(name, pattern) for pattern in source.opens)]
        for rule, source in SOURCES.items()
    }
    if not texts:
        lacking["make_report"] = [name for name in lacking["make_report"] if fnmatch(name, RUNS)]
    return {rule: names for rule, names in lacking.items() if names}
