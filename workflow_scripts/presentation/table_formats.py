"""Tables for people: Markdown and LaTeX (booktabs) from the same rows."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)
_MARKDOWN = re.compile(r"[\\|*_`~]|<(?=[A-Za-z/!?])|\](?=[(\[])|&(?=#?\w+;)")
"""What ends a cell, or what Markdown reads as emphasis, code, a tag, a link or a character: texts stay texts."""
_SIGNS = {"±": r"\pm", "≠": r"\neq", "≈": r"\approx", "¹": "^1", "²": "^2"}


@dataclass(frozen=True)
class Cell:
    """A text, whether it stands out, and letters above it."""

    text: str
    bold: bool = False
    letters: str = ""


@dataclass(frozen=True)
class TextTable:
    """Rows of label texts and value cells, in sections.

    ``groups``: spanning header and the headers below it, in order; together they cover the values of each row.
    """

    labels: Sequence[str]
    groups: Sequence[tuple[str, Sequence[str]]]
    sections: Sequence[Sequence[tuple[Sequence[str], Sequence[Cell]]]]


Lines = Iterable[tuple[Hashable, Sequence[str], Sequence[str | Cell]]]
"""What parts sections, a line's labels, and its cells; a text is a plain cell."""


def text_table(labels: Sequence[str], groups: Sequence[tuple[str, Sequence[str]]], lines: Lines) -> TextTable:
    """A table of ``lines``; those that name the same section stand together."""
    sections: dict[Hashable, list] = {}
    for section, names, texts in lines:
        cells = [Cell(text) if isinstance(text, str) else text for text in texts]
        sections.setdefault(section, []).append((names, cells))
    return TextTable(labels, groups, list(sections.values()))


def format_value(mean: float, spread: float) -> str:
    """``0.512``, or ``0.512 ± 0.004`` with a spread that is not NaN; an empty text for a mean that is NaN."""
    if np.isnan(mean):
        return ""
    return f"{mean:.3f}" if np.isnan(spread) else f"{mean:.3f} ± {spread:.3f}"


def format_interval(low: float, high: float) -> str:
    """`` [-0.012, +0.034]``, to follow a value; an empty text where there is none."""
    return "" if np.isnan(low) else f" [{low:+.3f}, {high:+.3f}]"


def format_p(p: float) -> str:
    """``0.012`` or ``<0.001``; an empty text for NaN."""
    if np.isnan(p):
        return ""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def best_per_column(texts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Marks the best of each column of ``values``  # (rows, columns), and all that read the same in ``texts``.

    A column whose values all read the same has no best.
    """
    marks = np.zeros(values.shape, dtype=bool)
    for column in range(values.shape[1]):
        if not np.isnan(values[:, column]).all():
            best = texts[np.nanargmax(values[:, column]), column]
            # Only the mean decides: rows that print the same mean are equally good to a reader.
            same = [text.split(" ")[0] == best.split(" ")[0] for text in texts[:, column]]
            marks[:, column] = same if len(same) == 1 or not all(same) else False
    return marks


def markdown_table(table: TextTable) -> str:
    """A pipe table; spanning headers are joined to the ones below them."""
    from tabulate import tabulate

    headers = [*table.labels, *(f"{group} {name}".strip() for group, names in table.groups for name in names)]
    rows = [
        [*(_markdown(label) for label in labels), *(_markdown_cell(cell) for cell in cells)]
        for section in table.sections
        for labels, cells in section
    ]
    align = ["left"] * len(table.labels) + ["right"] * (len(headers) - len(table.labels))
    headers = [_markdown(header) for header in headers]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True) + "\n"


def latex_table(table: TextTable) -> str:
    r"""A ``tabular`` for ``\input``, sections parted by ``\midrule``; needs the package booktabs."""
    columns = "l" * len(table.labels) + "".join("r" * len(names) for _, names in table.groups)
    spans, rules, start = [""] * len(table.labels), [], len(table.labels) + 1
    for group, names in table.groups:
        spans.append(rf"\multicolumn{{{len(names)}}}{{c}}{{{escape_latex(group)}}}")
        if group:
            rules.append(rf"\cmidrule(lr){{{start}-{start + len(names) - 1}}}")
        start += len(names)
    header = [*table.labels, *(name for _, names in table.groups for name in names)]
    lines = ["% needs \\usepackage{booktabs}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [_latex_row(spans), "".join(rules)] if rules else []
    lines.append(_latex_row([_latex_text(name) for name in header]))
    for section in table.sections:
        lines.append(r"\midrule")
        for labels, cells in section:
            lines.append(_latex_row([*(escape_latex(label) for label in labels), *(_latex(cell) for cell in cells)]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def escape_latex(text: str) -> str:
    """``text`` with LaTeX's special characters escaped."""
    return text.translate(_LATEX)


def _latex(cell: Cell) -> str:
    text = _latex_text(cell.text)
    text = rf"\textbf{{{text}}}" if cell.bold else text
    return rf"{text}\textsuperscript{{{cell.letters}}}" if cell.letters else text


def _latex_text(text: str) -> str:
    text = escape_latex(text)
    for character, command in _SIGNS.items():
        text = text.replace(character, f"${command}$")
    return text


def _latex_row(texts: Sequence[str]) -> str:
    return " & ".join(texts) + r" \\"


def _markdown(text: str, bold: bool = False) -> str:
    text = _MARKDOWN.sub(r"\\\g<0>", " ".join(text.splitlines()))
    return f"**{text}**" if bold and text else text


def _markdown_cell(cell: Cell) -> str:
    return _markdown(cell.text, cell.bold) + (f"<sup>{cell.letters}</sup>" if cell.letters else "")
