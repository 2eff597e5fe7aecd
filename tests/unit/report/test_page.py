"""The report page: what it holds is what was measured, texts stay texts, and nothing in it can reach elsewhere."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import shipped
from made_page import SHOWN, MadePage

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.experiment.page_spec import page_spec
from workflow_scripts.report.page import charts, outcome, pictures, queries
from workflow_scripts.report.page.claims import page_claims
from workflow_scripts.report.page.found import summaries
from workflow_scripts.storage.tables import read_numbers

HOSTILE = '</script><script>alert(1)</script> & "quoted" <b>{} \u202eright to left'


class Reader(HTMLParser):
    """Tags with their attributes, and the text of each script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.inside.append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem:
            self.inside[-1] += data


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[MadePage, str]:
    page = MadePage(tmp_path_factory.mktemp("page"), text=HOSTILE.format, about=HOSTILE.format)
    return page, page.write().read_text(encoding="utf-8")


def test_the_policy_admits_the_pages_own_script_and_style_and_nothing_else(made: tuple[MadePage, str]) -> None:
    found = Reader(made[1])
    policy = next(each["content"] for tag, each in found.tags if each.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "unsafe" not in policy
    run = [text for text, (_, each) in zip(found.inside, _inline(found), strict=True) if "type" not in each]
    for text in run:
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert len(run) == 2
    links = [value for _, each in found.tags for name, value in each.items() if name in ("src", "href", "action")]
    assert links and all(link.startswith("#") for link in links)
    assert not any(name == "style" or name.startswith("on") for _, each in found.tags for name in each)


def _inline(found: Reader) -> list[tuple[str, dict]]:
    return [each for each in found.tags if each[0] in ("script", "style")]


def test_texts_stay_texts(made: tuple[MadePage, str]) -> None:
    page, text = made
    assert text.count("</script>") == text.count("<script") == 3
    about = json.loads(re.search(r'id="about">(.*?)</script>', text, re.DOTALL)[1])
    first = page.collections[0]
    assert about["collections"][0]["queries"][0] == [page.queries[first][0], HOSTILE.format(page.queries[first][0])]


def test_the_explorer_holds_each_systems_documents_scores_judgements_and_values(made: tuple[MadePage, str]) -> None:
    page, text = made
    about = json.loads(re.search(r'id="about">(.*?)</script>', text, re.DOTALL)[1])
    packed = re.search(r'id="columns">(.*?)</script>', text, re.DOTALL)[1]
    content = memoryview(gzip.decompress(base64.b64decode(packed)))
    place = 0

    def take(kind: str, *shape: int) -> np.ndarray:
        nonlocal place
        size = int(np.prod(shape)) * 4
        place += size
        return np.frombuffer(content[place - size : place], kind).reshape(shape)

    assert len(about["systems"]) == len(page.rankers)
    for collection in about["collections"]:
        name, asked = collection["name"], [query for query, _ in collection["queries"]]
        assert asked == page.queries[name]
        ids = np.array([doc_id for doc_id, _, _ in collection["documents"]])
        for keys in page.rankers:
            documents, scores, judged = (take(kind, len(asked), queries.SHOWN) for kind in ("<i4", "<f4", "<i4"))
            run = page.rankings[keys, name]
            assert ids[documents[:, :SHOWN]].ravel().tolist() == run["doc_id"].tolist()
            assert scores[:, :SHOWN].ravel().tolist() == run["score"].tolist()
            assert (documents[:, SHOWN:] == -1).all()
            numbers = run["doc_id"].str.extract(r"-d(\d+)$")[0].astype(int)
            assert judged[:, :SHOWN].ravel().tolist() == np.where(numbers % 3, numbers % 2, -1).tolist()
            assert take("<f4", len(asked)) == pytest.approx(page.values[keys, name].to_numpy())
    assert place == len(content)


def test_every_dot_of_the_grid_says_its_number(made: tuple[MadePage, str]) -> None:
    page, text = made
    main, _ = read_numbers(page.folder / "main.parquet")
    students = main[(main["collection"] == "all") & (main["loss"] != "")]
    rows = [each for tag, each in Reader(text).tags if each.get("class") == "row"]
    assert sorted(float(row["data-mean"]) for row in rows) == pytest.approx(sorted(students["mean"]))
    dots = [each["data-text"] for _, each in Reader(text).tags if "data-command" in each]
    assert len(dots) == len(students)
    assert all(any(dot.startswith(f"{mean:.4f}, 95% interval") for dot in dots) for mean in students["mean"])
    commands = {each["data-command"] for _, each in Reader(text).tags if "data-command" in each}
    assert "make cell EXPERIMENT=made CELL=stu0.los1.sam2.base.seed0 DOMAIN=far" in commands


def test_the_first_screen_says_in_sentences_what_came_out(made: tuple[MadePage, str]) -> None:
    text = html.unescape(re.search("<header>.*</header>", made[1], re.DOTALL)[0])
    assert "12 ways to train a student: 2 kinds of student (stu0: bi-encoder, stu1: bi-encoder) × 2 loss" in text
    assert "Each starts from an encoder, sees 1,000 documents, and re-ranks the first 100 documents that BM25" in text
    assert (
        "Each student was trained with 2 seeds" in text and "near: 6 queries of 1 collection over 20 documents" in text
    )
    claims = "1 claim, 4 verdicts: 0 supported, 2 contradicted, 2 undecided."
    assert f"{claims} What would decide the undecided: 7 seeds (2)." in text
    # What was found, of the parts that the claim's opposite is shown for in two places of four.
    assert "sam1 minus sam0: undecided in all 4 places (+0.02)<" in text
    assert "sam1 better than sam2 by 0.02 in 2 of 4 places; undecided in 2 (+0.02)<" in text
    main, _ = read_numbers(made[0].folder / "main.parquet")
    whole = main[(main["collection"] == "all") & (main["loss"] != "")]
    blocks = whole.drop_duplicates(["student", "loss", "teacher", "domain"])
    assert f"{blocks['tested'].sum():.0f} pairs of samplers (of one loss, student and domain) were compared" in text
    assert f"nDCG@10: {blocks['different'].sum():.0f} differ" in text
    means = main[main["collection"] == "all"].set_index(["student", "loss", "sampler", "domain"])["mean"]
    better = 0
    for domain, student in product(("near", "far"), ("stu0", "stu1")):
        higher = means[student].xs(domain, level="domain") > means["bm25", "", "", domain]
        count = f"{'all' if higher.all() else f'{higher.sum()} of'} 6 {student}"
        assert not higher.any() or re.search(f"above BM25:[^;]*{domain}[^,;]*{count}", text), (domain, student)
        better += higher.any()
    assert better
    assert "generated language" not in text


def test_controls_are_said_in_numbers_before_anything_rests_on_them() -> None:
    controls = [{"student": "be", "sampler": name, "seeds": [0, 3, 4]} for name in ("a", "b", "a", "b")]
    said = outcome.trained_again(controls, {"seeds": [0]})
    assert "4 of them, the controls (those with the samplers a and b), were trained 2 more times: their spread" in said
    assert "nothing tells" in outcome.trained_again([], {"seeds": [0]})
    # Three of these leave six degrees of freedom, which the tables do not take for enough.
    few = outcome.trained_again(controls[:3], {"seeds": [0]})
    assert "2 more times: too few to tell what that changes (6 further trainings" in few and "spread" not in few
    config = shipped("demo")
    config |= {"losses": {name: config["losses"][name] for name in ("lce", "kl")}, "studies": {}}
    config["controls"] = {"samplers": ["bm25"], "seeds": [1]}
    found = Experiment(config).control_cells
    assert "sampler bm25), were trained 1 more time: too few" in outcome.trained_again(found, {"seeds": [0]})


def test_a_page_of_one_sampler_says_that_there_is_nothing_to_compare(tmp_path: Path) -> None:
    def made(**shape: int) -> str:
        folder = tmp_path / str(shape["seeds"])
        folder.mkdir()
        return MadePage(folder, students=1, losses=1, queries=3, **shape).write().read_text(encoding="utf-8")

    text = made(samplers=1, seeds=2)
    assert "The experiment has one sampler: there are no pairs of samplers to compare." in text
    assert "2 seeds: their spread tells what training again changes" in text and "nothing tells" not in text
    # Several trainings: a command makes one of them; of one training it makes the number.
    lead = 'data-lead="one of its 2 trainings:"'
    assert lead in text and "for the command that makes one of its 2 trainings alone." in text
    text = made(samplers=2, seeds=1)
    assert "for the command that makes it alone." in text and "data-lead" not in text
    assert "No pair of samplers is tested in nDCG@10: nothing tells what training again would change." in text


def test_each_students_budget_is_said() -> None:
    config = shipped("demo")
    config["students"]["ce"]["documents"] = 51_200
    experiment = Experiment(config)
    spec = page_spec(experiment, ["config/demo.yaml"]) | experiment.grid | {"depth": 100}
    said = outcome.compared(spec, ["kl"])
    assert "that was pretrained here, sees 25,600 (be) or 51,200 (ce) documents, and re-ranks" in said


@pytest.mark.parametrize(
    ("shown", "estimates", "found"),
    [
        (
            "not above margin",
            [0.002, -0.004, 0.003, -0.001],
            "at most 0.01 better than bm25 in all 4 places (−0.004 to",
        ),
        ("within margin", [0.002, -0.004], "ensemble minus bm25 within ±0.01 in both places (−0.004 to +0.002)"),
        ("above 0", [0.002, 0.004], "ensemble better than bm25 by 0.002 to 0.004 in both places"),
        ("different from 0", [0.02, -0.04], "in 1 of 2 places; ensemble worse than bm25 by 0.04 in 1 of 2 places"),
    ],
)
def test_places_are_counted_apart_only_where_the_words_differ(shown: str, estimates: list[float], found: str) -> None:
    part = {"samplers": {"ensemble": 1, "bm25": -1}, "shown": shown, "cheaper": False}
    about = {"claim": "c1", "sentence": "s", "number": 0, "part": "x", "predicted": shown, "p": 0.001, "counts": True}
    about |= {"p_opposite": 0.9, "p_opposite_holm": 1.0, "verdict": "supported", "decided_by": "", "teacher": "t"}
    rows = [about | {"student": "be", "domain": str(place), "estimate": each} for place, each in enumerate(estimates)]
    spec = {"claims": {"c1": {"test": "cells", "parts": [part]}}, "rule": {"difference_alpha": 0.05}}
    (said,) = summaries(pd.DataFrame(rows), spec, 0.01)[0].found
    assert found in said and said.count("ensemble") == 1 + (shown == "different from 0")


@pytest.mark.parametrize(("generated", "said"), [(["a", "b"], "All collections are"), (["b"], "Generated: b")])
def test_what_is_generated_is_said_to_be(generated: list[str], said: str) -> None:
    assert outcome.generated({"generated": generated, "collections": ["a", "b"]}).startswith(said)


def test_a_part_that_decided_stands_out_and_the_others_do_not(made: tuple[MadePage, str]) -> None:
    claims = re.search('<section id="claims">.*?</section>', made[1], re.DOTALL)[0]
    assert claims.count("<b>second</b>") == 2 and "<b>first</b>" not in claims and claims.count("first") == 4
    assert claims.count("would decide it: 7 seeds, to support it") == 2 and "one seed" not in claims.lower()
    assert "difference of nDCG@10" in claims and "p of its opposite 0.040, Holm over 8<" in claims


def test_claims_of_studies_have_their_own_margin_and_seeds(made: tuple[MadePage, str]) -> None:
    """Of ten seeds the factorial has three and the cuts two; an interaction matters from two margins on."""
    rows, spec = read_numbers(made[0].folder / "claims.parquet")
    one = rows.iloc[[0]].assign(predicted="within margin", estimate=0.012, ci_low=0.006, ci_high=0.018)
    tests = {"c1": "cells", "c3": "factorial", "c5": "cells"}
    spec = spec | {"factorial": {"seeds": [0, 1, 2], "interaction_margin": 2}, "cuts": {"seeds": [0, 1]}}
    spec["claims"] = {name: {"test": test, "parts": []} for name, test in tests.items()}
    spec["claims"]["c5"]["parts"] = [{"cuts": {"middle-quarter": 1}}]
    found = page_claims(pd.concat([one.assign(claim=name) for name in tests]), spec, 10)
    assert [claim.rows[0].basis for claim in found] == ["10 seeds", "3 seeds", "2 seeds"]
    assert [claim.within for claim in found] == ["±0.01", "±0.02", "±0.01"]
    grid, interaction, _ = (claim.rows[0].parts[0] for claim in found)
    assert (
        grid.dot == interaction.dot and interaction.side[0] < interaction.low < interaction.high < interaction.side[1]
    )
    assert found[1].margin == interaction.side and grid.side[1] < grid.high


def test_every_table_says_what_it_answers(made: tuple[MadePage, str]) -> None:
    summaries = re.findall(r'<details id="table-[^"]+"><summary>([^<]+)<span class="soft">([^<]*)</span>', made[1])
    assert len(summaries) == 6 and all(question.endswith("?") for _, question in summaries)
    questions = {name.strip(): html.unescape(question) for name, question in summaries}
    assert questions["Cost"].startswith("What does each stage cost, and what does a sampler need")


def test_fitted_curves_are_drawn_where_they_were_fitted() -> None:
    ratios = np.array([0.1, 0.2, 0.4, 0.8])
    profile = {"student": "teacher", "collection": "a", "rank_ratio": ratios, "score": ratios**-0.3 / 2}
    law = {"domain": "d", "ranker": "teacher", "form": "power law", "scale": 0.5, "rate": 0.3, "stretch": 1.0}
    spec = {"students": ["be"], "domains": [{"name": "d", "collections": ["a"]}]}
    fits = pd.DataFrame([law, law | {"form": "exponential"}]), {"fit_range": [0, 0.5]}
    measured, fitted = pictures.score_lines(pd.DataFrame(profile), fits, spec).lines
    # The profile follows the law: the fit lies on it, and ends at half of the candidates.
    assert fitted.fit == 1 and fitted.points.split() == measured.points.split()[:3]


def test_a_dot_of_the_map_grows_with_the_effectiveness_of_its_students() -> None:
    rows = [("a", "t", 0.5), ("b", "t", 0.6), ("a", "far", np.nan)]
    frames = [
        pd.DataFrame({"sampler": s, "teacher": t, "quantity": ["diameter", "entropy"], "value": 1}) for s, t, _ in rows
    ]
    about = {"collection": "all", "measure": "m", "domain": "d"}
    main = pd.DataFrame([{"sampler": s, "teacher": t, "mean": mean, **about} for s, t, mean in rows[:2]])
    spec = {"samplers": ["a", "b"], "measure": "m", "domains": [{"name": "d"}]}
    chart = pictures.locality_map(pd.concat(frames), main, spec)
    small, large, none = sorted(chart.marks, key=lambda mark: (mark.hollow, mark.size))
    assert small.size < large.size and none.hollow and large.details[-1].endswith("0.6000")
    assert "0.500 (smallest) to 0.600; hollow" in chart.note


def test_an_axis_places_values_and_ticks() -> None:
    axis = charts.Axis(0.1, 1000.0, 0.0, 400.0, log=True)
    assert [axis.at(value) for value in (0.1, 1, 10, 1000)] == [0, 100, 200, 400]
    assert [text for _, text in axis.ticks] == ["0.1", "1", "10", "100", "1000"]
    linear = charts.Axis.around([0.2, 0.4, np.nan], 300, 0, room=0)
    assert (linear.at(0.2), linear.at(0.3), linear.at(0.4)) == (300, 150, 0)
    points = charts.polyline(linear, linear, np.array([0.2, 0.3, 0.4]), np.array([0.4, np.nan, 0.2]))
    assert points == "300.0,0.0 0.0,300.0"


def test_a_page_too_large_for_all_queries_keeps_some_of_each_collection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MOST_ENTRIES", 1)
    text = MadePage(tmp_path, queries=50, samplers=2, losses=1, students=1).write().read_text(encoding="utf-8")
    about = json.loads(re.search(r'id="about">(.*?)</script>', text, re.DOTALL)[1])
    assert [len(each["queries"]) for each in about["collections"]] == [20, 20]
    assert [each["all"] for each in about["collections"]] == [50, 50]
