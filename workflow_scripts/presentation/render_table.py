"""Render a table: its numbers as CSV, and for people as Markdown and LaTeX, each with a caption."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow_scripts.presentation.layout import Layout
from workflow_scripts.presentation.table_formats import latex_table, markdown_table
from workflow_scripts.storage.artifacts import atomic_path
from workflow_scripts.storage.circumstances import UNALIKE
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_numbers

FINDS = {"layout": "presentation.layouts"}
_SENTENCE = re.compile(r"^:([^:\n]+): ((?:.|\n(?!\n|:))*)", re.MULTILINE)


def render_table(
    *,
    spec: Mapping,
    numbers: Path,
    captions: Sequence[Path],
    configuration: Path | None = None,
    csv: Path,
    md: Path,
    tex: Path,
) -> None:
    """Write the three files of a table from its ``numbers`` (Parquet with the spec that they were made by).

    ``spec``: ``layout``, the name of a file of ``presentation/layouts`` that holds ``layout(numbers, spec) -> Layout``.
    ``captions``: the text files of the sentences above and below the table. ``configuration``: numbers of that table,
    which say what was made unalike: the caption's last sentence. Nothing is computed here that a reader
    might want as a number, so a change of wording computes nothing again.
    """
    name = spec["layout"]
    layout = lay_out(name, numbers)
    caption = read_caption(captions, layout.sentences, layout.values)
    if configuration:
        caption = " ".join(filter(None, [caption, unalike(configuration, captions)]))
    notes = read_caption(captions, layout.notes, layout.values)
    with atomic_path(csv) as path:
        layout.csv.to_csv(path, index=False, float_format=layout.float_format, lineterminator="\n")
    with atomic_path(md) as path:
        parts = [
            f"### {heading}\n\n{markdown_table(text)}" if heading else markdown_table(text)
            for heading, text in layout.texts.items()
        ]
        where = f"Definitions and caveats: [docs/tables.md](../../../docs/tables.md#{anchor(name)})."
        below = [f"{notes}\n"] if notes else []
        path.write_text("\n".join([f"{caption} {where}\n", *parts, *below]), encoding="utf-8")
    with atomic_path(tex) as path:
        comment = f"% {caption} Definitions: docs/tables.md#{anchor(name)}\n"
        first = list(layout.texts.items())[: layout.in_latex]
        parts = [f"% {heading}\n{latex_table(text)}" if heading else latex_table(text) for heading, text in first]
        below = [f"% {notes}\n"] if notes else []
        path.write_text(comment + "\n".join([*parts, *below]), encoding="utf-8")


def lay_out(name: str, numbers: Path) -> Layout:
    """What the layout ``name`` makes of a table's numbers."""
    return importlib.import_module(f"workflow_scripts.presentation.layouts.{name}").layout(*read_numbers(numbers))


def unalike(configuration: Path, captions: Sequence[Path]) -> str:
    """The sentence that says what was made unalike; empty where nothing was."""
    rows, _ = read_numbers(configuration)
    rows = rows[rows["part"] == UNALIKE]
    if rows.empty:
        return ""
    what, kinds = (_listed(list(dict.fromkeys(rows[name]))) for name in ("setting", "of"))
    return read_caption(captions, ["unalike"], {"what": what, "kinds": kinds})


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def anchor(name: str) -> str:
    """The heading of a table's section in docs/tables.md, as a link names it."""
    return name.replace("_", "-")


def read_sentences(path: Path) -> dict[str, str]:
    """The fields ``:name: text`` of a file of sentences, each text on one line."""
    return {name: " ".join(text.split()) for name, text in _SENTENCE.findall(path.read_text(encoding="utf-8"))}


def read_caption(paths: Sequence[Path], sentences: Sequence[str], values: Mapping[str, object]) -> str:
    """The named ``sentences`` of the files on one line, with their values filled in."""
    found: dict[str, str] = {}
    for path in paths:
        found |= read_sentences(path)
    try:
        return " ".join(found[name] for name in sentences).format(**values)
    except KeyError as error:
        raise InputError(f"{paths[0]} or its layout lacks {error.args[0]!r}") from None


if __name__ == "__main__":
    run(render_table)
