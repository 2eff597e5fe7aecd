"""Rebuild an experiment's numbers from its archive by the pipeline's own rules, and compare them byte for byte.

Snakemake makes the default target in a folder where everything that is packed lies, less what is to be rebuilt. Only
rules that conclude are allowed (``--allowed-rules``): what they do not make is a given, so no training is ever asked
for. A table that reads a file which is not packed (:data:`~.contents.SOURCES`) is rendered from its own numbers.
"""

from __future__ import annotations

import filecmp
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from workflow_scripts.archive.contents import (
    PRODUCTS,
    REPORT,
    SOURCES,
    TABLES,
    measured_from,
    not_rebuilt,
    path_of,
    read_manifest,
)
from workflow_scripts.experiment.dry_run import refusal
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.provenance import MANIFEST, part_checksum
from workflow_scripts.storage.reuse import link

MEASURING = "measure_"
CONCLUDING = (
    MEASURING,
    "collect_metrics",
    "write_",
    "check_",
    "make_",
    "draw_",
    "render_",
    "profile_",
    "fit_",
    "smooth_",
)
"""How the rules begin that work without models, texts and a network."""
LOCAL = ("--profile", str(ROOT / "config/profiles/local"))
FROM_HERE_ALONE, WITHOUT_TEXTS = "reuse=[]", "analysis={texts: false}"


def page_without_texts(about: Mapping, files: Mapping[str, Path | bytes]) -> bytes:
    """The report of an experiment that is being packed, with ids in the place of texts. ``files``: name to source."""
    page = f"results/{about['experiment']}/{REPORT}"
    with scratch_folder() as folder:
        _lay_out(folder, about, {name: path for name, path in files.items() if name != page and isinstance(path, Path)})
        _run_snakemake(folder, about, "report", ["make_report"], cores="1")
        return (folder / page).read_bytes()


def missing_products(configs: Sequence[str]) -> list[str]:
    """Paths that the default target promises of an experiment whose results lie here, and that are not there."""
    command = [*_snakemake({"configs": configs, "texts": True}), *LOCAL, "--cores", "1", "--dry-run"]
    done = subprocess.run(
        [*command, "--allowed-rules", "all", "--", "all"], capture_output=True, encoding="utf-8", errors="replace"
    )
    said = [line.strip() for line in f"{done.stderr}\n{done.stdout}".splitlines()]
    if done.returncode and "affected files:" not in said:
        raise InputError(refusal(said))
    return [line for line in said if line.startswith("results/")] if done.returncode else []


class Product(NamedTuple):
    """What was rebuilt: its name, its files below the results, those with other bytes, and remarks."""

    name: str
    files: list[str]
    other: list[str]
    remarks: list[str]


def rebuild(about: Mapping, files: Mapping[str, Path], folder: Path, cores: str) -> Iterator[Product]:
    """Rebuild in ``folder`` what is packed and was made from what is packed, and compare it with ``files``.

    ``about``: an archive's list; ``files``: name to where it was unpacked. Metrics are measured first; where they are
    the same, the archive's manifest takes the place of the new one, since it says how they were first made.
    """
    results = f"results/{about['experiment']}/"
    packed = {name.removeprefix(results): path for name, path in files.items() if name.startswith(results)}
    lacking = not_rebuilt(about["left_out"], about["texts"])
    given = {path_of(product): names for rule, names in lacking.items() for product in SOURCES[rule].products}
    measured, others = _metrics(packed, about["left_out"])
    made = {name for name in packed if _is_made(name, measured, others) and name not in given}
    _lay_out(folder, about, {name: path for name, path in files.items() if name.removeprefix(results) not in made})
    if REPORT in given and not (folder / results / REPORT).exists():
        (folder / results).mkdir(parents=True, exist_ok=True)
        (folder / results / REPORT).touch()  # it cannot be made, and nothing is to ask for it
    allowed = [rule for rule in _concluding_rules(folder, about) if rule not in lacking]
    if measured:
        measuring = [rule for rule in allowed if rule.startswith(MEASURING)]
        _run_snakemake(folder, about, "all", allowed, "--until", *measuring, cores=cores)
    for metrics in measured:
        if not (manifest := folder / results / metrics / MANIFEST).exists():
            continue
        own, new = (read_manifest(path.read_bytes(), str(path)) for path in (packed[f"{metrics}/{MANIFEST}"], manifest))
        if part_checksum(own, "identity") == part_checksum(new, "identity"):
            manifest.unlink()
            link(packed[f"{metrics}/{MANIFEST}"], manifest)
    _run_snakemake(folder, about, "all", allowed, cores=cores)
    for name, members in _by_product(packed).items():
        yield _compare(name, members, made, given, packed, folder / results)


def _compare(
    name: str,
    members: Sequence[str],
    made: Collection[str],
    given: Mapping[str, Sequence[str]],
    packed: Mapping[str, Path],
    rebuilt: Path,
) -> Product:
    """What came out of a product's files: those ``made`` again are compared, of those ``given`` it is said why."""
    remade = [each for each in members if each in made and (rebuilt / each).exists()]
    other = [each for each in remade if not filecmp.cmp(packed[each], rebuilt / each, shallow=False)]
    remarks = [_as_packed(each, given[each]) for each in members if each in given]
    if kept := sum(each not in made and each not in given for each in members):
        remarks.append(f"{kept} of {len(members)} files as packed, since their runs or judgements are not")
    # A table or metrics may be left of an earlier configuration.
    remarks += [f"the experiment makes no {each}" for each in members if each in made and each not in remade][:1]
    remarks += [_difference(packed[each], rebuilt / each) for each in other if each.endswith(".parquet")]
    return Product(name, remade, other, remarks)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder beside the results, so that files can be linked into it; removed at the end."""
    Path("results").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".archive-", dir="results") as folder:
        yield Path(folder)


def _lay_out(folder: Path, about: Mapping, files: Mapping[str, Path]) -> None:
    """Link ``files`` below a folder by their names; configs become JSON, since Snakemake may run YAML as code."""
    for name, path in files.items():
        if name in about["configs"]:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(_as_json(path), encoding="utf-8")
        else:
            link(path, folder / name)


def _as_json(config: Path) -> str:
    try:
        return json.dumps(read_config(config))
    except TypeError as error:
        raise InputError(f"{config} holds what is no text, number or list ({error})") from None


def _run_snakemake(folder: Path, about: Mapping, target: str, rules: Sequence[str], *options: str, cores: str) -> None:
    """Make a target in a folder by these rules alone; :class:`InputError` where it fails, its lines above."""
    command = [*_snakemake(about), *LOCAL, "--cores", cores, "--logger", "distillery"]
    command += [*options, "--allowed-rules", target, *rules]
    # The logger is found where this code lies. What is said of the products has stdout for itself.
    done = subprocess.run(
        [*command, "--", target], cwd=folder, stdout=sys.stderr, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    if done.returncode:
        raise InputError("the numbers could not be rebuilt: Snakemake's lines above say why")


def _concluding_rules(folder: Path, about: Mapping) -> list[str]:
    listed = subprocess.run(
        [*_snakemake(about), "--list-rules"], cwd=folder, capture_output=True, encoding="utf-8", errors="replace"
    )
    if listed.returncode:
        said = f"{listed.stderr}\n{listed.stdout}".splitlines()
        raise InputError(f"the experiment cannot be planned: {refusal(said)}")
    return [line.split()[0] for line in listed.stdout.splitlines() if line.startswith(CONCLUDING)]


def _snakemake(about: Mapping) -> list[str]:
    command = [sys.executable, "-P", "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    # Else Snakemake would look for one where the archive's files lie.
    command += ["--workflow-profile", str(ROOT / "profiles/default")]
    changes = [FROM_HERE_ALONE, *[WITHOUT_TEXTS] * (not about["texts"])]
    return [*command, "--configfile", *about["configs"], "--config", *changes]


def _metrics(packed: Mapping[str, Path], left_out: Collection[str]) -> tuple[list[str], list[str]]:
    """Folders of the metrics whose runs and judgements are packed, and of the others."""
    folders: tuple[list[str], list[str]] = ([], [])
    lacking = {str(Path(name).parent) for name in left_out}
    for name, path in packed.items():
        if name.startswith("metrics/") and name.endswith(f"/{MANIFEST}"):
            read = measured_from(read_manifest(path.read_bytes(), name), name)
            folders[any(str(Path(*each.parts[2:])) in lacking for each in read)].append(str(Path(name).parent))
    return folders


def _is_made(name: str, measured: Collection[str], others: Iterable[str]) -> bool:
    """Is a file of the results a product, or of metrics that are measured again?"""
    folder, _, file = name.rpartition("/")
    if folder == "cells":
        return not any(file.startswith(".".join(Path(other).parts[1:4]) + ".") for other in others)
    return folder in measured or folder in PRODUCTS or name in TABLES


def _by_product(packed: Iterable[str]) -> dict[str, list[str]]:
    """Files by what a reader calls them: a table with its numbers, a figure, all metrics, all cells."""
    products: dict[str, list[str]] = {}
    names = {Path(name).stem for name in packed if name.startswith("tables/")}
    for name in packed:
        folder, stem = name.partition("/")[0], Path(name).stem
        if folder in ("metrics", "cells"):
            products.setdefault(folder, []).append(name)
        elif folder in PRODUCTS:
            kind = "figure" if folder == "figures" else "table" if stem in names else "numbers"
            products.setdefault(f"{kind} {stem}", []).append(name)
        elif name in TABLES:
            products.setdefault(name, []).append(name)
    return products


def _as_packed(name: str, lacking: Sequence[str]) -> str:
    """That a product is not made again, and for want of which files."""
    more = f" and {len(lacking) - 1} more are" if len(lacking) > 1 else " is"
    return f"{'numbers' if name.startswith('analysis/') else name} as packed, since {lacking[0]}{more} not"


def _difference(one: Path, other: Path) -> str:
    """How two tables of numbers differ, in words."""
    ours, theirs = pd.read_parquet(one), pd.read_parquet(other)
    if list(ours.columns) != list(theirs.columns) or len(ours) != len(theirs):
        return "other rows or columns"
    differs = (ours != theirs) & ~(ours.isna() & theirs.isna())
    numbers = ours.select_dtypes("number").columns
    largest = (ours[numbers] - theirs[numbers]).abs().max().max() if len(numbers) else 0
    return f"{int(differs.to_numpy().sum())} of {ours.size} values differ, numbers by up to {largest:.3g}"
