"""What surrounds the code: README's tree, the Makefile, the citation, and the locks against what is imported."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCAL = {"audit", "bench", "tests", "workflow_scripts", *(path.stem for path in ROOT.glob("tests/*.py"))} | {
    path.stem for path in (ROOT / "tests").rglob("*.py")
}
DISTRIBUTIONS = packages_distributions()


def test_architecture_names_what_is_there_and_every_folder() -> None:
    tree = (ROOT / "docs/architecture.md").read_text().split("```\n")[1].split("```")[0]
    top, missing, folders = Path(), [], set()
    for line in tree.splitlines():
        entry, description = re.fullmatch(r" *(\S+) +(.*)", line).groups()
        if not line.startswith(" "):
            top = Path(entry)
        path = top / entry if line.startswith(" ") else top
        folders.add(str(path))
        # In a description, only what ends like a file or a folder is one: "profiles/", "measurements.md".
        named = re.findall(r"(?<![\w/}])[\w.-]+(?:/(?=\W|$)|\.(?:md|yaml|smk)\b)", description)
        missing += [str(path / name) for name in ("", *named) if not (ROOT / path / name).exists()]
    assert missing == []
    assert {f"workflow_scripts/{init.parent.name}" for init in ROOT.glob("workflow_scripts/*/__init__.py")} <= folders


def test_links_of_readme_and_docs_lead_somewhere() -> None:
    broken = []
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            if not (page.parent / link).exists():
                broken.append(f"{page.name}: {link}")
    assert broken == []


def test_tests_that_docs_name_are_there() -> None:
    text = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    named = re.findall(r"(tests/[\w/]+\.py)::(\w+)", text)
    missing = [name for path, name in named if f"def {name}(" not in (ROOT / path).read_text()]
    assert len(named) > 10 and missing == []


def test_readmes_numbers_are_those_that_ship() -> None:
    shipped = yaml.safe_load((ROOT / "config/expected/demo.yaml").read_text())["cells"]
    table = (ROOT / "README.md").read_text().split("| loss | sampler |")[1]
    domains, *rows = [line.strip(" |").split("|") for line in table.split("\n\n")[0].splitlines() if "--" not in line]
    places = [column.split() for column in domains]
    assert len(rows) == 8 and len(places) == 6
    for loss, sampler, *values in ([cell.strip() for cell in row] for row in rows):
        for (domain, student), value in zip(places, values, strict=True):
            names = {"BM25": "bm25", "teacher": "teacher.base"}
            cell = names.get(loss, f"{student}.{loss}.{sampler}.base")
            assert f"{shipped[f'{cell} {domain}']:.3f}" == value, (cell, domain)


def test_every_make_target_is_described() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z][\w-]*):(?!=)", text, re.MULTILINE)
    assert targets[0] == "help"
    assert targets == re.findall(r"^([a-z][\w-]*):(?!=).*  ## \S", text, re.MULTILINE)
    said = subprocess.run(["make", "-pn", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", said, re.MULTILINE)[1].split()
    assert sorted(phony) == sorted(targets)


def test_the_citation_is_of_this_version_and_names_the_study() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]
    (study,) = citation["references"]
    assert study["identifiers"][0]["value"] == "arXiv:2505.21058"
    assert f"{PROJECT['version']}\n" in (ROOT / "CHANGELOG.md").read_text()


def test_the_development_lock_adds_to_the_runtime_lock() -> None:
    lines = (ROOT / "requirements-dev.txt").read_text().splitlines()
    assert "-r requirements.txt" in lines
    runtime, development = _lock("requirements.txt"), _lock("requirements-dev.txt")
    assert not runtime.keys() & development.keys()
    # The bench compares like with like only where both environments have these versions.
    peers = _lock("bench/requirements.txt")
    assert all(peers[name] == runtime[name] for name in ("torch", "transformers", "tokenizers", "numpy"))


def test_whatever_is_imported_is_locked() -> None:
    runtime = _lock("requirements.txt").keys()
    development = runtime | _lock("requirements-dev.txt").keys()
    bench = development | _lock("bench/requirements.txt").keys()
    rules = [ROOT / "Snakefile", *ROOT.glob("rules/*.smk")]
    imported = {
        "workflow_scripts": (_imports(ROOT.glob("workflow_scripts/**/*.py")), runtime),
        "rules": (set().union(*map(_rule_imports, rules)), runtime),
        "ir_datasets": (_imports_of_collections(), runtime),
        "tests": (_imports(ROOT.glob("tests/**/*.py")), development),
        "bench": (_imports(ROOT.glob("bench/*.py")), bench),
    }
    assert "ijson" in imported["ir_datasets"][0]
    unlocked = {
        (where, module)
        for where, (modules, lock) in imported.items()
        for module in modules - sys.stdlib_module_names - LOCAL
        if not _distributions(module) & lock
    }
    assert unlocked == set()


def _lock(name: str) -> dict[str, str]:
    """Version by package; fails at a line that is not exact and at a package that is there twice."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and line[0] not in "#-"]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    pins = {_normal(package): version for package, version in (line.split("==") for line in lines)}
    assert len(pins) == len(lines)
    return pins


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


def test_text_is_read_and_written_as_utf_8_whatever_the_locale() -> None:
    unsaid = []
    for path in sorted(ROOT.glob("workflow_scripts/**/*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if not isinstance(node, ast.Call) or any(word.arg == "encoding" for word in node.keywords):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            binary = isinstance(node.func, ast.Attribute) or any("b" in ast.unparse(mode) for mode in node.args[1:2])
            asks_for_text = any(word.arg == "text" for word in node.keywords) and name in ("run", "Popen")
            if name in ("read_text", "write_text") or asks_for_text or (name == "open" and not binary):
                unsaid.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert unsaid == []
