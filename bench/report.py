"""The comparison for people: a Markdown table and a figure of the ratios between their floors and aims."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from workflow_scripts.presentation.plots import COLUMN, MARKERS, PALETTE, new_figure, save_figure
from workflow_scripts.presentation.table_formats import Cell, TextTable, markdown_table
from workflow_scripts.storage.artifacts import atomic_path

HEADERS = ("ours", "peer", "ratio", "floor", "aim", "padding ours / peer", "difference")
INCHES_A_ROW, FRAME_INCHES = 0.42, 0.9


def write_report(table: pd.DataFrame, about: Mapping, output: Path) -> None:
    """Write ``bench.md``, ``bench.png`` and ``bench.pdf``."""
    sections = [[_line(row) for row in part.to_dict("records")] for _, part in table.groupby("shape", sort=False)]
    whole = TextTable(("row", "shape"), (("", HEADERS),), sections)
    with atomic_path(output / "bench.md") as path:
        parts = [_caption(about), markdown_table(_ratios(table)), markdown_table(whole)]
        path.write_text("\n".join([*parts, _products(table, about)]))
    save_figure(_draw(table[table["ratio"].notna()]), output / "bench.png", output / "bench.pdf")


def append_report(folder: str | Path, document: str | Path) -> None:
    """Add what :func:`write_report` wrote into ``folder`` to the end of a Markdown file, a section a run."""
    folder, document = Path(folder), Path(document)
    about = json.loads((folder / "versions.json").read_text())
    text = (folder / "bench.md").read_text().partition("\n")[2].strip()
    before = document.read_text() if document.exists() else ""
    with atomic_path(document) as path:
        path.write_text(f"{before.rstrip()}\n\n## {about['date']}, commit {about['commit']}\n\n{text}\n".lstrip())


def _products(table: pd.DataFrame, about: Mapping) -> str:
    """What the core computes at the model's shapes by each library, and the share of the best that a loop reaches."""
    measured = pd.DataFrame(about["products"])
    libraries = list(measured["library"].unique())
    speeds = measured.pivot_table(index=["shape", "product"], columns="library", values="gflops", sort=False)
    rows = [
        (key, [Cell("" if np.isnan(line[name]) else f"{line[name]:.0f}") for name in libraries])
        for key, line in speeds.iterrows()
    ]
    best, lines = measured.groupby("shape")["gflops"].max(), []
    for shape, part in table[table["ratio"].notna()].groupby("shape", sort=False):
        own = part.assign(loop=part["name"].str.split(",").str[0]).drop_duplicates("loop")
        shares = (f"{row['loop']} {row['gflops'] / best[shape]:.0%}" for row in own.to_dict("records"))
        lines.append(f"{shape}: {', '.join(shares)} of {best[shape]:.0f} GFLOP/s.")
    caption = (
        "Products alone, GFLOP/s of the process' CPU time (torch: MKL in fp32, oneDNN in bf16), and the share of the "
        "best of them that each of our loops reaches, tokenising and all else included:"
    )
    return "\n".join([caption, *lines, "", markdown_table(TextTable(("shape", "product"), (("", libraries),), [rows]))])


def _ratios(table: pd.DataFrame) -> TextTable:
    """The rows of the comparison, its shapes side by side: our speed, how many times the peer's, floor and aim."""
    speeds = table[table["ratio"].notna()]
    shapes, rows = list(speeds["shape"].unique()), []
    for name, part in speeds.groupby("name", sort=False):
        found, cells = part.set_index("shape"), []
        for shape in shapes:
            row = found.loc[shape] if shape in found.index else None
            cells += [Cell(""), Cell("")] if row is None else [Cell(f"{row['ours']:.3g}"), _ratio(row)]
        limits = [Cell(f"{part[limit].iloc[0]:g}") for limit in ("floor", "aim")]
        rows.append(((name,), [*cells, *limits]))
    groups = [*((shape, ("ours", "times the peer")) for shape in shapes), ("", ("floor", "aim"))]
    return TextTable(("a second",), groups, [rows])


def _ratio(row: Mapping) -> Cell:
    """A ratio; at its aim or above it stands out."""
    return Cell(f"{row['ratio']:.2f}", bold=row["ratio"] >= row["aim"])


def _line(row: Mapping) -> tuple[tuple[str, str], list[Cell]]:
    """A row as text."""
    speed = not np.isnan(row["ratio"])
    number = "{:.3g}" if speed else "{:.1%}"
    limit = "{:.2f}" if speed else "{:.1%}"
    cells = [
        Cell(number.format(row["ours"])),
        Cell(number.format(row["peer"])),
        _ratio(row) if speed else Cell(""),
        Cell(limit.format(row["floor"])),
        Cell(limit.format(row["aim"])),
        Cell(f"{row['pad_share']:.1%} / {row['peer_pad_share']:.1%}"),
        Cell(f"{row['difference']:.0e}{'' if row['equal'] else ' UNEQUAL'}"),
    ]
    return (row["name"], row["shape"]), cells


def _caption(about: Mapping) -> str:
    ours = about["ours"]
    sides = {"ours": about["project"]} | {side: about[side] for side in ("peers", "openvino") if side in about}
    versions = (f"{side}: {', '.join(map(' '.join, found.items()))}" for side, found in sides.items())
    clock = "CPU time of the process" if about["clock"] == "process_seconds" else "time on the clock"
    return f"""# Speed beside the peers

Items a second, by {clock}, medians of {_rounds(about["rounds"])} rounds in which the methods take turns.
{about["processor"]}; threads: {about["threads"]}; {about["date"]}, commit {about["commit"]}.
{"; ".join(versions)}.
Our arithmetic is fast where a row does not say portable: products by {ours["arithmetic"]["products"]}.
Same random weights, texts (82 tokens a pair on average, 143 at the 95th percentile), precision and, in training,
dropout 0.1, AdamW and 4 groups of 16 a step.

The project's times include making the token store of the texts, though a study makes it once; the peers tokenise in
their loops. A trainer's time starts with its first step. rankers' trainer fails as published: its stand-in is
transformers.Trainer with whole groups padded to the longest, tokenised in the collator. On this CPU the project's
`auto` is {ours["auto"]} where arithmetic is fast, of vectors fp32; rows in another precision say what it would give.

*padding*: share of the positions in the linear layers that hold no token. *difference*: the largest between the
project's and the peer's scores (at most 1e-5) or gradients (at most 1e-4), in fp32 without dropout.
Bold: the aim is reached. Not shown: more threads, GPUs, longer texts, the peers in settings that are not their own.
"""


def _rounds(done: Mapping[str, int]) -> str:
    """How many rounds were measured: one number, or each shape's where they differ."""
    if len(set(done.values())) == 1:
        return str(next(iter(done.values())))
    return " and ".join(f"{number} ({title})" for title, number in done.items())


def _draw(table: pd.DataFrame):
    """One line a row of the table, one marker a shape; grey marks are the floor, black ones the aim."""
    names, shapes = table["name"].unique()[::-1], table["shape"].unique()
    figure, axes = new_figure(2 * COLUMN, FRAME_INCHES + INCHES_A_ROW * len(names))
    axis = axes[0, 0]
    for place, name in enumerate(names):
        row = table[table["name"] == name].iloc[0]
        axis.plot([row["floor"]] * 2, [place - 0.36, place + 0.36], color="#9A9A9A", linewidth=2.5)
        axis.plot([row["aim"]] * 2, [place - 0.36, place + 0.36], color="black", linewidth=1.2)
    for number, shape in enumerate(shapes):
        part = table[table["shape"] == shape]
        offset = 0.5 * ((number + 0.5) / len(shapes) - 0.5)
        places = [list(names).index(name) - offset for name in part["name"]]
        style = {"marker": MARKERS[number % len(MARKERS)], "color": PALETTE[number % len(PALETTE)]}
        axis.plot(part["ratio"], places, linestyle="", markersize=4, label=shape, **style)
    axis.axvline(1, color="#E2E2E2", linewidth=0.8, zorder=0)
    axis.set_yticks(range(len(names)), [name.replace(", ", "\n", 1) for name in names])
    axis.set_xlim(left=0)
    axis.set_xlabel("times the peer's speed (grey mark: floor, black mark: aim)")
    figure.legend(loc="outside upper center", ncols=len(shapes))
    return figure
