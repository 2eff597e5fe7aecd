"""The command line of a script, derived from its function's signature, and what every job does around its work.

``python -m workflow_scripts.STAGE.RULE --spec JSON --NAME PATH ... --output PATH``: each argument of the function is an
option; ``spec`` is one JSON object (a very long one packed: :mod:`~workflow_scripts.storage.long_argument`). Some
options are no arguments of the work and are taken by the job itself: ``--log FILE`` (all output goes there; an error's
line to stderr too), ``--threads N`` and ``--memory-mb N`` (given to a function that asks for them), ``--device`` (auto,
cuda or cpu), ``--gpu-share N`` (how many such jobs share a GPU) and ``--arithmetic``, which the package has read when
it was imported.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import os
import sys
import traceback
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import NoReturn, TypeVar

from workflow_scripts.storage import gpus, processor, provenance
from workflow_scripts.storage.checked import maker_of, note_output, output_fault, signature
from workflow_scripts.storage.code import PACKAGE
from workflow_scripts.storage.errors import InputError, shortage_of
from workflow_scripts.storage.locks import STARTED, job_lock, note_started
from workflow_scripts.storage.logs import end_log, log_to
from workflow_scripts.storage.long_argument import unpacked
from workflow_scripts.storage.reuse import reuse

LIMITS = {"threads": 1, "memory_mb": 3000}
"""What a job may use, by argument, and what a run by hand has."""
OUTPUTS = ("output", "cells")
"""Arguments that a job writes: a file or its artifact's manifest, and the cells beside an artifact."""
FaultOutside = Callable[[Path], str | None]
T = TypeVar("T")


def run(function: Callable[..., object], fault_outside: FaultOutside = lambda _: None) -> None:
    """Run a script's function with the process's arguments; bad input is one line on stderr and exit status 1.

    ``fault_outside``: of a manifest that is there, what the job has made elsewhere and is gone, in words, or None.
    """
    given = vars(_parser(function).parse_args())
    log = given.pop("log")
    _choose_device(given)
    try:
        terminal = log_to(log) if log else None
    except OSError as error:
        _end(f"error: the log cannot be written ({error}): look at the disk", None)
    end_in_one_line(lambda: _run_job(function, given, terminal, fault_outside), terminal)
    if log:
        end_log(provenance.seconds_so_far())


def end_in_one_line(main: Callable[[], object], terminal: int | None = None) -> None:
    """Call ``main``; an error becomes one line on stderr (and ``terminal``) and exit status 1."""
    try:
        main()
    except InputError as error:
        _end(f"error: {' '.join(str(error).split())}", terminal)
    except Exception as error:
        traceback.print_exc()
        if shortage := shortage_of(error):
            _end(f"error: {shortage}", terminal)
        _end(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}", terminal)


def call(function: Callable[..., object], arguments: Sequence[str]) -> None:
    """Run a script's function as its command line with ``arguments`` would; errors are raised."""
    given = vars(_parser(function).parse_args(arguments))
    del given["log"]
    _choose_device(given)
    _run_job(function, given)


def _choose_device(given: dict) -> None:
    """Leave the options of the device where :mod:`~workflow_scripts.models.devices` finds them."""
    os.environ[gpus.DEVICE] = given.pop("device")
    os.environ[gpus.GPU_SHARE] = str(given.pop("gpu_share"))


def _run_job(
    function: Callable[..., object],
    given: dict,
    terminal: int | None = None,
    fault_outside: FaultOutside = lambda _: None,
) -> None:
    """A job whose ``--output`` is a manifest keeps what is there if it would make the same again, and ends at once."""
    _refuse_other_arithmetic(given.get("spec") or {})
    wanted = inspect.signature(function).parameters
    work = {name: value for name, value in given.items() if value is not None and name in wanted}
    _refuse_damaged(path for path in _paths(work) if path.name != provenance.MANIFEST)
    output, module = work.get("output"), _module_name(function)
    is_artifact = isinstance(output, Path) and output.name == provenance.MANIFEST
    if not is_artifact and not module.startswith(PACKAGE):  # a function that was typed has no digest
        _make(function, work, None)
        return
    read = {name: value for name, value in work.items() if name not in (*LIMITS, *OUTPUTS, "spec")}
    job = provenance.Job(
        module=module,
        spec=work.get("spec", {}),
        paths={name: value for name, value in read.items() if _is_path(value)},
        values={name: value for name, value in read.items() if not _is_path(value)},
    )
    if not is_artifact:
        _make(function, work, job)
        return
    with job_lock(work["output"].parent, terminal):
        _make_or_keep(function, work, job, fault_outside)


def _make(function: Callable[..., object], work: dict, job: provenance.Job | None) -> None:
    """Make files without a manifest, whatever is there."""
    before = {path: signature(path) for path in _paths(work)}
    function(**work)
    written = [path for path in before if signature(path) not in (None, before[path])]
    maker = maker_of(job.code_at_end(), job.spec) if job else None
    for path in written:
        note_output(path, [path for path in before if path not in written], maker)


def _make_or_keep(
    function: Callable[..., object], work: dict, job: provenance.Job, fault_outside: FaultOutside
) -> None:
    output: Path = work["output"]
    cells: Sequence[Path] = work.get("cells", ())
    started = output.with_name(STARTED)
    reason = provenance.difference(output, job, cells) or fault_outside(output)
    if reason is None:
        print(f"kept: {output} is what this job would make", file=sys.stderr, flush=True)
        started.unlink(missing_ok=True)
        return
    if (source := reuse(output, job, cells)) and not fault_outside(output):
        print(f"reused: from {source}", file=sys.stderr, flush=True)
        started.unlink(missing_ok=True)
        return
    if output.exists():
        print(f"made again: {reason}", file=sys.stderr, flush=True)
    note_started(output.parent)
    for path in cells:  # they are written last: where the job dies before, an old one must not pass for them
        path.unlink(missing_ok=True)
    with provenance.doing(job):
        function(**work)
    if changed := job.changed_source():
        output.unlink(missing_ok=True)
        raise InputError(f"{changed} changed while it was read: run again")
    for path in cells:
        note_output(path, inputs=[output])
    started.unlink(missing_ok=True)


def _refuse_other_arithmetic(spec: Mapping) -> None:
    """Raise :class:`InputError` where the spec asks for another arithmetic than this process was started with."""
    wanted = spec.get("arithmetic", processor.setting())
    if wanted != processor.setting():
        raise InputError(f"the spec says arithmetic {wanted}: give {processor.OPTION} {wanted} on the command line too")


def _paths(work: Mapping[str, object]) -> list[Path]:
    """All paths among the arguments, inputs and outputs."""
    values = [value if isinstance(value, list) else [value] for value in work.values()]
    return [value for each in values for value in each if isinstance(value, Path)]


def _refuse_damaged(paths: Iterable[Path]) -> None:
    """Raise :class:`InputError` for a table or a figure's numbers that are not as an earlier job wrote them."""
    for path in paths:
        if fault := output_fault(path):
            raise InputError(f"{path} {fault}; {provenance.how_to_remake(path)}")


def _module_name(function: Callable[..., object]) -> str:
    """Name of the module that holds the function, also where it runs as ``__main__``."""
    spec = sys.modules[function.__module__].__spec__
    return spec.name if spec else function.__module__


def _is_path(value: object) -> bool:
    """Paths, one or several; an empty list counts, so that an argument that was left empty is told from one given."""
    return isinstance(value, Path) or (isinstance(value, list) and all(isinstance(item, Path) for item in value))


def _end(message: str, terminal: int | None) -> NoReturn:
    print(message, file=sys.stderr, flush=True)
    if terminal is not None:
        # A path that is not UTF-8 must not end the job with another error.
        os.write(terminal, f"{message}\n".encode(errors="backslashreplace"))
    sys.exit(1)


def _parser(function: Callable[..., object]) -> argparse.ArgumentParser:
    """A parser with an option for each of the function's arguments, beside ``--log`` and the limits."""
    module = sys.modules[function.__module__]
    parser = argparse.ArgumentParser(description=next(iter((module.__doc__ or "").strip().splitlines()), None))
    parser.add_argument("--log", help="file for all output")
    parser.add_argument(
        processor.OPTION, choices=(processor.FAST, processor.PORTABLE), default=processor.FAST, help="of this process"
    )
    parser.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto", help="auto: a GPU if there is one")
    parser.add_argument("--gpu-share", type=int, default=1, help="how many jobs like this one share a GPU")
    for name, default in LIMITS.items():
        parser.add_argument(f"--{_option(name)}", type=int, default=default)
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        if name not in LIMITS:
            how = _conversion(parameter.annotation)
            # A list that is not named has no members.
            if "nargs" in how:
                how["default"] = []
            else:
                how["required"] = parameter.default is inspect.Parameter.empty
            parser.add_argument(f"--{_option(name)}", **how)
    if "spec" not in inspect.signature(function).parameters:
        parser.add_argument("--spec", type=_json_object, help="of no use here: the rule has no settings")
    return parser


def _option(name: str) -> str:
    return name.replace("_", "-")


def _conversion(annotation: object) -> dict:
    """How argparse reads a value of this type: a path, paths, text, texts, a number, or a JSON object."""
    members = [part for part in typing.get_args(annotation) if part is not type(None)]
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, UnionType):
        return {"type": Path} if Path in members else _conversion(members[0])
    if annotation is Mapping or origin in (Mapping, dict):
        return {"type": _json_object, "metavar": "JSON"}
    if origin in (Sequence, list):
        return {"nargs": "*", **_conversion(members[0])}
    return {"type": annotation}


def _json_object(text: str) -> dict:
    """Read a JSON object, packed or not; raises ``argparse.ArgumentTypeError`` for anything else."""
    try:
        value = json.loads(unpacked(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON ({error})") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("not a JSON object")
    return value


def read_settings(kind: type[T], spec: Mapping) -> T:
    """A spec as the dataclass ``kind``; :class:`InputError` for a key that it lacks or has not.

    For runs by hand: the planner has checked types and ranges of what it gives.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(spec) - set(fields)):
        raise InputError(f"the spec has no key {unknown[0]!r}: its keys are {', '.join(fields)}")
    missing = dataclasses.MISSING
    needed = [name for name, field in fields.items() if field.default is missing and field.default_factory is missing]
    if lacking := [name for name in needed if name not in spec]:
        raise InputError(f"the spec lacks the key {lacking[0]!r}")
    return kind(**spec)
