"""Pack an experiment for others: ``make archive EXPERIMENT=demo [MODELS=1] [TEXTS=1] [WITHOUT=runs/be]``.

``python -m workflow_scripts.archive.pack config/demo.yaml --output results/demo.tar`` first says how large the archive
becomes and what it leaves out, then writes it and reads it back. Packing twice gives the same bytes.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import os
import platform
import subprocess
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from workflow_scripts.archive.container import FORMAT, read_archive, write_archive
from workflow_scripts.archive.contents import (
    ASKED,
    MODELS,
    REPORT,
    TEXTS,
    entries,
    is_below,
    not_rebuilt,
    read_manifest,
)
from workflow_scripts.archive.crate import METADATA, check_library, describe_crate
from workflow_scripts.archive.rebuild import missing_products, page_without_texts
from workflow_scripts.archive.suspicion import CONFIG, config_fault
from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.leftovers import is_left_over
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.storage.artifacts import atomic_path
from workflow_scripts.storage.checksums import sha256
from workflow_scripts.storage.code import ROOT, git, git_commit
from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.processor import model
from workflow_scripts.storage.provenance import MANIFEST

CODE = ("Snakefile", "*.yml", "*.txt", "*.toml", "*.md", "LICENSE", "CITATION.cff")
CODE_FOLDERS = ("rules", "workflow_scripts", "snakemake_logger_plugin_distillery", "config", "profiles", "docs")
MEGABYTE = 10**6


def pack(configs: Sequence[str], archive: Path, options: frozenset[str], without: tuple[str, ...] = ()) -> dict:
    """Write the archive of an experiment whose results lie in ``results/`` here; its list.

    ``configs``: the experiment's files; ``options`` and ``without`` as :func:`.contents.entries` has them. Raises
    :class:`InputError` for an experiment that is not finished or is damaged.
    """
    check_library()
    planned = Experiment(read_config(*configs))
    experiment = planned.name
    results = Path("results", experiment)
    left_over = functools.partial(is_left_over, Rankers(planned))
    found = {entry.name: entry for entry in entries(results, options, without, left_over)}
    _check(configs, without, [name for name, entry in found.items() if entry.left_out == ASKED])
    packed = {name: results / name for name, entry in found.items() if entry.left_out is None}
    listed = {name: entry.listed or _listed(results / name) for name, entry in found.items()}
    left_out = {name: {**listed[name], "why": entry.left_out} for name, entry in found.items() if entry.left_out}
    for line in sizes(packed, listed, left_out):
        print(line, flush=True)
    named = {_place_of(config): Path(config) for config in configs}
    code, unknown = _code()
    if own := sorted(unknown - named.keys()):
        print(f"left out (unknown to git): {', '.join(own)}", flush=True)
    about: dict = {
        "format": FORMAT,
        "experiment": experiment,
        "configs": list(named),
        "commit": git_commit(),
        "packed_on": {"system": platform.platform(), "processor": model()},
        **{option: option in options for option in (MODELS, TEXTS)},
        "left_out": left_out,
    }
    files: dict[str, Path | bytes] = {**code, **named}
    files |= {name: Path(name) for name in map("results/{}/metrics.parquet".format, planned.config["pipelines"])}
    files |= {str(results / name): path for name, path in packed.items()}
    checksums = {str(results / name): each for name, each in listed.items()}
    if TEXTS not in options and "make_report" not in not_rebuilt(left_out, texts=False):
        page = files[str(results / REPORT)] = page_without_texts(about, files)
        checksums[str(results / REPORT)] = _listed(page)
    about["files"] = {name: checksums.get(name) or _listed(files[name]) for name in sorted(files)}
    runs = [read_manifest(path.read_bytes(), str(path)) for path in packed.values() if path.name == MANIFEST]
    crate = files[METADATA] = describe_crate(experiment, list(named), about["files"], runs, ROOT / "CITATION.cff")
    about["files"][METADATA] = _listed(crate)
    return _write(archive, about, files)


def _check(configs: Sequence[str], without: Sequence[str], asked: Collection[str]) -> None:
    """:class:`InputError` where the default target is not whole, or a pattern fits none of ``asked``."""
    if missing := missing_products(configs):
        more = f" and {len(missing) - 1} more are" if len(missing) > 1 else " is"
        raise InputError(f"{missing[0]}{more} missing: finish the experiment first")
    if idle := [pattern for pattern in without if not any(is_below(name, pattern) for name in asked)]:
        raise InputError(f"WITHOUT={idle[0]} names no file of the results: name a folder below them, such as runs/be")


def _write(archive: Path, about: dict, files: Mapping[str, Path | bytes]) -> dict:
    """Write an archive and read it back; an earlier one stands until that went well."""
    with atomic_path(archive) as partial:
        write_archive(partial, about, files)
        try:
            return read_archive(partial)
        except InputError as error:
            said = str(error).replace(str(partial), str(archive))
            again = f"make verify EXPERIMENT={about['experiment']} names what makes it again"
            raise InputError(f"{said}; {again}") from None


def sizes(packed: Mapping[str, Path], listed: Mapping[str, Mapping], left_out: Mapping[str, Mapping]) -> Iterator[str]:
    """Lines that say how many files and bytes of each kind are packed, and what is left out, and why."""
    parts: dict[tuple[str, str], list[int]] = defaultdict(list)
    for name in packed:
        parts["packed", name.partition("/")[0]].append(listed[name]["bytes"])
    for name, about in left_out.items():
        parts[f"left out ({about['why']})", name.partition("/")[0]].append(about["bytes"])
    for (what, part), own in sorted(parts.items(), key=lambda each: (each[0][0] != "packed", each[0])):
        yield f"{what}: {part}, {len(own):,} file{'s' * (len(own) > 1)}, {sum(own) / MEGABYTE:,.1f} MB"
    yield f"in all: {sum(listed[name]['bytes'] for name in packed) / MEGABYTE:,.1f} MB, and the code"


def _code() -> tuple[dict[str, Path], set[str]]:
    """The project's files as they are now, by their path in it, and in a checkout those that git does not know.

    They are what made the results, if it is at their commit. What git does not know may be private: it is not packed.
    """
    found = [path for pattern in CODE for path in ROOT.glob(pattern)]
    found += [path for folder in CODE_FOLDERS for path in (ROOT / folder).rglob("*")]
    names = {path.relative_to(ROOT): path for path in found if path.is_file()}
    ours = {
        str(name): path
        for name, path in names.items()
        if not any(part.startswith(".") or part == "__pycache__" for part in name.parts)
    }
    tracked = _tracked()
    unknown = set() if tracked is None else ours.keys() - tracked
    return {name: path for name, path in ours.items() if name not in unknown}, unknown


def _tracked() -> set[str] | None:
    """Paths that git knows of the project; None where it is no checkout."""
    if not (ROOT / ".git").exists():
        return None
    try:
        listed = os.fsdecode(git("ls-files", "-z"))
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(f"git cannot list the project's files, and others are not packed: {error}") from None
    return set(listed.split("\0"))


def _place_of(config: str) -> str:
    """Where a file of the experiment lies in the archive: where it lies here, or in config/."""
    path = Path(os.path.relpath(config))
    place = str(Path("config", path.name) if path.parts[0] in ("..", "results") else path)
    if not CONFIG.fullmatch(place):
        raise InputError(f"{config} cannot be packed by that name: name it like config/demo.yaml")
    if fault := config_fault(path.read_bytes()):
        raise InputError(f"{config} {fault}")
    return place


def _listed(source: Path | bytes) -> dict[str, int | str]:
    """Bytes and SHA-256 of a file or of what it will hold."""
    if isinstance(source, bytes):
        return {"bytes": len(source), "sha256": hashlib.sha256(source).hexdigest()}
    return {"bytes": source.stat().st_size, "sha256": sha256(source)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("configfiles", nargs="+", help="files of the experiment")
    parser.add_argument("--output", type=Path, required=True, help="the archive, a .tar")
    parser.add_argument("--models", action="store_true", help="weights, embeddings and teachers' scores too")
    parser.add_argument("--texts", action="store_true", help="texts of documents and queries too")
    parser.add_argument("--without", nargs="*", default=[], help="folders or patterns of files below the results")
    given = parser.parse_args()
    options = frozenset(option for option in (MODELS, TEXTS) if getattr(given, option))
    about = pack(given.configfiles, given.output, options, tuple(given.without))
    size = given.output.stat().st_size / MEGABYTE
    print(f"{given.output}: {len(about['files']):,} files, {size:,.1f} MB, read back and as listed")


if __name__ == "__main__":
    end_in_one_line(main)
