"""Unpack an experiment and rebuild its numbers: ``make restore ARCHIVE=demo.tar``.

``python -m workflow_scripts.archive.restore demo.tar`` needs no model, no torch, no Java and no network. It puts the
experiment in ``results/``, rebuilds metrics from runs, analysis, tables, figures and report beside it, and says of each
whether it has the same bytes. What differs is left in ``results/EXPERIMENT.rebuilt``; then the exit status is 1.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from workflow_scripts.archive.container import unpack
from workflow_scripts.archive.rebuild import Product, rebuild, scratch_folder
from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.rerun import snakemake_command
from workflow_scripts.storage.results import LIST


def restore(archive: Path, cores: str) -> Iterator[str]:
    """Lines that say what was restored, and of each product whether rebuilding it gave the same bytes.

    Raises :class:`InputError` where the archive is refused, its numbers cannot be rebuilt, or results of its experiment
    are here already; then nothing is left behind.
    """
    with scratch_folder() as scratch:
        about = unpack(archive, scratch / "unpacked")
        unpacked, results = scratch / "unpacked", Path("results", about["experiment"])
        if results.exists():
            raise InputError(f"{results} is there already: move it away, or restore in another clone")
        named = Experiment(read_config(*(unpacked / name for name in about["configs"]))).name
        if named != about["experiment"]:
            raise InputError(f"{archive} is of {about['experiment']}, and its files are of {named}: refused")
        yield f"{results}: {len(about['files']):,} files are as they were packed"
        wanted = [*about["configs"], *(name for name in about["files"] if name.startswith("results/"))]
        files = {name: unpacked / name for name in wanted}
        rebuilt = scratch / "rebuilt"
        different = []
        for product in rebuild(about, files, rebuilt, cores):
            yield _line(product)
            different += product.other
        for name in different:
            target = results.with_name(f"{results.name}.rebuilt") / name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(rebuilt / results / name, target)
        configs = [_config_here(name, unpacked, results) for name in about["configs"]]
        os.replace(unpacked / LIST, unpacked / results / LIST)
        os.replace(unpacked / results, results)
    yield from _conclusion(about, different, configs)


def _line(product: Product) -> str:
    verdict = f"other bytes in {', '.join(product.other)}" if product.other else "same bytes"
    parts = [verdict] if product.files else []
    count = f" ({len(product.files)} files)" if len(product.files) > 5 else ""
    return f"{product.name}{count}: {'; '.join(dict.fromkeys([*parts, *product.remarks]))}"


def _conclusion(about: Mapping, different: Sequence[str], configs: Sequence[str]) -> Iterator[str]:
    results = f"results/{about['experiment']}"
    if different:
        yield f"{len(different)} files have other bytes: they are in {results}.rebuilt, beside those of {results}"
    else:
        yield "everything that was rebuilt has the same bytes"
    if about["models"] and about["texts"]:
        yield f"to go on with it: {snakemake_command(configs, '--cores', '2')}"


def _config_here(name: str, unpacked: Path, results: Path) -> str:
    """Path of an experiment's file in this project: the same one that is here, else the archive's, in the results."""
    if Path(name).is_file() and filecmp.cmp(name, unpacked / name, shallow=False):
        return name
    target = results / name
    (unpacked / target).parent.mkdir(parents=True, exist_ok=True)
    (unpacked / target).write_bytes((unpacked / name).read_bytes())
    return str(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("archive", type=Path, help="a file that make archive has written")
    parser.add_argument("--cores", default="1", help="a number, or all")
    given = parser.parse_args()
    fine = True
    for line in restore(given.archive, given.cores):
        print(line, flush=True)
        fine = fine and "other bytes" not in line
    sys.exit(not fine)


if __name__ == "__main__":
    end_in_one_line(main)
