"""The RO-Crate of an archive: what was run, on what, what came out, as the Workflow Run profile describes it.

RO-Crate 1.1 (https://w3id.org/ro/crate/1.1) with the Workflow Run Crate profile 0.5
(https://w3id.org/ro/wfrun/workflow/0.5): the root names the Snakefile as its main entity, and one ``CreateAction`` is
its run, with the configuration as ``object`` and the results as ``result``.
"""

from __future__ import annotations

import importlib.util
import json
import mimetypes
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from workflow_scripts.archive.contents import PRODUCTS, TABLES
from workflow_scripts.storage.errors import InputError

METADATA = "ro-crate-metadata.json"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
ENDINGS = {".parquet": "application/vnd.apache.parquet", ".md": "text/markdown", ".tex": "application/x-tex"}
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
SNAKEFILE, README = "Snakefile", "README.md"


def check_library() -> None:
    """Raise :class:`InputError` where the package that describes archives is not there."""
    if importlib.util.find_spec("rocrate") is None:
        raise InputError("an archive is described by the package rocrate: make venv installs it")


def describe_crate(
    experiment: str, configs: Sequence[str], files: Mapping[str, Mapping], runs: Sequence[Mapping], citation: Path
) -> bytes:
    """The crate's metadata as JSON, the same for the same archive.

    ``files``: name to bytes and sha256; ``runs``: every manifest; ``citation``: the project's CITATION.cff, whose
    references the crate cites.
    """
    # Late: whoever restores an archive has no such package.
    from rocrate.model import ContextEntity
    from rocrate.rocrate import ROCrate

    cited = yaml.safe_load(citation.read_text(encoding="utf-8"))
    finished = sorted(made["finished"] for made in runs)
    crate = ROCrate(gen_preview=False, version="1.1")

    def thing(identifier: str, kind: str, **properties: object) -> Any:
        return crate.add(ContextEntity(crate, identifier, properties={"@type": kind, **properties}))

    root = crate.root_dataset
    profiles = [
        thing(url, "CreativeWork", name=name, version=number) for url, (name, number) in sorted(PROFILES.items())
    ]
    licence = thing(f"https://spdx.org/licenses/{cited['license']}", "CreativeWork", name=cited["license"])
    authors = [thing(_mark(each["name"]), "Organization", name=each["name"]) for each in cited["authors"]]
    works = [_cite(thing, work) for work in cited["references"]]
    _add_workflow(crate, thing, cited, licence)
    root["conformsTo"] = profiles
    if README in files:
        crate.add_file(None, README, properties={**_about(README, files[README]), "about": root})
    given = [crate.add_file(None, name, properties=_about(name, files[name])) for name in configs]
    made = [
        crate.add_file(None, name, properties=_about(name, about))
        for name, about in files.items()
        if _is_product(name, experiment)
    ]
    run = thing(
        "#run",
        "CreateAction",
        name=f"The experiment {experiment}",
        startTime=finished[0],
        endTime=finished[-1],
        instrument=crate.mainEntity,
        agent=authors[0],
        object=_one(given),
        result=_one(made),
        description=f"{len(runs)} artifacts; each one's manifest.json has its code, inputs, versions, device and cost",
    )
    root["name"] = f"Distillery, experiment {experiment}: runs, judgements and every number made from them"
    root["description"] = (
        f"What a reader needs to check every number of the experiment {experiment}. Files, sizes, checksums and what "
        "was left out: archive.json. How to check and rebuild: docs/archives.md."
    )
    root["datePublished"], root["license"] = finished[-1], licence
    root["author"], root["citation"], root["mentions"] = _one(authors), _one(works), run
    return json.dumps(crate.metadata.generate(), indent=1, sort_keys=True, default=str).encode() + b"\n"


def _add_workflow(crate: Any, thing: Callable, cited: Mapping, licence: Any) -> None:
    """The Snakefile as the crate's main entity."""
    crate.add_workflow(
        None,
        SNAKEFILE,
        main=True,
        lang="snakemake",
        lang_version=version("snakemake"),
        properties={
            "name": cited["title"],
            "version": cited["version"],
            "license": licence,
            "encodingFormat": "text/x-python",
            "conformsTo": thing(BIOSCHEMAS, "CreativeWork", name="Bioschemas ComputationalWorkflow"),
        },
    )


def _cite(thing: Callable, work: Mapping) -> Any:
    """A work of CITATION.cff's references as an entity, with its authors."""
    names = [f"{author['given-names']} {author['family-names']}" for author in work["authors"]]
    authors = [thing(_mark(name), "Person", name=name) for name in names]
    about = {"name": work["title"], "author": authors, "datePublished": str(work["year"]), "url": work["url"]}
    return thing(work["url"], "ScholarlyArticle", **about)


def _mark(name: str) -> str:
    return f"#{name.replace(' ', '-')}"


def _one(values: Sequence) -> Any:
    """A list of one is written as its member, as RO-Crate 1.1 asks for."""
    return values[0] if len(values) == 1 else list(values)


def _about(name: str, listed: Mapping) -> dict:
    ending = PurePosixPath(name).suffix
    kind = ENDINGS.get(ending) or mimetypes.types_map.get(ending, "text/plain")
    return {"name": name, "encodingFormat": kind, "contentSize": str(listed["bytes"]), "sha256": listed["sha256"]}


def _is_product(name: str, experiment: str) -> bool:
    inner = name.removeprefix(f"results/{experiment}/")
    return inner != name and (inner in TABLES or inner.partition("/")[0] in PRODUCTS)
