"""Figures show the numbers that they are given, or name what is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import artifact
from rendered import keep_figures

from workflow_scripts.report import draw_cost, draw_learning_curves, smooth_curves
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import write_numbers


def images(folder: Path) -> dict[str, Path]:
    return {kind: folder / f"figure.{kind}" for kind in ("png", "pdf")}


def test_learning_curves_show_every_cell_over_equal_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def student(name: str, steps: int, first: float = 1.0) -> Path:
        numbers = np.arange(1, steps + 1)
        columns = {"loss": first / numbers, "gradient_norm": numbers * first, "documents": numbers * 1000}
        return artifact(tmp_path / name / "manifest.json", {"history.parquet": pd.DataFrame(columns)})

    rankers = [["be", "kl", "random", "t", 0], ["be", "kl", "random", "t", 1], ["be", "kl", "bm25", "t", 0]]
    spec = {"students": ["be"], "losses": ["kl"], "samplers": ["random", "bm25"], "smoothing": 0, "rankers": rankers}
    students = [student("a", 20), student("b", 20, 3.0), student("c", 20, 5.0)]
    drawn, curves = keep_figures(monkeypatch, draw_learning_curves), tmp_path / "curves.parquet"
    smooth_curves.smooth_curves(spec=spec, students=students, output=curves)
    draw_learning_curves.draw_learning_curves(spec=spec, curves=curves, **images(tmp_path))
    assert images(tmp_path)["pdf"].read_bytes()[:4] == b"%PDF"
    steps = np.arange(1, 21)
    losses, norms = ({line.get_label(): line for line in panel.lines} for panel in drawn[0].axes)
    # Two seeds of random, one of bm25; documents in thousands.
    assert list(losses) == ["random", "bm25"]
    assert losses["random"].get_xdata().tolist() == steps.tolist()
    assert losses["random"].get_ydata() == pytest.approx(2 / steps)
    assert losses["bm25"].get_ydata() == pytest.approx(5 / steps)
    assert norms["random"].get_ydata() == pytest.approx(2 * steps)
    with pytest.raises(InputError, match="no student be of kl and dense"):
        draw_learning_curves.draw_learning_curves(
            spec={**spec, "samplers": ["dense"]}, curves=curves, **images(tmp_path)
        )
    uneven = [*students[:1], student("d", 30), *students[2:]]
    with pytest.raises(InputError, match="different steps"):
        smooth_curves.smooth_curves(spec=spec, students=uneven, output=curves)


def test_the_cost_figure_shows_every_student_and_refuses_one_without_a_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [("bm25", "", "", ""), ("teacher", "", "", "t"), *(("be", "kl", name, "t") for name in ("x", "y", "z"))]
    main = pd.DataFrame(cells, columns=["student", "loss", "sampler", "teacher"])
    main = main.assign(domain="in", collection="all", measure="AP", mean=[0.1, 0.4, 0.2, 0.3, 0.25])
    main = main.assign(ci_low=main["mean"] - 0.05, ci_high=main["mean"] + 0.05)
    cost = main[2:].assign(scope="student", energy_wh=[1.5, 2.0, 3.0], alone_wh=[1.0, 2.0, 3.0])
    # Rows of other domains and collections are not shown.
    main = pd.concat([main, main.assign(domain="out", mean=9.0), main.assign(collection="a", mean=9.0)])
    paths = {name: tmp_path / f"{name}.parquet" for name in ("cost", "main")}
    write_numbers(paths["main"], main, {})
    write_numbers(paths["cost"], cost, {})
    # More names than a line of the legend holds.
    names = {"losses": ["kl", *(f"another loss {number}" for number in range(6))], "samplers": ["x", "y", "z"]}
    spec = {"students": ["be"], **names, "domain": "in", "measure": "AP"}
    drawn = keep_figures(monkeypatch, draw_cost)
    draw_cost.draw_cost(spec=spec, **paths, **images(tmp_path))
    front, *points = [(list(line.get_xdata()), list(line.get_ydata())) for line in drawn[0].axes[0].lines]
    # z is dearer than y and worse: not on the front.
    assert front == ([1, 2], [0.2, 0.3])
    assert points[:3] == [([1], [0.2]), ([2], [0.3]), ([3], [0.25])]
    assert [height for _, height in points[3:]] == [[0.1, 0.1], [0.4, 0.4]], "BM25 and the teacher"
    write_numbers(paths["cost"], cost[:1], {})
    with pytest.raises(InputError, match="is missing"):
        draw_cost.draw_cost(spec=spec, **paths, **images(tmp_path))
