"""Every table: its caption can be chosen, is short, and its section in docs/tables.md says the rest."""

from __future__ import annotations

import ast
import html
import re
from itertools import chain, product

import numpy as np
import pandas as pd
import pytest
from project import ROOT

from workflow_scripts.analysis.families import FalseCalls
from workflow_scripts.presentation.render_table import anchor, read_caption, read_sentences
from workflow_scripts.presentation.table_formats import markdown_table, text_table
from workflow_scripts.presentation.verdict_notes import notes_of, verdict_notes
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
    paths = [tmp_path / "x.rst", tmp_path / "y.rst"]
    paths[0].write_text(":shown: {number} rows: two\n   lines.\n")
    paths[1].write_text(":more: And 10:30.\n")
    assert read_caption(paths, ["shown", "more"], {"number": 3}) == "3 rows: two lines. And 10:30."
    for wrong in ("none", "shown"):
        with pytest.raises(InputError, match=r"x.rst or its layout lacks '(none|number)'"):
            read_caption(paths, [wrong], {})


@pytest.mark.parametrize(
    "text",
    [
        "what is <b>bold</b> & `code` | a_b_c *d* ~~e~~ \\f",
        "<script>alert(1)</script> <!-- a --> <?b?> </i>",
        "[a](https://example.org) ![b][c] &lt; &#60; AT&T a < b <0.001",
    ],
)
def test_markdown_shows_a_text_as_it_is(text: str) -> None:
    from markdown_it import MarkdownIt

    table = text_table(("query",), [("", ["J"])], [(None, (f"first line\n{text}",), [text])])
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    found = re.findall(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", parser.render(markdown_table(table)), re.DOTALL)
    assert [html.unescape(each) for each in found] == ["query", "J", f"first line {text}", text]


def test_every_sentence_below_a_table_is_chosen_by_its_verdicts() -> None:
    sentences = read_sentences(FOLDER / "captions/verdicts.rst")
    rows = pd.DataFrame({"block": 1, "p_difference": [0.01, 0.04], "outcome": ["different", "undecided"]})
    seen: set[str] = set()
    for basis in ("seeds", "one seed, controls", "one seed"):
        for outcome in ("different", "undecided"):
            p = rows["p_difference"] if basis != "one seed" else np.nan
            notes, values = verdict_notes(rows.assign(outcome=outcome, basis=basis, p_difference=p), ["block"], 0.05)
            seen |= set(notes)
            assert "{" not in " ".join(sentences[name] for name in notes).format(**values)
    of_one_table = {"weak teachers", "noise band", "retraining band", "parts of claims", "unalike"}
    of_one_table |= {f"given {name}" for name in ("collection", "trainings", "of cells", "factorial")}
    assert seen | of_one_table == set(sentences)
    notes, values = verdict_notes(rows.assign(basis="seeds"), ["block"], 0.05)
    text = " ".join(sentences[name] for name in notes).format(**values)
    assert text.startswith("Called different: 1 of 2 comparisons in 1 family.")
    assert "an estimated 2% or fewer are false" in " ".join(text.split())
    for p, tested, bound in ((0.0045, 240, "100%"), (1e-9, 240, "0.1%"), (0.0003, 41, "1.2%")):
        found = FalseCalls(called=1, tested=tested, families=2400, largest_p=p, alpha=0.05)
        assert {name: notes_of(found, rows["block"])[1][name] for name in ("bound", "expected")} == {
            "bound": bound,
            "expected": "120",
        }
