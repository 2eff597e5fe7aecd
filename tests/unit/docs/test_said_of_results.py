"""Sentences of README and docs about results: each number is that of a table that is shown."""

from __future__ import annotations

import re
from collections import Counter

import yaml
from project import ROOT


def test_what_is_said_of_pipelines_is_what_their_table_shows() -> None:
    readme, text = ((ROOT / name).read_text() for name in ("README.md", "docs/results.md"))
    section = text.split("## Other backbones and teachers\n")[1].split("\n## ")[0]
    called = re.search(r"Called different: (\d+) of (\d+)", section)
    assert f"(`make pipelines`), {called[1]} of {called[2]} differ" in " ".join(readme.split())
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if "| in-domain  |" in line
    ]
    # The first four pairs are random beside each sampler of hard negatives, random minus the other.
    beaten = {
        (student, loss): sum(cell.startswith("-") and cell.endswith("≠") for cell in cells[:4])
        for _, student, loss, *cells in rows
    }
    distilling = ("ranknet", "marginmse", "kl")
    assert sum(beaten["ce", loss] for loss in distilling) == 12 and "(12 of 12 pairs)" in section
    assert [beaten["be", loss] for loss in distilling] == [4, 0, 4] and "(8 of 12)" in section


def test_what_is_said_of_the_study_is_what_its_tables_show() -> None:
    readme, text = ((ROOT / name).read_text() for name in ("README.md", "docs/results.md"))
    tables = dict(part.split("\n", 1) for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:])
    verdicts = []
    for title in ("Claims", "The demo, one seed"):
        rows = [[each.strip(" *¹") for each in line.split("|")] for line in tables[title].splitlines() if "| c" in line]
        found: dict[str, Counter] = {}
        for _, claim, _, _, _, verdict, *_ in (row for row in rows if re.match(r"c\d", row[1])):
            found.setdefault(claim, Counter())[verdict] += 1
        verdicts.append([", ".join(f"{name} ({n})" for name, n in each.most_common()) for each in found.values()])
    table = readme.split("| the study claims")[1].split("\n\n")[0].splitlines()[2:]
    assert [tuple(line.split(" | ")[1:]) for line in table] == [
        (one, f"{two} |") for one, two in zip(*verdicts, strict=True)
    ]
    called = re.search(
        r"Called different: (\d+) of (\d+) .* an estimated (\S+) or fewer are false", tables["Main table"]
    )
    said = re.sub(r"\s+", " ", readme)
    assert (
        f"call {called[1]} of {called[2]} pairs of samplers different, "
        f"an estimated {called[3]} of them or fewer falsely" in said
    )
    pairs = [
        [each.strip() for each in line.split("|")[4:14]]
        for line in tables["Samplers compared"].splitlines()
        if re.match(r"\| \S+ +\| (be|ce) +\| (ranknet|marginmse|kl) ", line)
    ]
    different = [each for cells in pairs for each in cells[:4] if each.endswith("≠")]
    assert all(each.startswith("-") for each in different)
    assert (
        f"Of {4 * len(pairs)} comparisons of random with hard negatives under a distilling loss {len(different)} are"
        in said
    )
    of = [[cells[place] for cells in pairs if cells[place].endswith("≠")] for place in (4, 5)]
    assert "nowhere shown to be better than BM25 alone" in said and not any(each.startswith("-") for each in of[1])
    places = f"in {sum(each.startswith('-') for each in of[0])} of {len(pairs)} places"
    assert f"better than bm25 {places}" in text and f"(crossencoder) is so {places}" in said


def test_what_is_said_of_rivals_and_budgets_is_what_their_tables_show() -> None:
    text = (ROOT / "docs/results.md").read_text()

    def section(title: str) -> tuple[str, dict[tuple[str, ...], dict[str, str]]]:
        """Its words, and of each row of its table of pairs the cells by header."""
        part = text.split(f"## {title}\n")[1].split("\n## ")[0]
        lines = part[part.index("| domain ") :].splitlines()
        head, _, *rows = ([each.strip() for each in line.strip("|").split("|")] for line in lines if line[:1] == "|")
        return " ".join(part.split()), {tuple(row[:3]): dict(zip(head[3:], row[3:], strict=True)) for row in rows}

    said, pairs = section("What newer work proposes")
    of = {key: row["bm25 / crossencoder"] for key, row in pairs.items()}
    by_order = ("ranknet", "ranknet-soft", "listmle")
    order = [cell for (_, _, loss), cell in of.items() if loss in by_order]
    called = [cell for cell in order if cell.startswith("-") and cell.endswith("≠")]
    assert (len(called), len(order)) == (4, 9) and "in four of nine places" in said
    others = [cell for (_, _, loss), cell in of.items() if loss not in by_order]
    assert len(others) == 18 and not any(cell.endswith("≠") for cell in others) and "none of the 18" in said
    assert [key[2] for key, cell in of.items() if cell.endswith("≈")] == ["lce-in-batch"] * 2

    said, pairs = section("Learning curves over the budget")
    inside = {(student, loss): row for (domain, student, loss), row in pairs.items() if domain == "in-domain"}
    assert all(inside["be-3200", loss]["random / bm25"].endswith("?") for loss in ("lce", "kl"))
    later = [inside[name, "kl"]["random / bm25"] for name in ("be-12800", "be", "be-51200", "be-102400")]
    assert all(cell.startswith("-") and cell.endswith("≠") for cell in later) and "(four of four)" in said
    assert "at every budget, from half the demo's to four times" in " ".join((ROOT / "README.md").read_text().split())
    first = [cell for loss in ("lce", "kl") for pair, cell in inside["be-3200", loss].items() if "/ dense" in pair]
    assert len(first) == 8 and all(cell.startswith("+") and cell.endswith("≠") for cell in first)
    assert inside["be-102400", "kl"]["random / dense"].endswith("≠") and "(eight of eight)" in said
    for domain, ahead in (
        ("mild-shift", ("crossencoder / ensemble", "ensemble / dense")),
        ("hard-shift", ("ensemble / dense",)),
    ):
        row = pairs[domain, "be-102400", "kl"]
        assert {pair for pair, cell in row.items() if "ensemble" in pair and cell.endswith("≠")} == {*ahead}


def test_what_is_said_of_real_text_is_what_its_tables_show() -> None:
    part = (ROOT / "docs/results.md").read_text().split("## Real text\n")[1].split("\n## ")[0]
    said, rows = (
        " ".join(part.split()),
        [line for line in part.splitlines() if re.match(r"\| (in|out-of)-domain", line)],
    )
    assert len(rows) == 4 and all(row.endswith(" ≈ |") for row in rows) and "within .01 in all four places" in said
    bm25, teacher = (re.search(rf"\| {name} +\| +\| +(0\.\d+)", part)[1] for name in ("BM25", "teacher"))
    assert f"({teacher} where BM25 has {bm25} in-domain)" in said
    assert "Teachers that rank worse than BM25: base (in-domain, out-of-domain)" in said


def test_what_is_said_of_chaos_is_the_sum_of_its_parts() -> None:
    def counted(page: str) -> Counter:
        rows = re.findall(r"^\| ([a-z -]+) \| (\d+) \| (\d+) \|$", (ROOT / page).read_text(), re.MULTILINE)
        return sum(
            (Counter({kind: int(number), f"{kind}, same bytes": int(same)}) for kind, number, same in rows), Counter()
        )

    assert counted("docs/determinism.md") == counted("docs/chaos.md")


def test_readmes_numbers_are_those_that_ship() -> None:
    shipped = yaml.safe_load((ROOT / "config/expected/demo.yaml").read_text())["cells"]
    table = (ROOT / "README.md").read_text().split("| loss | sampler |")[1]
    domains, *rows = [line.strip(" |").split("|") for line in table.split("\n\n")[0].splitlines() if "--" not in line]
    places = [column.split() for column in domains]
    assert len(rows) == 6 and len(places) == 6
    for loss, sampler, *values in ([cell.strip() for cell in row] for row in rows):
        for (domain, student), value in zip(places, values, strict=True):
            names = {"BM25": "bm25", "teacher": "teacher.base"}
            cell = names.get(loss, f"{student}.{loss}.{sampler}.base")
            assert f"{shipped[f'{cell} {domain}']:.3f}" == value, (cell, domain)
    readme, results = (" ".join((ROOT / name).read_text().split()) for name in ("README.md", "docs/results.md"))
    assert f"all {len(shipped)} means of the main table" in readme
    found = re.search(r"over all losses of a student (\d+% to \d+%)", results)
    assert f"{found[1]} of cases, by student and domain" in readme
    inference = " ".join((ROOT / "docs/inference.md").read_text().split())
    assert f"{found[1]} of cases instead of 5%, by student and domain" in inference
    found = re.search(r"Called different: (\d+) of (\d+)", results.split("## The demo, one seed")[1])
    assert f"leaves {found[1]} of {found[2]} pairs different" in readme
