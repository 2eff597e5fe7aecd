"""What a script's code is, and what each stage imports of it."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

from workflow_scripts.experiment.code import ROOT, _statements, closure, module_of


def names(*modules: str) -> set[str]:
    return {str(path.relative_to("workflow_scripts")) for path in closure(modules)}


def test_code_is_what_a_script_really_imports() -> None:
    """Second implementation: what Python has loaded after importing the script."""
    for script in ("collect_metrics", "mine_negatives", "train_student"):
        probe = (
            f"import sys, {module_of(script)}\n"
            "print(*sorted(m.__file__ for n, m in sys.modules.items() if n.startswith('workflow_scripts')))"
        )
        done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
        loaded = {str(Path(path).relative_to(ROOT / "workflow_scripts")) for path in done.stdout.split()}
        # The closure also sees imports inside functions.
        assert loaded <= names(module_of(script))


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
    for text in (branches, (ROOT / "workflow_scripts/train/train_student.py").read_text()):
        tree = ast.parse(text)
        statements = {
            node for node in ast.walk(tree) if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case)
        }
        assert set(_statements(tree)) == statements


def test_code_names_the_chosen_loss_only() -> None:
    base = names("workflow_scripts.train.train_student")
    with_kl = names("workflow_scripts.train.train_student", "workflow_scripts.train.losses.kl")
    assert with_kl - base == {"train/losses/kl.py"}
    assert not any(path.startswith("train/losses/") and path != "train/losses/__init__.py" for path in base)


def test_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(ROOT / "workflow_scripts", copy / "workflow_scripts")

    def of(root: Path, *modules: str) -> str:
        told = f"from workflow_scripts.experiment.code import digest; print(digest({modules!r}))"
        return subprocess.run([sys.executable, "-c", told], cwd=root, capture_output=True, text=True, check=True).stdout

    student = ("workflow_scripts.train.train_student", "workflow_scripts.train.losses.kl")
    assert of(copy, *student) == of(ROOT, *student) != of(copy, student[0])
    (copy / "workflow_scripts/train/losses/kl.py").write_text("# Edited\n")
    assert of(copy, *student) != of(ROOT, *student) and of(copy, student[0]) == of(ROOT, student[0])


def test_gpu_stages_import_no_java_and_tables_no_torch() -> None:
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    rules = dict(re.findall(r"^rule (\w+):\n(.*?)(?=^rule |\Z)", text, re.MULTILINE | re.DOTALL))
    on_gpu = {name for name, body in rules.items() if "gpu=1," in body}
    assert len(on_gpu) == 8
    for script in on_gpu:
        assert not any("java" in path or "lucene" in path for path in names(module_of(script)))
    tables = {
        name for name in rules if name.startswith(("make_", "draw_", "measure_", "write_", "collect_", "profile_"))
    }
    more = {"mine_negatives", "cut_groups", "search_index", "export_run", "gather_evaluation", "tokenise_evaluation"}
    for script in tables | more:
        for path in closure([module_of(script)]):
            assert "import torch" not in (ROOT / path).read_text(), f"{script} reaches torch through {path}"


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
