"""Every table: its caption can be chosen, is short, and its section in docs/tables.md says the rest."""

from __future__ import annotations

import ast
import re
from itertools import chain, product

import pandas as pd
import pytest
from project import ROOT

from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.render_table import anchor, read_caption, read_sentences
from workflow_scripts.storage.errors import InputError

FOLDER = ROOT / "workflow_scripts/presentation"
LAYOUTS = sorted(path.stem for path in (FOLDER / "layouts").glob("[!_]*.py"))
PARTS = ["Question", "Columns", "Definition", "Caveats"]


def choices(node: ast.expr, function: ast.FunctionDef) -> list[tuple[str, ...]]:
    """Every list of sentences that an expression of a layout can give."""
    match node:
        case ast.Constant():
            return [(node.value,)]
        case ast.Starred():
            return choices(node.value, function)
        case ast.IfExp():
            return choices(node.body, function) + choices(node.orelse, function)
        case ast.List():
            return joined(*(choices(each, function) for each in node.elts))
        case ast.BinOp(op=ast.Mult()):  # a list, times whether it is wanted
            return [(), *choices(node.left, function)]
        case ast.BinOp(op=ast.Add()):
            return joined(choices(node.left, function), choices(node.right, function))
        case ast.Name():
            return values_of(node.id, function)
    raise AssertionError(f"write the sentences of a layout as lists and conditions, not as {ast.unparse(node)}")


def joined(*parts: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [tuple(chain.from_iterable(chosen)) for chosen in product(*parts)]


def values_of(name: str, function: ast.FunctionDef) -> list[tuple[str, ...]]:
    """What a variable can hold at the end of the function."""
    found: list[tuple[str, ...]] = []
    for statement in ast.walk(function):
        match statement:
            case ast.Assign(targets=[ast.Name(id=target)]) if target == name:
                found += choices(statement.value, function)
            case ast.AugAssign(target=ast.Name(id=target)) if target == name:
                found = joined(found, choices(statement.value, function))
    return found


def captions(layout: str) -> list[tuple[str, ...]]:
    """Every list of sentences that a layout can choose, from its source."""
    tree = ast.parse((FOLDER / f"layouts/{layout}.py").read_text())
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "layout"]
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Layout"]
    return [names for call in calls for names in choices(call.args[1], function)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_caption_is_short_and_each_of_its_sentences_can_be_chosen(layout: str) -> None:
    sentences, chosen = read_sentences(FOLDER / f"captions/{layout}.rst"), captions(layout)
    assert chosen and set(sentences) == {name for names in chosen for name in names}
    for names in chosen:
        caption = " ".join(sentences[name] for name in names)
        ends = re.findall(r"[.?!](?=\s|$)", caption)
        assert 1 <= len(ends) <= 3 and len(caption.split()) <= 60, f"too long: {caption}"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_documentation_of_a_table_has_its_four_parts(layout: str) -> None:
    sections = re.split(r"^## ", (ROOT / "docs/tables.md").read_text(), flags=re.MULTILINE)
    (section,) = [section for section in sections if section.startswith(f"{anchor(layout)}\n")]
    assert re.findall(r"^\*\*(\w+)\.\*\*", section, re.MULTILINE) == PARTS


def test_a_caption_is_filled_in_and_a_missing_sentence_is_named(tmp_path) -> None:
    path = tmp_path / "x.rst"
    path.write_text(":shown: {number} rows: two\n   lines.\n\n:more: And 10:30.\n")
    layout = Layout({}, ["shown", "more"], pd.DataFrame(), {"number": 3})
    assert read_caption(path, layout) == "3 rows: two lines. And 10:30."
    for wrong in (Layout({}, ["none"], pd.DataFrame()), Layout({}, ["shown"], pd.DataFrame())):
        with pytest.raises(InputError, match=r"x.rst or its layout lacks '(none|number)'"):
            read_caption(path, wrong)
