"""Which instructions this process computes with, settled before any library of numbers is loaded.

``--arithmetic portable`` limits every library to what all x86-64 processors with AVX2 have, on one thread, and numpy's
products to the kernels of one of them: the same bytes come out on each. What the libraries would choose by themselves
depends on the maker of the processor, its instructions and the number of threads. They read these limits once, when
they are loaded, so the package's ``__init__`` calls :func:`settle`.
"""

from __future__ import annotations

import itertools
import os
import platform
from collections.abc import Sequence

OPTION = "--arithmetic"
FAST, PORTABLE = "fast", "portable"
BF16_PRODUCTS = "torch, in bf16"
LIMITS = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "FAISS_SIMD_LEVEL": "AVX2",
}
"""Of torch's own kernels, oneDNN, OpenBLAS (numpy's, scipy's and Faiss'), OpenMP, numpy's own loops, and Faiss."""
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
NEEDED = {"avx2", "fma"}
BF16 = ("avx512_bf16", "amx_bf16")
_settled: dict[str, str] = {"setting": FAST}


def settle(arguments: Sequence[str]) -> None:
    """Limit the libraries as ``--arithmetic`` and ``--threads`` of the process say; nothing is checked here."""
    given = dict(itertools.pairwise(arguments))
    if given.get("--threads", "").isdecimal():
        for name in THREADS:  # as Snakemake sets them: a command that is typed is as fast
            os.environ.setdefault(name, given["--threads"])
    if given.get(OPTION) == PORTABLE:
        _settled["setting"] = PORTABLE
        if fault := _fault():
            fall_back(fault)
        else:
            os.environ.update(LIMITS)


def setting() -> str:
    """``fast`` or ``portable``: what this process was asked for."""
    return _settled["setting"]


def is_portable() -> bool:
    """Whether this process computes portably: it was asked to, and can."""
    return setting() == PORTABLE and "not_portable" not in _settled


def fall_back(reason: str) -> None:
    """Note why a process that was asked for portable arithmetic computes otherwise."""
    _settled["not_portable"] = reason


def note_products(library: str) -> None:
    """Note which library multiplies matrices, and in what precision where it is not fp32."""
    _settled["products"] = library


def description(device: str = "cpu") -> dict[str, str]:
    """What a manifest says: ``setting``; ``products`` where a CPU ran a model; ``not_portable``, with the reason."""
    if device == "cpu":
        return dict(_settled)
    return {"setting": setting()} | ({"not_portable": "a GPU computed"} if setting() == PORTABLE else {})


def vendor() -> str:
    """The processor's maker as it names itself, e.g. ``AuthenticAMD``; empty where the system does not say."""
    return next(iter(cpuinfo("vendor_id")), "")


def model() -> str:
    """The processor's model as it names itself, e.g. ``AMD EPYC 7B13``; else the kind of the machine."""
    return " ".join(cpuinfo("model name")) or platform.machine()


def has(flag: str) -> bool:
    """Whether the processor has a set of instructions, by Linux' name of it; no where the system does not say."""
    return flag in cpuinfo("flags")


def multiplies_bf16() -> bool:
    """Whether the processor has instructions for products of bf16; one without emulates them, far slower than fp32."""
    return any(map(has, BF16))


def _fault() -> str | None:
    if platform.machine() not in ("x86_64", "AMD64"):
        return f"the processor is {platform.machine()}, not x86-64"
    lacking = sorted(NEEDED - set(cpuinfo("flags")))
    return f"the processor lacks {', '.join(lacking)}" if lacking else None


def cpuinfo(name: str) -> list[str]:
    """The words of a line of Linux' description of the first processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = (line.partition(":") for line in file)
            return next((value.split() for key, _, value in lines if key.strip() == name), [])
    except OSError:
        return []
