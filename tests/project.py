"""A copy of the project to run Snakemake in, so that a test may edit it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = ("Snakefile", "environment.yml", "pyproject.toml")
CODE = ("rules", "workflow_scripts", "snakemake_logger_plugin_distillery")
PARTS = (*FILES, *CODE, "config", "profiles", "docs", "tests/config")


def make(*words: str, folder: Path = ROOT) -> subprocess.CompletedProcess:
    """What ``make`` does for these words, whatever make runs the tests."""
    own = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    return subprocess.run(["make", *words], cwd=folder, env=own, capture_output=True, text=True)


def commands_of(*words: str) -> str:
    """What ``make`` would run for these words, on one line."""
    done = make("-n", *words)
    done.check_returncode()
    return " ".join(done.stdout.replace("\\\n", " ").split())


@dataclass
class Project:
    """A project folder; ``run`` calls the real Snakemake in it, of ``python``'s environment."""

    folder: Path
    python: str = sys.executable

    @classmethod
    def copy(cls, source: Path, folder: Path, *parts: str) -> Project:
        """Copy the named parts with new times, as ``cp -r`` and a fresh clone give."""
        for part in parts:
            if (source / part).is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source / part, folder / part, copy_function=shutil.copyfile, ignore=ignore)
            else:
                shutil.copyfile(source / part, folder / part)
        return cls(folder)

    @classmethod
    def fresh(cls, folder: Path) -> Project:
        """A fresh copy of this checkout, without results."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls.copy(ROOT, folder, *PARTS)

    def duplicate(self, folder: Path, *, records: bool = True) -> Project:
        """A copy with its results and, with ``records``, what Snakemake notes of them; every file has a new time."""
        folder.mkdir(parents=True, exist_ok=True)
        return self.copy(self.folder, folder, *PARTS, "results", *([".snakemake"] if records else []))

    def run(self, *arguments: str, config: str = "tests/config/tiny.yaml") -> subprocess.CompletedProcess:
        """Run Snakemake with 2 cores; stdout and stderr as text. ``config``: one file or several, between blanks."""
        command = [self.python, "-m", "snakemake", "--configfile", *config.split(), "--cores", "2", *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=3600)

    def build(self, *targets: str, config: str = "tests/config/tiny.yaml") -> str:
        """Build targets; the output, or an assertion with its end."""
        done = self.run(*targets, config=config)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output[-4000:]
        return output

    def planned(self, *arguments: str, config: str = "tests/config/tiny.yaml") -> dict[str, int]:
        """Jobs of a dry run by rule, without ``all``; empty where there is nothing to do."""
        done = self.run("--dry-run", *arguments, "--quiet", "rules", config=config)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output[-4000:]
        tables = output.split("Job stats:")
        if len(tables) == 1:
            assert "Nothing to be done" in output, output[-2000:]
            return {}
        rows = re.findall(r"^(\w+) +(\d+)$", tables[1], re.MULTILINE)
        return {rule: int(count) for rule, count in rows if rule not in ("all", "total")}

    def outcome(self, *targets: str, experiment: str = "tiny") -> tuple[Counter, Counter]:
        """Build; jobs that were made, and that were kept or reused, by rule, as their logs tell."""
        logs = self.folder / "results" / experiment / "logs"
        before = {path: path.stat().st_mtime_ns for path in logs.rglob("*.log")}
        self.build(*targets)
        made, kept = Counter(), Counter()
        for path in logs.rglob("*.log"):
            if before.get(path) != path.stat().st_mtime_ns:
                rule = path.relative_to(logs).parts[0].removesuffix(".log")
                (kept if path.read_text().startswith(("kept: ", "reused: ")) else made)[rule] += 1
        return made, kept

    def refused(self, *arguments: str, config: str = "tests/config/tiny.yaml") -> str:
        """Run Snakemake expecting a refusal; its output."""
        done = self.run(*arguments, config=config)
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace the first ``old``, which must occur, in a text file."""
        file = self.folder / path
        text = file.read_text()
        assert old in text, f"{path} has no {old!r}"
        file.write_text(text.replace(old, new, 1))
