"""What a sampler's or a loss's file says of itself, read from its syntax tree: nothing of it is run or imported."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError

FOLDERS = {
    "samplers": Path("workflow_scripts", "mine", "samplers"),
    "losses": Path("workflow_scripts", "train", "losses"),
}
PARTS = {"samplers": ("sample", ("NEEDS_RANKINGS", "NEEDS_TEACHER")), "losses": ("loss", ("NEEDS_TEACHER",))}
"""Kind: the function and the constants that each of its files holds."""


@dataclass(frozen=True)
class Function:
    """``needs``: the file's constants; ``options``: the function's keyword-only arguments, true where required."""

    needs: Mapping[str, bool]
    options: Mapping[str, bool]


def function_names(kind: str) -> list[str]:
    """Names of the files of ``samplers`` or ``losses``."""
    return sorted(path.stem for path in (ROOT / FOLDERS[kind]).glob("[!_]*.py"))


def read_function(kind: str, name: str) -> Function:
    """The file ``name`` of a kind; :class:`InputError` names what it lacks."""
    path = FOLDERS[kind] / f"{name}.py"
    try:
        body = ast.parse((ROOT / path).read_bytes()).body
    except (SyntaxError, ValueError) as error:
        raise InputError(f"{path} is no Python: {' '.join(str(error).split())}") from None
    function, constants = PARTS[kind]
    needs = {key: value for key, value in _constants(body).items() if key in constants and isinstance(value, bool)}
    found = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == function]
    lacking = [f"{constant} = True or False" for constant in constants if constant not in needs]
    lacking += [] if found else [f"a function {function}"]
    if lacking:
        raise InputError(f"{path} lacks {', '.join(lacking)}")
    given = found[-1].args
    options = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    return Function(needs, {argument.arg: default is None for argument, default in options})


def _constants(body: list[ast.stmt]) -> dict[str, object]:
    """Names that the file binds to a literal."""
    bound = {}
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            bound |= {target.id: node.value.value for target in targets if isinstance(target, ast.Name)}
    return bound
