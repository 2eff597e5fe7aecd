"""All source files: text in UTF-8 whatever the locale, and tests that pytest can tell apart."""

from __future__ import annotations

import ast

from project import ROOT


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


def test_every_file_of_tests_has_a_name_of_its_own() -> None:
    # pytest imports them by name; a run of one folder does not show that two are alike.
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))
