"""Draw learning curves over the budget: effectiveness against the documents a student saw, a line a sampler."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path

from workflow_scripts.analysis.summaries import BM25, TEACHER, whole_domains
from workflow_scripts.presentation.plots import (
    PAGE,
    PALETTE,
    legend_above,
    new_figure,
    plain_log_axis,
    save_figure,
    style,
)
from workflow_scripts.presentation.plots import TEACHER as TEACHER_COLOUR
from workflow_scripts.storage.command import run
from workflow_scripts.storage.tables import read_numbers

GREY = PALETTE[-1]


def draw_budgets(*, spec: Mapping, main: Path, png: Path, pdf: Path) -> None:
    """Write the figure twice.

    ``main``: numbers of the main table over the study of budgets. ``spec``: ``budgets`` ([student, [[its name at a
    budget, documents], ...]], ...), ``losses``, ``samplers``, ``teachers``, ``domains`` (names) and ``measure``. A row
    is a student, loss and teacher, a column a domain; a line is the mean over seeds with its standard deviation where
    there are several; BM25 and the teacher are level lines.
    """
    table = whole_domains(read_numbers(main)[0], spec["measure"])
    found = table.set_index(["domain", "student", "loss", "sampler", "teacher"]).sort_index()
    rows = list(product(spec["budgets"], spec["losses"], spec["teachers"]))
    figure, axes = new_figure(PAGE, 0.5 + 1.7 * len(rows), len(rows), len(spec["domains"]), sharex=True)
    for ((student, budgets), loss, teacher), panels in zip(rows, axes, strict=True):
        names, documents = zip(*budgets, strict=True)
        for domain, panel in zip(spec["domains"], panels, strict=True):
            for sampler in spec["samplers"]:
                cells = found.loc[[(domain, name, loss, sampler, teacher) for name in names]]
                spread = None if cells["std_seed"].isna().any() else cells["std_seed"]
                panel.errorbar(documents, cells["mean"], spread, label=sampler, **style(spec["samplers"], sampler))
            for reference, name, colour in ((BM25, "", GREY), (TEACHER, teacher, TEACHER_COLOUR)):
                panel.axhline(found.loc[(domain, reference, "", "", name), "mean"], color=colour, linewidth=0.8)
            panel.grid(True)
            plain_log_axis(panel.xaxis)
        several = [teacher] if len(spec["teachers"]) > 1 else []
        panels[0].set_ylabel("\n".join([" ".join([student, loss, *several]), spec["measure"]]))
    for domain, panel in zip(spec["domains"], axes[0], strict=True):
        panel.set_title(domain)
    figure.supxlabel("documents seen (grey line: BM25; black: the teacher)", fontsize=7.5)
    legend_above(figure, axes[0, 0].get_legend_handles_labels()[0], handlelength=2.6)
    figure.align_ylabels()
    save_figure(figure, png, pdf)


if __name__ == "__main__":
    run(draw_budgets)
