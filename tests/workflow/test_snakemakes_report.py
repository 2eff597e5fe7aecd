"""``snakemake --report``: Snakemake's own page holds the tables and figures."""

from __future__ import annotations

from pathlib import Path

from project import Project


def test_it_holds_every_table_and_figure_with_its_caption(tiny: Project, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = tiny.run("--report", str(page))
    assert done.returncode == 0, done.stderr
    text, results = page.read_text(encoding="utf-8"), tiny.folder / "results/tiny"
    shown = [*results.glob("tables/*.md"), *results.glob("figures/*.png")]
    assert len(shown) > 15 and [path.name for path in shown if f"Adding {path.name} (" not in done.stderr] == []
    # A table's caption names the command that makes it, its row in the list says what came out.
    assert "make table EXPERIMENT=tiny TABLE=main" in text and "claims about ranking distillation, judged in" in text
    assert "The power law is dashed and its best rival dotted" in " ".join(text.replace("\\n", " ").split())
