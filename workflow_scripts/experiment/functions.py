"""What a sampler's or a loss's file says of itself, read from its syntax tree: nothing of it is run or imported."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.experiment.options import TYPES
from workflow_scripts.storage.code import ROOT
from workflow_scripts.storage.errors import InputError

FOLDERS = {
    "samplers": Path("workflow_scripts", "mine", "samplers"),
    "losses": Path("workflow_scripts", "train", "losses"),
}
PARTS = {"samplers": ("sample", ("NEEDS_RANKINGS", "NEEDS_TEACHER")), "losses": ("loss", ("NEEDS_TEACHER",))}
"""Kind: the function and the flags that each of its files holds."""


@dataclass(frozen=True)
class Function:
    """A loss or a sampler as its file describes it.

    ``needs``: the file's flags; ``options``: its ``OPTIONS``, see :mod:`workflow_scripts.experiment.options`;
    ``defaults``: option to default, none for a required one; ``fixes_level``: whether a loss's file says that a
    constant added to all scores of a group changes its value; ``summary``: first line of the file's docstring.
    """

    needs: Mapping[str, bool]
    options: Mapping[str, Mapping]
    defaults: Mapping[str, object]
    fixes_level: bool
    summary: str


def function_names(kind: str) -> list[str]:
    """Names of the files of ``samplers`` or ``losses``."""
    return sorted(path.stem for path in (ROOT / FOLDERS[kind]).glob("[!_]*.py"))


def read_function(kind: str, name: str) -> Function:
    """The file ``name`` of a kind; :class:`InputError` names what it lacks."""
    path = FOLDERS[kind] / f"{name}.py"
    try:
        tree = ast.parse((ROOT / path).read_bytes())
    except (SyntaxError, ValueError) as error:
        raise InputError(f"{path} is no Python: {' '.join(str(error).split())}") from None
    function, flags = PARTS[kind]
    constants = _constants(tree.body)
    needs = {key: value for key, value in constants.items() if key.startswith("NEEDS_") and isinstance(value, bool)}
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function]
    lacking = [f"{flag} = True or False" for flag in flags if flag not in needs]
    lacking += [] if found else [f"a function {function}"]
    arguments = found[-1].args.kwonlyargs if found else []
    options = constants.get("OPTIONS", {})
    options = options if isinstance(options, dict) else {}
    names = [argument.arg for argument in arguments]
    lacking += [f"OPTIONS[{name!r}] with type and description" for name in names if not _is_whole(options.get(name))]
    lacking += [f"an argument {option}, which OPTIONS has" for option in options if option not in names and found]
    if lacking:
        raise InputError(f"{path} lacks {', '.join(lacking)}")
    given = zip(names, found[-1].args.kw_defaults, strict=True)
    defaults = {name: _literal(default, ast.unparse(default)) for name, default in given if default is not None}
    summary = (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")
    return Function(needs, options, defaults, constants.get("FIXES_LEVEL") is True, summary)


def _is_whole(described: object) -> bool:
    """Whether an entry of OPTIONS says what it must."""
    if not isinstance(described, dict) or "description" not in described:
        return False
    return described.get("type") in TYPES or (described.get("type") == "choice" and bool(described.get("choices")))


def _constants(body: list[ast.stmt]) -> dict[str, object]:
    """Names that the file binds to a literal."""
    bound = {}
    for node in body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        value = _literal(node.value, None)
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name) and value is not None:
                bound[target.id] = value
    return bound


def _literal(node: ast.expr, otherwise: object) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return otherwise
