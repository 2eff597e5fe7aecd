"""What in a file from elsewhere could run, escape its folder, or grow beyond all measure when it is read."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from io import BufferedIOBase
from pathlib import PurePosixPath

DEEPEST, LONGEST = 16, 400
RESULTS = "results/"
ENDINGS = {
    *(".json", ".parquet", ".npy", ".gz", ".safetensors"),
    *(".csv", ".md", ".tex", ".png", ".pdf", ".html", ".txt", ".model"),
}
"""Of files below results/: none is a pickle or a program."""
GROWTH = 200
"""A gzipped run grows some five times when it is read; a bomb a thousand times."""
SMALL = 2**20
MAGIC = {".parquet": b"PAR1", ".npy": b"\x93NUMPY"}
"""How files begin that are read as numbers; nobody reads an array that holds a pickle."""
BLOCK = 2**20
LARGEST_HEADER = 100_000_000
"""Of a safetensors file, as its own library has it."""


def name_fault(name: str) -> str | None:
    """What is wrong with the name of a file from elsewhere, in words; None where it stays in its folder."""
    path = PurePosixPath(name)
    if not name or name != str(path) or path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name:
        return "is no path within the archive"
    if (
        re.search(r"[\x00-\x1f\x7f]", name)
        or not name.isprintable()
        or len(name) > LONGEST
        or len(path.parts) > DEEPEST
    ):
        return "is no name of a file here"
    if name.startswith(RESULTS):
        if any(part.startswith(".") for part in path.parts):
            return "is a hidden file of the results"
        if path.suffix not in ENDINGS:
            return "is of no kind that results have"
    return None


def content_fault(name: str, file: BufferedIOBase, size: int) -> str | None:
    """What is wrong with the bytes of a file below ``results/``, in words; None where they are what its name says."""
    if not name.startswith(RESULTS):
        return None
    ending = PurePosixPath(name).suffix
    if ending == ".safetensors":
        return None if _is_safetensors(file, size) else "holds no safetensors (a pickle runs code when it is loaded)"
    if ending == ".gz":
        return _growth_fault(file, size)
    if not file.read(6).startswith(MAGIC.get(ending, b"")):
        return f"does not begin as a {ending} file does"
    return None


def _is_safetensors(file: BufferedIOBase, size: int) -> bool:
    """Eight bytes with the header's length, the header as JSON, then exactly the tensors that it lists."""
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, LARGEST_HEADER):
        return False
    try:
        header = json.loads(file.read(length))
        ends = [about["data_offsets"][1] for name, about in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return False
    return 8 + length + max(ends, default=0) == size


def _growth_fault(file: BufferedIOBase, size: int) -> str | None:
    most, read = max(SMALL, GROWTH * size), 0
    try:
        with gzip.GzipFile(fileobj=file) as unzipped:
            while block := unzipped.read(BLOCK):
                read += len(block)
                if read > most:
                    return f"unpacks to more than {GROWTH} times its size"
    except (OSError, EOFError, zlib.error):
        return "holds no gzip"
    return None
