"""A job's code: its git commit, and the digest of its script and every project module that it imports.

Snakemake watches a rule's shell line, not the modules behind it. The digest is a parameter of the rule, so an edit
reruns exactly the jobs whose code it changes; a job writes it into its manifest, so an artifact tells which code made
it. It is taken from syntax trees without docstrings and comments, and leaves out the modules that cannot touch a
result. Nothing of it is executed.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "workflow_scripts"
NOT_IN_DIGEST = frozenset(
    f"{PACKAGE}.{name}"
    for name in (
        "storage.code",
        "storage.checked",
        "storage.locks",
        "storage.logs",
        "storage.provenance",
        "storage.results",
        "storage.reuse",
        "storage.energy",
        "storage.gpus",
        "storage.progress",
        "storage.tracking",
        "train.model_card",
    )
)
"""Modules that write manifests, logs, cards and locks, or link what the same code made: they change no result."""
FINDS = "FINDS"
"""A script's literal ``{"key of the spec": "stage.folder"}``: the functions that it finds by their name in the spec."""
_unsaved: list[str] = []
_OWN = Path(__file__).read_bytes()
_CACHE = ROOT / PACKAGE / "__pycache__" / f"syntax.{sys.implementation.cache_tag}.json"


def job_digest(module: str, spec: Mapping) -> str:
    """Digest of the script ``module`` with the functions that its ``spec`` names (losses, samplers, layouts).

    A key of :data:`FINDS` holds a function's name, a list of names, or an object with the name under ``function``.
    """
    return _digest((module, *chosen_functions(module, spec)))


def chosen_functions(module: str, spec: Mapping) -> list[str]:
    """Dotted names of the modules that a script finds by their names in a spec; none for a script that is gone."""
    path = _find(module)
    chosen: list[str] = []
    for key, folder in _syntax(path)[2].items() if path else ():
        value = spec.get(key)
        name = value.get("function") if isinstance(value, Mapping) else value
        names = name if isinstance(name, list) else [name]
        # A name without a file is the script's to refuse.
        found = [f"{PACKAGE}.{folder}.{name}" for name in names if name is not None]
        chosen += filter(_find, found)
    return chosen


@functools.cache
def _digest(modules: tuple[str, ...]) -> str:
    """SHA-256 over names and syntax of the files of :func:`closure`, wherever they lie and however old they are."""
    files = "".join(f"{path.as_posix()} {_syntax(ROOT / path)[0]}\n" for path in closure(modules))
    _save()
    return hashlib.sha256(files.encode()).hexdigest()


def closure(modules: Iterable[str]) -> list[Path]:
    """Files of ``modules`` (dotted names) and of everything in this project they import, sorted, relative to the root.

    :data:`NOT_IN_DIGEST` and what only they import are left out. Raises ``FileNotFoundError`` naming a module that has
    no file.
    """
    found: set[Path] = set()
    queue = list(modules)
    while queue:
        module = queue.pop()
        if module in NOT_IN_DIGEST:
            continue
        if (path := _find(module)) is None:
            raise FileNotFoundError(f"no project module {module}")
        if path not in found:
            found.add(path)
            queue.extend(name for name in _syntax(path)[1] if _find(name))
            # Importing a.b.c runs a/__init__ and a.b/__init__ first.
            queue.extend(module.rsplit(".", depth)[0] for depth in range(1, module.count(".") + 1))
    return sorted(path.relative_to(ROOT) for path in found)


def script_of(rule: str) -> str:
    """Dotted name of the script of a rule, which lies in its stage's folder."""
    (path,) = (ROOT / PACKAGE).glob(f"*/{rule}.py")
    return f"{PACKAGE}.{path.parent.name}.{rule}"


def git_commit() -> str | None:
    """The code's git commit, with ``-dirty`` where the code differs from it; None where the project is no checkout.

    A file that git does not know counts where it may run: in the folders of the code and of the rules.
    """
    try:
        commit = git("describe", "--always", "--abbrev=40", "--dirty", "--exclude=*").decode().strip()
        unknown = git("ls-files", "--others", "--exclude-standard", "--", PACKAGE, "rules")
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit.removesuffix('-dirty')}-dirty" if unknown else commit


def git(*arguments: str) -> bytes:
    """What git prints of this project, not of a repository that the project only lies in."""
    command = ["git", "--git-dir", str(ROOT / ".git"), "--work-tree", str(ROOT), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout


def forget() -> None:
    """Read every file anew: a job asks for its digest when it starts and when it ends."""
    _digest.cache_clear()
    _syntax.cache_clear()
    _find.cache_clear()


@functools.cache
def _find(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


@functools.cache
def _syntax(path: Path) -> tuple[str, tuple[str, ...], Mapping[str, str]]:
    """Of one file: the digest of its syntax, the project modules it may import, its :data:`FINDS`."""
    content = path.read_bytes()
    checksum = hashlib.sha256(_OWN + content).hexdigest()
    if checksum not in _cached():
        tree = ast.parse(content, str(path))
        imports, finds = tuple(_imports(tree, path)), _finds(tree)
        _cached()[checksum] = [syntax_digest(tree), imports, finds]
        _unsaved.append(checksum)
    found, imports, finds = _cached()[checksum]
    return found, tuple(imports), finds


def syntax_digest(tree: ast.Module) -> str:
    """SHA-256 of a syntax tree without docstrings, comments and positions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            # A text that stands alone is a docstring, of a constant too. A body must not become empty.
            kept = [each for each in node.body if not _is_text(each)]
            node.body = kept or ([] if isinstance(node, ast.Module) else [ast.Pass()])
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _imports(tree: ast.Module, path: Path) -> Iterator[str]:
    """Dotted names of project modules that a file imports, inside functions too; some may be no modules."""
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise SyntaxError(f"{path}:{node.lineno}: relative import; write it out from {PACKAGE}")
            # "from package import name" imports a module where the name is one.
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == PACKAGE)


def _finds(tree: ast.Module) -> dict[str, str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(name, ast.Name) and name.id == FINDS for name in node.targets
        ):
            return ast.literal_eval(node.value)
    return {}


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement below ``node`` that may run: imports for types alone, ``if TYPE_CHECKING``, do not.

    Imports are statements, so expressions, most of a tree, need no look.
    """
    for_types = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    for branch in ("orelse",) if for_types else ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, branch, ()):
            yield child
            yield from _statements(child)


@functools.cache
def _cached() -> dict[str, list]:
    """What :func:`_syntax` has found before, by this file and what it read: parsing all files takes a second."""
    try:
        return dict(json.loads(_CACHE.read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}


def _save() -> None:
    """Keep what was parsed; where the folder cannot be written, the next process parses again."""
    if not _unsaved:
        return
    _unsaved.clear()
    with contextlib.suppress(OSError):
        _CACHE.parent.mkdir(exist_ok=True)
        temporary = _CACHE.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(_cached()), encoding="utf-8")
        os.replace(temporary, _CACHE)
