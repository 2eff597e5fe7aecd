"""What the digest of a job's code is of, and what each stage imports."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workflow_scripts.storage import code
from workflow_scripts.storage.code import (
    NOT_IN_DIGEST,
    PACKAGE,
    ROOT,
    _statements,
    closure,
    job_digest,
    script_of,
    syntax_digest,
)

TRAIN = f"{PACKAGE}.train.train_ranker"
MAKING = {"collect", "index", "backbone", "mine", "teach", "train", "evaluate"}
CONCLUDING = {"effectiveness", "locality", "studies", "report", "claims", "export"}
OTHER_COMMANDS = (
    *("plan.bill", "experiment.describe", "experiment.warm_start", "experiment.warm_command"),
    *("report.check_expected", "report.compare_results", "daily.verify"),
    *("daily.list_cells", "daily.compare", "daily.clean_cell"),
    *("archive.check", "archive.pack", "archive.restore"),
)
SHARED = {"models", "analysis", "presentation", "experiment", "plan", "daily", "archive"}


def names(*modules: str) -> set[str]:
    return {str(path.relative_to(PACKAGE)) for path in closure(modules)}


def test_code_is_what_a_script_really_imports() -> None:
    """Second implementation: what Python has loaded after importing the script."""
    for script in ("collect_metrics", "mine_negatives", "train_ranker"):
        probe = (
            f"import sys, {script_of(script)}\n"
            "print(*sorted(m.__file__ for n, m in sys.modules.items() if n.startswith('workflow_scripts')))"
        )
        done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
        loaded = {str(Path(path).relative_to(ROOT / PACKAGE)) for path in done.stdout.split()}
        left_out = {name.removeprefix(f"{PACKAGE}.").replace(".", "/") + ".py" for name in NOT_IN_DIGEST}
        # The closure also sees imports inside functions.
        assert loaded - left_out <= names(script_of(script))


def test_statements_are_found_in_every_branch() -> None:
    """Second implementation: the walk through every node, expressions and all."""
    branches = """
try:
    import a
except Exception:
    import b
else:
    import c
finally:
    import d
match a:
    case 1:
        import e
while a:
    if b:
        pass
    elif c:
        import f
else:
    import g
with a:
    async def h():
        class I:
            import j
"""
    for text in (branches, (ROOT / "workflow_scripts/train/training.py").read_text()):
        tree = ast.parse(text)
        statements = {
            node for node in ast.walk(tree) if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case)
        }
        assert set(_statements(tree)) == statements


def test_an_import_for_types_alone_is_not_in_the_digest() -> None:
    tree = ast.parse("if TYPE_CHECKING:\n    import a\nelif b:\n    import c\n")
    assert [ast.unparse(node) for node in _statements(tree) if isinstance(node, ast.Import)] == ["import c"]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (("import b", "# why\nimport b"), True),
        (('"""Old."""', '"""New, longer."""'), True),
        (('"""Of a constant."""', ""), True),
        (("x + 1", "(x   + 1)"), True),
        (("x + 1", "x + 2"), False),
        (("y=3", "y=4"), False),
        (("LIMIT = 5", "LIMIT = 6"), False),
        (('"read by the program"', '"read otherwise"'), False),
        (("import b", "import c"), False),
    ],
)
def test_the_digest_is_of_what_runs(change: tuple[str, str], same: bool) -> None:
    text = (
        '"""Module."""\nimport b\nLIMIT = 5\n"""Of a constant."""\nNAME = "read by the program"\n\n\n'
        'def f(x, y=3):\n    """Old."""\n    return x + 1\n'
    )
    edited = text.replace(*change)
    assert edited != text
    assert (syntax_digest(ast.parse(edited)) == syntax_digest(ast.parse(text))) == same


def test_what_another_version_of_this_code_has_found_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: dict[str, list] = {}
    monkeypatch.setattr(code, "_cached", lambda: found)
    monkeypatch.setattr(code, "_unsaved", [])
    (tmp_path / "script.py").write_text("import os")
    for own, digest in ((b"version 1", "1"), (b"version 2", "2")):
        monkeypatch.setattr(code, "_OWN", own, raising=False)
        monkeypatch.setattr(code, "syntax_digest", lambda _, digest=digest: digest)
        code.forget()
        assert code._syntax(tmp_path / "script.py")[0] == digest


def test_a_job_has_the_chosen_loss_in_its_digest_and_no_other(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(ROOT / PACKAGE, copy / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))

    def of(root: Path, loss: str) -> str:
        code = f"from workflow_scripts.storage.code import job_digest; print(job_digest({TRAIN!r}, {{'loss': {loss}}}))"
        return subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout

    kl, lce = "{'function': 'kl'}", "{'function': 'lce'}"
    assert of(copy, kl) == of(ROOT, kl) != of(ROOT, lce)
    file = copy / PACKAGE / "train/losses/kl.py"
    file.write_text(f"# Edited\n{file.read_text()}")
    assert of(copy, kl) == of(ROOT, kl)
    file.write_text(file.read_text().replace("loss", "los", 1) + "\nMORE = 1\n")
    assert of(copy, kl) != of(ROOT, kl) and of(copy, lce) == of(ROOT, lce)


def test_whatever_a_script_finds_by_name_is_in_its_digest() -> None:
    found = {
        "make_report": {"layouts": ["cost", "main"]},
        "mine_negatives": {"sampler": "bm25"},
        "render_table": {"layout": "main"},
        "train_ranker": {"loss": "kl"},
    }
    for script, spec in found.items():
        assert job_digest(script_of(script), spec) != job_digest(script_of(script), {})
    # Whoever imports a module by a name that is made up when it runs is reached by these scripts alone.
    finders = {path for path in (ROOT / PACKAGE).rglob("*.py") if "import_module(" in path.read_text()}
    for script in {name for _, name in rules().values()}:
        reached = {ROOT / path for path in closure([f"{PACKAGE}.{script}"])} & finders
        assert not reached or script.rpartition(".")[2] in found, (script, reached)


def test_no_settings_description_is_in_the_digest_of_what_is_made_from_them() -> None:
    for script in ("train_ranker", "mine_negatives", "score_pool", "rerank_candidates", "measure_runs"):
        paths = [path.as_posix() for path in closure([script_of(script)])]
        assert not [path for path in paths if "experiment/config/" in path], script


def test_what_is_outside_the_digest_writes_manifests_logs_and_cards_alone() -> None:
    """No function of theirs writes a file but those named here."""
    writers = {
        "storage.code": {"_save"},
        "storage.checked": {"_append"},
        "storage.locks": {"note_started", "_locked", "_lock_file", "_create", "_take_over", "_is_gone"},
        "storage.logs": {"log_to"},
        "storage.gpus": {"_lock_folder"},
        "storage.reuse": {"_take_over", "link", "_copy_output"},
        "train.model_card": {"write_model_card"},
    }
    writing = re.compile(
        r"write_text|write_bytes|os\.link|copyfile|copy2|\bsave\w*\(|os\.replace|rename\(|unlink\(|rmtree|mkdir\(|touch\("
    )
    for name in NOT_IN_DIGEST:
        path = ROOT / PACKAGE / f"{name.removeprefix(f'{PACKAGE}.').replace('.', '/')}.py"
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                body = ast.get_source_segment(text, node) or ""
                opens = re.search(r'open\([^)]*"[wax]', body) or writing.search(body)
                assert not opens or node.name in writers.get(name.removeprefix(f"{PACKAGE}."), set()), (name, node.name)


def test_stages_import_only_downwards_and_in_no_circle() -> None:
    imports: dict[str, set[str]] = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        folder = path.relative_to(ROOT / PACKAGE).parts[0]
        found = {
            part.split(".")[1]
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and (part := str(node.module)).startswith(f"{PACKAGE}.")
        }
        if path.parent != ROOT / PACKAGE:
            imports.setdefault(folder, set()).update(found - {folder})
    stages = MAKING | CONCLUDING
    for folder, found in imports.items():
        assert not found & stages or folder in stages, f"{folder} imports upwards: {found}"
        assert folder != "storage" or not found, f"storage imports {found}"
    # Which folders are used by none that is left: taken away one after the other until none is left.
    left = dict(imports)
    while left:
        free = [folder for folder, found in left.items() if not found & set(left)]
        assert free, f"these folders import one another: {left}"
        for folder in free:
            del left[folder]
    assert set(imports) == stages | SHARED | {"storage"}


def rules() -> dict[str, tuple[str, str]]:
    """Rule to its stage's job and its script."""
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    found = re.findall(r"^ *use rule (\w+)_job as (\w+) with:(.*?)(?=^ *use rule|\Z)", text, re.MULTILINE | re.DOTALL)
    return {
        name: (stage, re.search(r'\*\*job\(\s*"([\w.]+)"', body)[1]) for stage, name, body in found if "job(" in body
    }


def test_every_rule_has_a_script_and_every_script_a_rule() -> None:
    scripts = {f"{PACKAGE}.{script}" for _, script in rules().values()}
    runnable = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / PACKAGE).rglob("*.py")
        if 'if __name__ == "__main__"' in path.read_text()
    }
    assert runnable - scripts == {f"{PACKAGE}.{name}" for name in OTHER_COMMANDS} and scripts <= runnable
    shared = {rule: script for rule, (_, script) in rules().items() if not script.endswith(f".{rule}")}
    assert shared == {
        "train_teacher": "train.train_ranker",
        "train_student": "train.train_ranker",
        "gather_dense_candidates": "evaluate.gather_evaluation",
        "tokenise_dense_candidates": "backbone.tokenise_evaluation",
        "rerank_dense_candidates": "evaluate.rerank_candidates",
    }


def test_gpu_stages_import_no_java_and_tables_no_torch() -> None:
    on_gpu = {script for stage, script in rules().values() if stage in ("score", "train", "rerank")}
    assert len(on_gpu) == 9
    for script in on_gpu:
        assert not any("java" in path or "lucene" in path for path in names(f"{PACKAGE}.{script}"))
    others = sorted(
        {f"{PACKAGE}.{script}" for _, script in rules().values()} - {f"{PACKAGE}.{name}" for name in on_gpu}
    )
    probe = (
        f"import importlib, sys\nfor name in {others}:\n"
        "    importlib.import_module(name)\n    assert 'torch' not in sys.modules, name"
    )
    subprocess.run([sys.executable, "-c", probe], cwd=ROOT, check=True)


def test_training_starts_without_what_it_does_not_need() -> None:
    code = "import sys; import workflow_scripts.train.training; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "torch" in loaded.split() and not {"pandas", "transformers", "scipy"} & set(loaded.split())


def test_planning_loads_nothing_heavy() -> None:
    probe = (
        "import sys, yaml; from workflow_scripts.experiment.experiment import Experiment\n"
        "Experiment(yaml.safe_load(open('config/demo.yaml')))\n"
        "assert not {'torch', 'numpy', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", probe], cwd=ROOT, check=True)
