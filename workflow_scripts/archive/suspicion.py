"""What in a file from elsewhere could run, escape its folder, or grow beyond all measure when it is read."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from io import BufferedIOBase
from pathlib import PurePosixPath

import yaml
from pyarrow import ArrowException, parquet

DEEPEST, LONGEST = 16, 400
RESULTS = "results/"
ENDINGS = {
    *(".json", ".parquet", ".npy", ".gz", ".safetensors"),
    *(".csv", ".md", ".tex", ".png", ".pdf", ".html", ".txt", ".model"),
}
"""Of files below results/: none is a pickle or a program."""
GROWTH = 200
"""A gzipped run grows some five times when it is read, a table twenty times; a bomb a thousand times."""
VALUE = 8
"""Bytes of a number in memory."""
TOO_LARGE = f"unpacks to more than {GROWTH} times its size"
SMALL = 2**20
MAGIC = {".parquet": b"PAR1", ".npy": b"\x93NUMPY"}
"""How files begin that are read as numbers; nobody reads an array that holds a pickle."""
BLOCK = 2**20
LARGEST_HEADER = 100_000_000
"""Of a safetensors file, as its own library has it."""
CONFIG = re.compile(r"\w[\w./-]*\.ya?ml")
"""Name of an experiment's file: nothing takes it for an option."""
TEMPLATE = "__use_yte__"
"""Key of a YAML file whose Python code Snakemake runs."""


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
    return _table_fault(file, size) if ending == ".parquet" else None


def config_fault(content: bytes) -> str | None:
    """What is wrong with an experiment's file, in words; None where it is plain YAML, as long as it looks."""
    depth = 0
    try:
        text = content.decode()
        # The parser that Snakemake takes, not the faster one: both are to see the same.
        for event in yaml.parse(text, yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > DEEPEST:
                return "has a YAML alias, or lists in lists without end: write it out plainly"
        config = yaml.load(text, yaml.SafeLoader)
    except Exception:  # PyYAML raises of every kind for values that their tags do not fit
        return "is no YAML"
    if not isinstance(config, dict) or TEMPLATE in config:
        return f"is no experiment in plain YAML (without {TEMPLATE}, which runs code)"
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


def _table_fault(file: BufferedIOBase, size: int) -> str | None:
    """By its footer: a constant column of any length takes no bytes in the file."""
    try:
        about = parquet.read_metadata(file)
        groups = [about.row_group(number) for number in range(about.num_row_groups)]
        chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
        grown = sum(max(VALUE * chunk.num_values, chunk.total_uncompressed_size) for chunk in chunks)
    except (ArrowException, OSError):
        return "holds no Parquet"
    rows = VALUE * about.num_rows
    return TOO_LARGE if max(rows, grown) > max(SMALL, GROWTH * size) else None


def _growth_fault(file: BufferedIOBase, size: int) -> str | None:
    most, read = max(SMALL, GROWTH * size), 0
    try:
        with gzip.GzipFile(fileobj=file) as unzipped:
            while block := unzipped.read(BLOCK):
                read += len(block)
                if read > most:
                    return TOO_LARGE
    except (OSError, EOFError, zlib.error):
        return "holds no gzip"
    return None
