"""Chaos: the tiny experiment is killed, damaged and starved, the documented command run again, every byte compared.

``python -m tests.chaos FOLDER [--minutes 30] [--seed 1] [--append FILE]`` builds it undisturbed once, in FOLDER, then
disturbs copies until the time is over, and appends a table. What round k does is drawn from the seed and k, and
``--round K ...`` is those rounds. The documented command is the same command again; after damage, what ``make verify``
prints.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench.machine import commit, processor, today
from tests.project import ROOT, Project
from workflow_scripts.storage.checksums import sha256
from workflow_scripts.storage.rerun import PYTHON

TINY = "tests/config/tiny.yaml"
COMMAND = [sys.executable, "-m", "snakemake", "--configfile", TINY, "--cores", "2"]
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
KILLS = DAMAGES = 10
WITH_COST = {"cost", "advice", "claims", "configuration"}
"""Tables that show seconds, watt-hours or the commit: not the same in two builds."""


def flip(path: Path, draw: random.Random) -> None:
    """Turn one bit."""
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path, random.Random], object]] = {
    "flipped": flip,
    "truncated": lambda path, draw: os.truncate(path, draw.randrange(path.stat().st_size)),
    "deleted": lambda path, draw: path.unlink(),
    "zeros for": lambda path, draw: path.write_bytes(bytes(path.stat().st_size)),
}


@dataclass
class Outcome:
    """One disturbance: its kind, what was done to what, and what differs in the end."""

    kind: str
    detail: str
    differs: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.kind}, {self.detail}: " + ("; ".join(self.differs[:3]) or "same bytes")


def checksums(results: Path) -> dict[str, str]:
    """What must be the same in any two builds: each artifact's files and what it says of itself, numbers and tables.

    Lucene gives every index it writes ids of its own, so of an index the rankings that it gives are compared.
    """
    found = {}
    for manifest in sorted(results.rglob("manifest.json")):
        place, made = str(manifest.parent.relative_to(results)), json.loads(manifest.read_text())
        files = sorted(name for name in made["files"] if name != "README.md" and made["kind"] != "indexes")
        found[place] = json.dumps([made["kind"], made["spec"], made["counts"], files], sort_keys=True)
        found |= {f"{place}/{name}": sha256(manifest.parent / name) for name in files}
    for pattern in ("analysis/[a-z]*", "tables/[a-z]*", "cells/[a-z]*", "metrics.parquet"):
        paths = (path for path in results.glob(pattern) if path.name.split(".")[0] not in WITH_COST)
        found |= {str(path.relative_to(results)): sha256(path) for path in paths}
    return found


class Chaos:
    """Disturbs copies, in ``folder``, of an experiment that was built alone; each method gives what came of it."""

    def __init__(self, folder: Path, alone: Project) -> None:
        self.folder, self.alone = folder, alone
        self.expected = checksums(alone.folder / "results/tiny")

    def differs(self, project: Project) -> list[str]:
        """Run the documented command; what is not as in the build that was left alone."""
        done = project.run()
        found = checksums(project.folder / "results/tiny")
        names = sorted(name for name in self.expected | found if self.expected.get(name) != found.get(name))
        said = (done.stdout + done.stderr)[-300:].replace("\n", " ")
        return ([f"exit status {done.returncode}: {said}"] if done.returncode else []) + names

    def copy(self, name: str) -> Project:
        """A copy of the project that was built alone."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        return self.alone.duplicate(self.folder / name)

    def kills(self, draw: random.Random) -> Iterator[Outcome]:
        """Builds that are killed over and over, each then run to its end: one, or where jobs are quick a few."""
        left = KILLS
        while left:
            shutil.rmtree(self.folder / "killed", ignore_errors=True)
            project, outcomes = Project.fresh(self.folder / "killed"), []
            while left and (struck := struck_build(project, draw)):
                left -= 1
                outcomes += [struck, *spoiled_checkpoint(project, draw)]
            differs = self.differs(project)
            for outcome in outcomes:
                outcome.differs = differs
            yield from outcomes

    def damage(self, project: Project, draw: random.Random) -> Outcome:
        """Damage a file of some kind, run the command that ``make verify`` prints, and compare."""
        results = project.folder / "results/tiny"
        by_kind: dict[str, list[Path]] = {"analysis": sorted(results.glob("analysis/[a-z]*"))}
        for manifest in sorted(results.rglob("manifest.json")):
            files = [name for name in json.loads(manifest.read_text())["files"] if name != "README.md"]
            own = [manifest, *(manifest.parent / name for name in files)]
            by_kind.setdefault(manifest.relative_to(results).parts[0], []).extend(own)
        kind, way = draw.choice(sorted(by_kind)), draw.choice([*DAMAGE, "swapped"])
        path = draw.choice([each for each in by_kind[kind] if each.stat().st_size])
        others = [each for each in by_kind[kind] if each.name == path.name and each != path]
        if way == "swapped" and others:
            shutil.copyfile(draw.choice(others), path)
        else:
            way = "flipped" if way == "swapped" else way
            DAMAGE[way](path, draw)
        verify = [sys.executable, "-m", "workflow_scripts.daily.verify", "results/tiny", TINY]
        *_, last = subprocess.run(verify, cwd=project.folder, capture_output=True, text=True).stdout.splitlines()
        if last.startswith("rm "):
            last = last.replace(PYTHON, sys.executable)
            subprocess.run(last, shell=True, cwd=project.folder, capture_output=True)
        return Outcome("damage", f"{way} {path.relative_to(results)}", self.differs(project))

    def starved(self, kind: str, draw: random.Random) -> Outcome:
        """A part of the results is made again with too little of something, then with enough."""
        project = self.copy("starved")
        folders = sorted(each for each in project.folder.glob("results/tiny/[a-z]*") if each.is_dir())
        gone = draw.sample([each for each in folders if each.name != "logs"], 4)
        for each in gone:
            shutil.rmtree(each)
        with STARVED[kind](project, gone, draw) as (limit, before):
            first = subprocess.run(COMMAND, cwd=project.folder, capture_output=True, text=True, preexec_fn=before)
        lines = [line for line in (first.stdout + first.stderr).splitlines() if "rror: " in line]
        said = " ".join([f"exit status {first.returncode}", *lines[:1]])
        detail = f"{limit}, without {', '.join(each.name for each in gone)} ({said})"
        return Outcome(kind, detail, self.differs(project))


def wait(over: Callable[[], bool], seconds: float) -> None:
    """Until something is so, or the seconds have passed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not over():
        time.sleep(0.2)


def running(session: int) -> tuple[dict[int, str], list[int]]:
    """Of a build: the process and module of each job, asked of the host or started by itself, and what forks."""
    lines = subprocess.run(["ps", "-ww", "-o", "pid=,args=", "-s", str(session)], capture_output=True, text=True).stdout
    found = [line.split(maxsplit=1) for line in lines.splitlines()]
    modules = {int(pid): re.search(r"-m workflow_scripts\.(\S+)", words) for pid, words in found}
    forks = [int(pid) for pid, words in found if "warm_start.py serve" in words]
    return {pid: module[1] for pid, module in modules.items() if module}, forks


def struck_build(project: Project, draw: random.Random) -> Outcome | None:
    """Start a build and strike it, mostly once it has started jobs, else while it plans; None if it ended before."""
    null = subprocess.DEVNULL
    build = subprocess.Popen(COMMAND, cwd=project.folder, start_new_session=True, stdout=null, stderr=null)
    if draw.random() < 0.9:
        wait(lambda: build.poll() is not None or bool(running(build.pid)[0]), 120)
    wait(lambda: build.poll() is not None, draw.uniform(0, 6))
    struck = strike(build.pid, draw) if build.poll() is None else None
    try:
        build.wait(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(build.pid, signal.SIGKILL)
        build.wait()
    return struck


def strike(snakemake: int, draw: random.Random) -> Outcome:
    """Send some signal to some part of a running build."""
    (jobs, forks), how = running(snakemake), draw.choice(SIGNALS)
    javas = [pid for pid, module in jobs.items() if module.startswith("index.")]  # the JVM lives in the job's process
    victims = {"Snakemake": [snakemake], "a job": sorted(jobs), "a JVM": javas, "the host or its fork": forks}
    among = [name for name, pids in victims.items() if pids] + ["the process group"]
    victim = "a JVM" if javas else draw.choice(among)
    with contextlib.suppress(ProcessLookupError):
        if victim == "the process group":
            os.killpg(snakemake, how)
        else:
            os.kill(draw.choice(victims[victim]), how)
    during = ", ".join(sorted(set(jobs.values()))) or "no job"
    return Outcome("kill", f"{how.name} to {victim} during {during}")


def spoiled_checkpoint(project: Project, draw: random.Random) -> list[Outcome]:
    """Damage a checkpoint that a killed training has left, in one case of two."""
    left = sorted(path for path in project.folder.glob("results/tiny/**/.checkpoint/*") if path.stat().st_size)
    if not left or draw.random() < 0.5:
        return []
    path, way = draw.choice(left), draw.choice(list(DAMAGE))
    DAMAGE[way](path, draw)
    return [Outcome("damage", f"{way} checkpoint of {path.parents[1].relative_to(project.folder / 'results/tiny')}")]


Starving = Iterator[tuple[str, Callable[[], object] | None]]  # what is short, and a call in the process that starts


@contextlib.contextmanager
def full_disk(project: Project, gone: list[Path], draw: random.Random) -> Starving:
    """The results on a disk with hardly any room left."""
    results, aside, room = project.folder / "results", project.folder / "aside", draw.randrange(16, 256)
    results.rename(aside)
    results.mkdir()
    used = sum(-(-path.stat().st_size // 4096) * 4 for path in aside.rglob("*") if path.is_file())
    with mounted(results, "-t", "tmpfs", "-o", f"size={used + room}k", "tmpfs"):
        shutil.copytree(aside, results, dirs_exist_ok=True)
        yield f"a disk with {room} KB left", None
        shutil.rmtree(aside)
        shutil.copytree(results, aside)
    results.rmdir()
    aside.rename(results)


@contextlib.contextmanager
def read_only(project: Project, gone: list[Path], draw: random.Random) -> Starving:
    """One of the folders that are to be written cannot be."""
    folder = draw.choice(gone)
    folder.mkdir()
    with mounted(folder, "--bind", folder):
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield f"{folder.name} read-only", None


@contextlib.contextmanager
def mounted(folder: Path, *what: str | Path) -> Iterator[None]:
    """Something mounted at a folder."""
    subprocess.run(["mount", *what, folder], check=True)
    try:
        yield
    finally:
        # A job that Snakemake did not wait for may still hold a file there.
        wait(lambda: subprocess.run(["umount", folder], capture_output=True).returncode == 0, 60)
        if os.path.ismount(folder):
            raise SystemExit(f"{folder} is in use: end what holds it and give umount {folder}")


@contextlib.contextmanager
def short_memory(project: Project, gone: list[Path], draw: random.Random) -> Starving:
    """Every process may have so much address space."""
    limit = draw.randrange(400, 3000)
    yield f"{limit} MB a process", lambda: resource.setrlimit(resource.RLIMIT_AS, (limit * 2**20, limit * 2**20))


NEED_ROOT: Mapping[str, Callable] = {"full disk": full_disk, "read-only folder": read_only}
STARVED: Mapping[str, Callable] = {**NEED_ROOT, "memory limit": short_memory}
SKIPPED = [] if os.geteuid() == 0 else list(NEED_ROOT)


def round_of(chaos: Chaos, seed: int, number: int) -> Iterator[Outcome]:
    """Round k: kills, damages (one file after the other, each made again before the next) and starving take turns."""
    draw = random.Random(f"{seed} {number}")
    if number % 3 == 0:
        yield from chaos.kills(draw)
    elif number % 3 == 1:
        project = chaos.copy("damaged")
        yield from (chaos.damage(project, draw) for _ in range(DAMAGES))
    else:
        yield from (chaos.starved(kind, draw) for kind in STARVED if kind not in SKIPPED)


def part(outcomes: list[Outcome], title: str) -> str:
    """A part of the report: counts by kind, and each disturbance with what came of it."""
    counts, same = Counter(each.kind for each in outcomes), Counter(each.kind for each in outcomes if not each.differs)
    lines = [f"\n## {title}\n\n{processor()}.\n", "| disturbance | number | same bytes |", "|--|--:|--:|"]
    lines += [f"| {kind} | {number} | {same[kind]} |" for kind, number in sorted(counts.items())]
    lines += [f"\nNot tried: {kind}, which needs root." for kind in SKIPPED]
    return "\n".join([*lines, "", *(f"- {each}" for each in outcomes), ""])


def main() -> int:
    """Run a part; exit status 1 where something did not end with the same bytes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=30, help="no round starts later")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--round", type=int, nargs="+", help="these rounds alone")
    parser.add_argument("--append", type=Path, default=ROOT / "docs/chaos.md")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job, and all it starts, ignores it
    alone = Project(options.folder.absolute() / f"alone-{commit()}")
    if not (alone.folder / "results/tiny/report.html").exists():
        Project.fresh(alone.folder).build()
    chaos, outcomes = Chaos(alone.folder.parent, alone), []
    end = time.monotonic() + 60 * options.minutes
    numbers = options.round or count()
    with contextlib.suppress(KeyboardInterrupt):  # what was tried is told
        for number in numbers:
            for outcome in round_of(chaos, options.seed, number):
                print(outcome, flush=True)
                outcomes.append(outcome)
            if options.round is None and time.monotonic() > end:  # not within a round, whose kills are known together
                break
    with open(options.append, "a", encoding="utf-8") as file:
        file.write(part(outcomes, f"{today()}, commit {commit()}, seed {options.seed}"))
    return int(any(each.differs for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
