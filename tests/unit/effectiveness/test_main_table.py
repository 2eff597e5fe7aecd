"""The long table, the main table and cells: rows by hand, what must not be missing, and how they read."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from factories import RULE, artifact, table_spec, write_metrics
from rendered import render

from workflow_scripts.analysis import equivalence, measures, summaries
from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.effectiveness.make_equivalence_table import make_equivalence_table
from workflow_scripts.effectiveness.make_main_table import make_main_table
from workflow_scripts.effectiveness.make_per_collection_table import make_per_collection_table
from workflow_scripts.evaluate import collect_metrics
from workflow_scripts.evaluate.write_cell import write_cell
from workflow_scripts.presentation.table_formats import escape_latex
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.tables import read_numbers, read_table, write_numbers

VALUES = {"one": [0.2, 0.4], "two": [0.9], "three": [0.1, 0.1, 0.1, 0.5]}
DOMAINS = [
    {"name": "near", "collections": ["one"]},
    {"name": "far", "collections": ["one", {"name": "both", "collections": ["two", "three"]}]},
]
GRID = {"students": ["be", "ce"], "losses": ["lce", "kl"], "samplers": ["random"], "teachers": ["t_1"], "seeds": [0, 1]}
SPEC = table_spec(**GRID, domains=DOMAINS, measures=["nDCG@10", "AP"])


def metrics(tmp_path: Path, keys: tuple, shift: float = 0.0, names: Sequence[str] = tuple(VALUES)) -> Path:
    """Metrics of one ranker: the values above of the named collections, plus ``shift``; AP on one collection only."""
    rows = [
        (name, f"q{index}", measure, value + shift)
        for name in sorted(names)
        for index, value in enumerate(VALUES[name])
        for measure in (["AP", "nDCG@10"] if name == "one" else ["nDCG@10"])
    ]
    frame = pd.DataFrame(rows, columns=["collection", "query_id", "measure", "value"])
    named = dict(zip(measures.KEYS, keys, strict=True))
    table = measures.metrics_table(named, frame)
    manifest = tmp_path / ".".join(map(str, (*keys, *names))) / "manifest.json"
    spec = {"keys": named, "measures": dict.fromkeys(names)}
    return artifact(manifest, {"metrics.parquet": (table, measures.METRICS_SCHEMA)}, spec=spec)


def all_metrics(tmp_path: Path) -> list[Path]:
    """BM25, a teacher, and four students with two seeds each; kl is better than lce, and seed 1 better than seed 0."""
    found = [metrics(tmp_path, ("bm25", "", "", "", None)), metrics(tmp_path, ("teacher", "", "", "t_1", None), 0.4)]
    for student in GRID["students"]:
        for loss, gain in (("lce", 0.1), ("kl", 0.2)):
            for seed in GRID["seeds"]:
                found.append(metrics(tmp_path, (student, loss, "random", "t_1", seed), gain + seed / 50))
    return found


def make_tables(tmp_path: Path, manifests: list[Path], spec: dict = SPEC) -> pd.DataFrame:
    collect_metrics.collect_metrics(metrics=manifests, output=tmp_path / "metrics.parquet")
    write_numbers(tmp_path / "equivalence.parquet", pd.DataFrame(columns=list(equivalence.COLUMNS)), {})
    paths = {name: tmp_path / f"{name}.parquet" for name in ("metrics", "equivalence")}
    make_main_table(spec=spec, **paths, output=tmp_path / "main.parquet")
    render("main", tmp_path / "main.parquet")
    return pd.read_csv(tmp_path / "main.csv", keep_default_na=False)


def test_collected_metrics_depend_on_neither_order_nor_sets_and_refuse_duplicates(tmp_path: Path) -> None:
    manifests = all_metrics(tmp_path)
    in_sets = [metrics(tmp_path, ("bm25", "", "", "", None), names=names) for names in (["two"], ["three", "one"])]
    for name, given in {"a": manifests, "b": manifests[::-1], "c": [*in_sets, *manifests[1:]]}.items():
        collect_metrics.collect_metrics(metrics=given, output=tmp_path / f"{name}.parquet")
        assert (tmp_path / f"{name}.parquet").read_bytes() == (tmp_path / "a.parquet").read_bytes()
    frame = read_table(tmp_path / "a.parquet")
    columns = [*measures.KEYS, "collection", "query_id", "measure"]
    plain = frame.astype({name: str for name in columns if name != "seed"})
    assert plain.equals(plain.sort_values(columns, kind="stable")) and len(frame) == 10 * 9
    with pytest.raises(InputError, match=r"both measure bm25 .* on two: give one of them"):
        collect_metrics.collect_metrics(metrics=[*manifests, in_sets[0]], output=tmp_path / "d.parquet")
    assert not (tmp_path / "d.parquet").exists()


def test_means_do_not_depend_on_row_groups(tmp_path: Path) -> None:
    collect_metrics.collect_metrics(metrics=all_metrics(tmp_path), output=tmp_path / "a.parquet")
    pq.write_table(pq.read_table(tmp_path / "a.parquet"), tmp_path / "b.parquet", row_group_size=4)
    one, other = (QueryValues(tmp_path / name) for name in ("a.parquet", "b.parquet"))
    for key in (("bm25", "", "", ""), None, "three"), (("ce", "kl", "random", "t_1"), 1, "two"):
        assert one.mean(*key, "nDCG@10") == pytest.approx(other.mean(*key, "nDCG@10"), rel=1e-12)
        assert one.mean(*key, "nDCG@10") == pytest.approx(np.mean(VALUES[key[2]]) + (0.22 if key[1] else 0))


def test_main_table_rows_by_hand(tmp_path: Path) -> None:
    table = make_tables(tmp_path, all_metrics(tmp_path))
    assert list(table.columns) == [*summaries.COLUMNS, "ci_low", "ci_high", "noise_band", "basis"]
    intervals = table[["ci_low", "ci_high"]].astype(float)
    assert (intervals["ci_low"] <= table["mean"]).all() and (intervals["ci_high"] >= table["mean"]).all()
    # The collection `one` has two queries, so a mean of a resample is 0.2, 0.3 or 0.4.
    assert intervals.iloc[0].tolist() == [0.2, 0.4]
    table = table.drop(columns=[*intervals.columns, "noise_band", "basis"])
    first = [tuple(row) for row in table[:9].drop(columns=["student", "loss", "sampler", "teacher"]).to_numpy()]
    assert first == [
        ("near", "one", "nDCG@10", 0.3, "", 1, 2),
        ("near", "one", "AP", 0.3, "", 1, 2),
        ("near", "all", "nDCG@10", 0.3, "", 1, 2),
        ("near", "all", "AP", 0.3, "", 1, 2),
        ("far", "one", "nDCG@10", 0.3, "", 1, 2),
        ("far", "one", "AP", 0.3, "", 1, 2),
        ("far", "two", "nDCG@10", 0.9, "", 1, 1),
        ("far", "three", "nDCG@10", 0.2, "", 1, 4),
        ("far", "both", "nDCG@10", 0.55, "", 1, 5),
    ]
    assert table.iloc[9].tolist() == ["bm25", "", "", "", "far", "all", "nDCG@10", 0.425, "", 1, 7]
    rankers = list(dict.fromkeys(map(tuple, table[["student", "loss", "sampler", "teacher"]].to_numpy())))
    students = [(student, loss, "random", "t_1") for student in ("be", "ce") for loss in ("lce", "kl")]
    assert rankers == [("bm25", "", "", ""), ("teacher", "", "", "t_1"), *students]
    row = table[(table["student"] == "ce") & (table["loss"] == "kl") & (table["collection"] == "all")].iloc[-1]
    assert row["mean"] == pytest.approx(0.425 + 0.21, abs=1e-6) and row["n_seeds"] == 2
    assert float(row["std_seed"]) == pytest.approx(0.02 / math.sqrt(2), abs=1e-6)


def test_main_table_for_people(tmp_path: Path) -> None:
    make_tables(tmp_path, all_metrics(tmp_path))
    markdown = (tmp_path / "main.md").read_text().splitlines()
    tables = [line for line in markdown if line.startswith(("|", "#"))]
    assert tables[:2] == [
        "### nDCG@10",
        "| loss    | sampler   |           near be |           near ce |            far be |            far ce |",
    ]
    bm25 = ["BM25", "", "0.300", "0.300", "0.425", "0.425"]
    assert [cell.strip() for cell in tables[3].strip("|").split("|")] == bm25
    assert [cell.strip() for cell in tables[6].strip("|").split("|")][:3] == ["kl", "random", "**0.510 ± 0.014**"]
    assert "near be" in tables[8] and "far be" not in tables[8], "AP is not measured everywhere in far"
    latex = (tmp_path / "main.tex").read_text()
    assert r" &  & \multicolumn{2}{c}{near} & \multicolumn{2}{c}{far} \\" in latex
    assert r"\cmidrule(lr){3-4}\cmidrule(lr){5-6}" in latex
    assert r"kl & random & \textbf{0.510 $\pm$ 0.014} & \textbf{0.510 $\pm$ 0.014} & " in latex
    assert escape_latex("a_b & 5% \\") == r"a\_b \& 5\% \textbackslash{}"


def letter_tables(tmp_path: Path, seeds: Sequence[int]) -> None:
    """Three tables of two samplers: one clearly better on `wide` (20 queries), no different on `even`."""
    values = {}
    students = [("be", "kl", sampler, "t", seed) for sampler in "xy" for seed in seeds]
    for place, keys in enumerate((("bm25", "", "", "", None), ("teacher", "", "", "t", None), *students)):
        noise = np.random.default_rng(place).normal(0, 0.05, 20)
        values |= {(*keys, "even"): 0.4 + noise, (*keys, "wide"): 0.4 + 0.3 * (keys[2] == "x") + noise}
    source = write_metrics(tmp_path / "metrics.parquet", values)
    domains = [{"name": "d-even", "collections": ["even"]}, {"name": "d-wide", "collections": ["wide"]}]
    rule = RULE | {"margin": 0.01}
    spec = table_spec(samplers=["x", "y"], seeds=list(seeds), domains=domains, rule=rule, measure="nDCG@10")
    paths = {name: tmp_path / f"{name}.parquet" for name in ("equivalence", "main", "be")}
    make_equivalence_table(spec=spec, metrics=source, output=paths["equivalence"])
    make_main_table(spec=spec, metrics=source, equivalence=paths["equivalence"], output=paths["main"])
    make_per_collection_table(spec=spec, main=paths["main"], output=paths["be"])


def test_a_teacher_below_bm25_is_named_with_the_domains_where_it_is(tmp_path: Path) -> None:
    bm25, teacher, *students = all_metrics(tmp_path)
    said = "Teachers that rank worse than BM25: t_1 (near, far)."
    for better, there in (
        (teacher, False),
        (metrics(tmp_path / "worse", ("teacher", "", "", "t_1", None), -0.1), True),
    ):
        make_tables(tmp_path, [bm25, better, *students])
        assert (said in (tmp_path / "main.md").read_text()) == there


def test_letters_and_the_table_of_collections(tmp_path: Path) -> None:
    letter_tables(tmp_path, [0, 1, 2])
    main, text = render("main", tmp_path / "main.parquet")
    rows = [line.split("|")[2:5] for line in text.splitlines() if "| kl" in line]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert [row[0] for row in cells] == ["x", "y", "noise band"]
    assert cells[0][1].endswith("<sup>a</sup>") and cells[1][1].endswith("<sup>a</sup>")
    assert cells[0][2].endswith("**<sup>a</sup>") and cells[1][2].endswith("<sup>b</sup>")
    compared = read_numbers(tmp_path / "equivalence.parquet")[0]
    half = ((compared["ci_high"] - compared["ci_low"]) / 2).tolist()
    assert cells[2][1:] == [f"±{width:.3f}" for width in half]
    whole = main[(main["student"] == "be") & (main["collection"] == "all")].groupby("domain")["noise_band"].first()
    assert whole.tolist() == pytest.approx(half, abs=1e-6)
    assert "share a letter unless the equivalence table calls them different" in text
    assert "Called different: 1 of 2 comparisons in 2 families." in text
    assert r"}\textsuperscript{a} \\" in (tmp_path / "main.tex").read_text()
    table, text = render("per_collection", tmp_path / "be.parquet")
    assert list(table.columns) == ["student", "loss", "sampler", "teacher", "even", "wide"]
    assert table["student"].tolist() == ["bm25", "teacher", "be", "be"]
    assert table["wide"].iloc[2] - table["even"].iloc[2] == pytest.approx(0.3, abs=1e-5)
    assert "d-wide wide" in text and f"±{half[1]:.3f}" in text
    renamed, made_by = read_numbers(tmp_path / "equivalence.parquet")
    write_numbers(tmp_path / "equivalence.parquet", renamed.assign(sampler_b="q"), made_by)
    paths = {"metrics": tmp_path / "metrics.parquet", "equivalence": tmp_path / "equivalence.parquet"}
    with pytest.raises(InputError, match="x and y were not compared for be kl t d-even nDCG@10"):
        make_main_table(spec=made_by, **paths, output=tmp_path / "main.parquet")


def test_one_seed_without_controls_has_neither_letters_nor_bands(tmp_path: Path) -> None:
    letter_tables(tmp_path, [0])
    for name in ("main", "be"):
        text = render({"be": "per_collection"}.get(name, name), tmp_path / f"{name}.parquet")[1]
        assert "<sup>" not in text and "noise band" not in text.lower() and "letter" not in text
    assert "there is no verdict" in (tmp_path / "main.md").read_text()


def test_a_missing_cell_is_named(tmp_path: Path) -> None:
    manifests = all_metrics(tmp_path)
    with pytest.raises(InputError, match="lack nDCG@10 of student=ce loss=kl sampler=random teacher=t_1 seed=1 on one"):
        make_tables(tmp_path, manifests[:-1])
    with pytest.raises(InputError, match="lack student=bm25: measure its run first"):
        make_tables(tmp_path, manifests[1:])
    with pytest.raises(InputError, match="lack the measure P@10"):
        make_tables(tmp_path, manifests, SPEC | {"measures": ["nDCG@10", "P@10"]})


def test_cells_agree_with_the_main_table(tmp_path: Path) -> None:
    # The collections of a domain may be of several evaluation sets.
    sets = [metrics(tmp_path, ("be", "lce", "random", "t_1", 0), names=names) for names in (["one", "two"], ["three"])]
    for domain in DOMAINS:
        spec = {"domains": [domain], "bootstrap": SPEC["bootstrap"]}
        write_cell(spec=spec, metrics=sets, output=tmp_path / f"{domain['name']}.csv")
    near, far = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("near", "far"))
    assert list(near.columns) == ["measure", "value", "ci_low", "ci_high", "n_queries"]
    assert near["measure"].tolist() == ["AP", "nDCG@10"] and far["measure"].tolist() == ["nDCG@10"]
    assert far["value"].tolist() == [0.425] and far["n_queries"].tolist() == [7]
    # The collection `one` has two queries, so a mean of a resample is 0.2, 0.3 or 0.4.
    assert near[["ci_low", "ci_high"]].to_numpy().tolist() == [[0.2, 0.4], [0.2, 0.4]]
    assert (far["ci_low"] < 0.425).all() and (far["ci_high"] > 0.425).all()
    main = make_tables(tmp_path, all_metrics(tmp_path)).query("student == 'bm25' and domain == 'far'").iloc[-1]
    # BM25 has these values too.
    assert main[["ci_low", "ci_high"]].tolist() == far.loc[0, ["ci_low", "ci_high"]].tolist()


def test_weights_of_a_domain_add_up_to_one() -> None:
    near, far = parse_domains(DOMAINS)
    assert near.weights == {"one": 1.0} and far.weights == {"one": 0.5, "two": 0.25, "three": 0.25}
