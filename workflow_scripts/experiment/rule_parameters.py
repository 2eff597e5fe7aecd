"""What a rule gives to its job: script, digest of the script's code, spec, options, and what the job needs to run."""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from workflow_scripts.storage.checksums import checksum_of
from workflow_scripts.storage.code import job_digest
from workflow_scripts.storage.long_argument import packed

NEEDS = {
    "prepare": (1, 2000, 30),
    "index": (1, 3000, 30),
    "tokenise": (1, 2000, 30),
    "search": (1, 3000, 30),
    "pretrain": (1, 2000, 30),
    "mine": (1, 2000, 30),
    "score": (1, 2000, 60),
    "train": (1, 2000, 60),
    "rerank": (1, 2000, 60),
    "analyse": (1, 1000, 30),
}
"""What a job of each stage needs on a small collection: (threads, megabytes, minutes).

An experiment at another scale says so under ``resources``; a site says how jobs run in a profile.
"""
ANY_ID = "[a-z0-9-]+"
"""A wildcard constraint: any id."""
ON_GPU = ("score", "train", "rerank")


def job(
    script: str, spec: Any = None, ids: Any = None, own: Any = None, order: Any = None, **values: object
) -> dict[str, object]:
    """Parameters of a rule: ``module``, ``code`` (the digest), ``spec`` (JSON) and ``options``.

    ``spec`` is a dict or a function of the wildcards that gives one; ``values`` are added to it. JSON is canonical:
    equal values give equal text. ``ids`` are options that name what the paths of another option hold, in its order: a
    dict of lists, or a function of the wildcards that gives one. ``own``: a function of the wildcards that gives those
    inputs that are a user's files; the job looks at them again whenever one is another, if only an older one.
    ``order``: a function of the wildcards that gives the names (or paths) of those inputs whose order decides bytes and
    stands in no spec: Snakemake compares inputs sorted.
    """
    script = f"workflow_scripts.{script}"

    def canonical(wildcards: Any) -> str:
        filled = values | ((spec(wildcards) if callable(spec) else spec) or {})
        return json.dumps(filled, sort_keys=True, separators=(",", ":"))

    # Of the wildcards alone: Snakemake asks no parameter that has seen the inputs whether it has changed.
    def code(wildcards: Any) -> str:
        versions = map(_version, own(wildcards) if own else ())
        ordered = list(order(wildcards)) if order else []
        last = [checksum_of(ordered)] if len(ordered) > 1 else []
        return " ".join([_digest_of(script, canonical(wildcards)), *versions, *last])

    def options(wildcards: Any, input: Any, output: Any) -> str:
        return _arguments(input, output, (ids(wildcards) if callable(ids) else ids) or {})

    def argument(wildcards: Any) -> str:
        return packed(canonical(wildcards))

    functions: dict[str, Callable] = {"code": code, "spec": argument, "options": options}
    return {"module": script, **{name: with_signature(function) for name, function in functions.items()}}


def with_signature(function: Callable) -> Callable:
    """The function with its signature noted: Snakemake asks every function of a rule for it, for each job anew."""
    function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return function


def _version(path: str) -> str:
    """What differs where a file is swapped: Snakemake itself sees only one that is newer than what was made of it."""
    found = os.stat(path)
    return f"{found.st_size}.{found.st_mtime_ns}"


@functools.cache
def _digest_of(script: str, spec: str) -> str:
    return job_digest(script, json.loads(spec))


def _arguments(input: Any, output: Any, ids: Mapping[str, list[str]]) -> str:
    """Named inputs and outputs and ``ids`` as options, quoted for the shell; what is empty is left out.

    A file whose name starts with a dash is given as ``./-name``, or it would be read as an option.
    """
    outputs = output.items() if list(output.keys()) else [("output", output[0])]
    options: list[str] = []
    for name, values in [*ids.items(), *input.items(), *outputs]:
        values = [values] if isinstance(values, str) else list(values)
        values = [f"./{value}" if value.startswith("-") else value for value in values]
        options += [f"--{name.replace('_', '-')}", *map(shlex.quote, values)] if values else []
    return " ".join(options)


def threads_of(config: Mapping, stage: str) -> int:
    """Threads of a stage's jobs."""
    return config["resources"].get(stage, {}).get("threads", NEEDS[stage][0])


def gpu_shares(config: Mapping) -> list[int]:
    """How many jobs may share a GPU, of each stage whose jobs want one."""
    return [config["resources"].get(stage, {}).get("gpu_share", 1) for stage in ON_GPU]


def resources_of(
    config: Mapping, stage: str, gpu_parts: int = 1, *, limit: Callable[[str, Any], float]
) -> dict[str, int | str | Callable]:
    """Memory (MB) and run time (minutes) of a stage's jobs, which double with each retry, device, and GPU where needed.

    ``gpu_parts``: in how many parts Snakemake counts a GPU; a job that shares one holds some of them, and all of them
    when it is tried again: its memory may have been short.
    ``limit``: minutes that a job, of its rule and wildcards, may ask for; the next attempt goes on from a checkpoint.
    """
    configured = config["resources"].get(stage, {})
    on_gpu = stage in ON_GPU and config["device"] != "cpu"
    first = {what: configured.get(what, NEEDS[stage][place]) for what, place in (("mem_mb", 1), ("runtime", 2))}

    def memory(wildcards: Any, attempt: int) -> int:
        return first["mem_mb"] * 2 ** (attempt - 1)

    def runtime(wildcards: Any, attempt: int, rulename: str) -> int:
        return int(min(first["runtime"] * 2 ** (attempt - 1), limit(rulename, wildcards)))

    def gpu_share(wildcards: Any, attempt: int) -> int:
        return configured.get("gpu_share", 1) if attempt == 1 else 1

    def parts(wildcards: Any, attempt: int) -> int:
        return max(gpu_parts // gpu_share(wildcards, attempt), 1)

    gpu = {"gpu": with_signature(parts)} if on_gpu else {}
    # Jobs of one group agree in every text: measuring, which uses no device, is in a group with its student's training.
    device = {"device": config["device"] if stage in (*ON_GPU, "analyse") else "cpu"}
    device |= {"gpu_share": with_signature(gpu_share)}
    return {"mem_mb": with_signature(memory), "runtime": with_signature(runtime), **gpu, **device}


def one_of(names: Iterable[str]) -> str:
    """A wildcard constraint: exactly these ids."""
    return "|".join(map(re.escape, names)) or "(?!)"


def other_than(names: Iterable[str]) -> str:
    """A wildcard constraint: any id but these; an unknown one reaches the look-up that names the valid ones."""
    return f"(?!({one_of(names)})[/.]){ANY_ID}"
