"""Every table of the experiment as the page shows it: caption, rows, and the command that makes it again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.presentation.render_table import anchor, lay_out, read_caption, unalike
from workflow_scripts.presentation.table_formats import TextTable

QUESTION = re.compile(r"^## ([\w-]+)\n\n\*\*Question\.\*\* ([^?]*\?)", re.MULTILINE)
"""Of docs/tables.md: a table's anchor, and the first question that it answers."""


@dataclass(frozen=True)
class PageTable:
    """A table: its name and question, what is said above it and sentence by sentence below, its parts, its command."""

    name: str
    caption: str
    notes: Sequence[str]
    parts: Sequence[tuple[str, TextTable]]
    definition: str
    command: str
    question: str

    @property
    def title(self) -> str:
        """The name as a heading."""
        text = self.name.replace("_", " ").replace(".", " of ")
        return text[0].upper() + text[1:]


def value_columns(table: TextTable) -> list[tuple[str, bool]]:
    """Each column of values: its header, and whether it holds numbers rather than words."""
    names = [name for _, headers in table.groups for name in headers]
    rows = [cells for section in table.sections for _, cells in section]
    texts = [[cells[place].text for cells in rows if cells[place].text] for place in range(len(names))]
    return [
        (name, not own or any(not text[0].isalpha() for text in own)) for name, own in zip(names, texts, strict=True)
    ]


def page_tables(
    numbers: Sequence[Path], captions: Sequence[Path], definitions: Path, make: str, of_rankers: Sequence[str]
) -> list[PageTable]:
    """The tables whose numbers are given, by their layouts; ``captions`` are the files of their sentences,
    ``definitions`` that of their questions.

    ``make``: what ``make`` is told of the experiment; ``of_rankers``: those whose captions say what was made unalike.
    """
    sentences = {path.stem: path for path in captions}
    mixed = " ".join(unalike(path, [sentences["verdicts"]]) for path in numbers if path.stem == "configuration")
    questions, found = dict(QUESTION.findall(definitions.read_text(encoding="utf-8"))), []
    for path in numbers:
        name = path.stem.split(".")[0]
        layout = lay_out(name, path)
        files = [sentences[name], sentences["verdicts"]]
        caption = read_caption(files, layout.sentences, layout.values)
        notes = [read_caption(files, [note], layout.values) for note in layout.notes]
        caption = f"{caption} {mixed}" if mixed and path.stem in of_rankers else caption
        command = f"make table {make} TABLE={path.stem}"
        definition = f"docs/tables.md#{anchor(name)}"
        question = " ".join(questions.get(anchor(name), "").split())
        found.append(PageTable(path.stem, caption, notes, list(layout.texts.items()), definition, command, question))
    return found
