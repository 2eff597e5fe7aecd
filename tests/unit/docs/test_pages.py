"""Pages of the docs: what they name is there, what they link to leads somewhere, what they tell to type runs."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from project import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "config/README.md", *(ROOT / "docs").glob("*.md")]
OF_ONES_OWN = ("config/mine.yaml", "config/profiles/here")
"""Files that a reader is told to write."""


def test_architecture_names_what_is_there_and_every_folder() -> None:
    tree = (ROOT / "docs/architecture.md").read_text().split("```\n")[1].split("```")[0]
    top, missing, folders = Path(), [], set()
    for line in tree.splitlines():
        entry, description = re.fullmatch(r" *(\S+) +(.*)", line).groups()
        if not line.startswith(" "):
            top = Path(entry)
        path = top / entry if line.startswith(" ") else top
        folders.add(str(path))
        # In a description, only what ends like a file or a folder is one: "profiles/", "measurements.md".
        named = re.findall(r"(?<![\w/}])[\w.-]+(?:/(?=\W|$)|\.(?:md|yaml|smk)\b)", description)
        missing += [str(path / name) for name in ("", *named) if not (ROOT / path / name).exists()]
    assert missing == []
    assert {f"workflow_scripts/{init.parent.name}" for init in ROOT.glob("workflow_scripts/*/__init__.py")} <= folders


def test_links_of_readme_and_docs_lead_somewhere() -> None:
    index = (ROOT / "docs/README.md").read_text()
    assert [page.name for page in (ROOT / "docs").glob("[a-z]*.md") if f"({page.name})" not in index] == []
    broken = []
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            if not (page.parent / link).exists():
                broken.append(f"{page.name}: {link}")
    assert broken == []


def test_files_that_docs_name_are_there() -> None:
    ending = r"[\w.{}*-]+\.(?:py|md|smk|yaml|toml|txt|cff|rst|def)"
    tops = "|".join(
        path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "." and path.name != "results"
    )
    named = re.compile(rf"(?:[\w.{{}}*-]+/)*{ending}|(?:{tops})/[\w./{{}}*-]*")
    missing, found = [], 0
    for page in PAGES:
        prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for path in filter(named.fullmatch, re.findall(r"`([^`\n]+?)(?:::\w+)?`", prose)):
            pattern = re.sub(r"\{[^}]*\}", "*", path).rstrip("/")
            folders = [ROOT, page.parent, ROOT / "config", ROOT / "workflow_scripts"]
            if "/" not in path:
                folders += (ROOT / "workflow_scripts").glob("*/")
            found += 1
            missing += [f"{page.name}: {path}"] * (
                path not in OF_ONES_OWN and not any(any(f.glob(pattern)) for f in folders)
            )
    assert missing == [] and found > 60


def test_tests_that_docs_name_are_there() -> None:
    text = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    named = re.findall(r"(tests/[\w/]+\.py)::(\w+)", text)
    missing = [name for path, name in named if f"def {name}(" not in (ROOT / path).read_text()]
    assert len(named) > 10 and missing == []


def test_docs_say_of_every_figure_what_snakemakes_report_says() -> None:
    section = " ".join((ROOT / "docs/tables.md").read_text().split("\n## Figures\n")[1].split())
    captions = (ROOT / "workflow_scripts/presentation/captions/report").glob("*.rst")
    texts = {path.stem: " ".join(path.read_text().split()) for path in captions if path.stem != "table"}
    assert [name for name, text in texts.items() if f"`{name}`: {text}" not in section] == []
    drawn = re.findall(r'drawn\("(\w+)"\)', "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk")))
    assert sorted(drawn) == sorted(texts)


def test_commands_of_the_docs_name_targets_that_exist_and_hide_none_behind_configfile() -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wrong, commands = [], 0
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        inline = re.findall(r"`([^`\n]+)`", text)
        for line in [*inline, *(line for block in text.split("```")[1::2] for line in block.splitlines())]:
            words = line.split("#")[0].split()
            if words[:1] == ["make"]:
                wrong += [f"{page.name}: {line}" for word in words[1:2] if word not in targets and word != "bench*"]
                commands += 1
            # Snakemake takes whatever follows --configfile for one more, up to the next option.
            if "--configfile" in words:
                after = itertools.takewhile(lambda word: word[0] != "-", words[words.index("--configfile") + 1 :])
                wrong += [f"{page.name}: {line}" for word in after if not word.endswith(".yaml")]
                commands += 1
    assert wrong == [] and commands > 40
