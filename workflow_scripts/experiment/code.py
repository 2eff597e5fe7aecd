"""Which project files a script runs: its own and, transitively, every project module it imports.

Snakemake watches a rule's shell line, not the modules behind it. Their digest as a rule's parameter makes an edit rerun
exactly the jobs whose code it changes. Imports are read from the syntax tree, so nothing is executed.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "workflow_scripts"


def closure(modules: Iterable[str]) -> list[Path]:
    """Files of ``modules`` (dotted names) and of everything in this project they import, sorted, relative to the root.

    Raises ``FileNotFoundError`` naming a module that has no file.
    """
    found: set[Path] = set()
    queue = list(modules)
    while queue:
        module = queue.pop()
        path = _module_file(module)
        if path is None:
            raise FileNotFoundError(f"no project module {module}")
        if path not in found:
            found.add(path)
            queue.extend(_imports(path))
            # Importing a.b.c runs a/__init__ and a.b/__init__ first.
            queue.extend(module.rsplit(".", depth)[0] for depth in range(1, module.count(".") + 1))
    return sorted(path.relative_to(ROOT) for path in found)


def digest(modules: Iterable[str]) -> str:
    """SHA-256 over names and contents of the files of :func:`closure`, wherever they lie and however old they are."""
    files = "".join(f"{path.as_posix()} {_checksum(path)}\n" for path in closure(modules))
    return hashlib.sha256(files.encode()).hexdigest()


@functools.cache
def _checksum(path: Path) -> str:
    return hashlib.sha256((ROOT / path).read_bytes()).hexdigest()


def module_of(rule: str) -> str:
    """Dotted name of the script of a rule, which lies in its stage's folder."""
    (path,) = (ROOT / PACKAGE).glob(f"*/{rule}.py")
    return f"{PACKAGE}.{path.parent.name}.{rule}"


def _module_file(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


@functools.cache
def _imports(path: Path) -> tuple[str, ...]:
    """Dotted names of the project modules that one file imports, inside functions too."""
    names: list[str] = []
    for node in _statements(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level or not node.module:
                raise SyntaxError(f"{path}:{node.lineno}: relative import; write it out from {PACKAGE}")
            names.append(node.module)
            # "from package import name" imports a module where the name is one.
            names.extend(f"{node.module}.{alias.name}" for alias in node.names)
    ours = [name for name in names if name.split(".")[0] == PACKAGE]
    return tuple(name for name in ours if _module_file(name))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement below ``node``. Imports are statements, so expressions, most of a tree, need no look."""
    for branch in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, branch, ()):
            yield child
            yield from _statements(child)
