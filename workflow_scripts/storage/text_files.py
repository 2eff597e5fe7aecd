"""A user's text files, read line by line: what cannot be read is named with its file and line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

from workflow_scripts.storage.errors import InputError, raise_shortage

BYTE_ORDER_MARK = "\ufeff"


def shown(value: object) -> str:
    """A value as a message shows it: on one line, cut in the middle where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:50]}...{text[-20:]}"


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, text without its line end) of each line that is not blank, of a plain or a gzipped (.gz) file.

    A byte order mark at the start of any line is left out: files that were joined have one in their middle. Raises
    :class:`InputError` for a file that cannot be read and for a line that is not UTF-8.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    text = line.decode().rstrip("\r\n").lstrip(BYTE_ORDER_MARK)
                except UnicodeDecodeError:
                    raise InputError(f"{path}:{number} is not UTF-8: save the file as UTF-8") from None
                if text.strip():
                    yield number, text
    except FileNotFoundError:
        raise InputError(f"{path} is missing: give the path of a file that exists") from None
    except (OSError, EOFError, zlib.error) as error:
        raise_shortage(error)
        after = f" after line {number}" if number else ""
        raise InputError(f"{path} cannot be read{after} ({error}): check the file") from None


def read_objects(path: Path) -> Iterator[tuple[int, dict]]:
    """(line number, object) of a JSON Lines file; :class:`InputError` for a line that is none or has a key twice."""
    for number, line in read_lines(path):
        try:
            value = json.loads(line, object_pairs_hook=_distinct_keys)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}:{number} is not JSON ({error.msg}): write one object a line") from None
        except RecursionError:
            raise InputError(f"{path}:{number} is nested too deep: write one flat object a line") from None
        except ValueError as error:
            raise InputError(f"{path}:{number} cannot be read ({str(error).partition(';')[0]})") from None
        if not isinstance(value, dict):
            raise InputError(f"{path}:{number} is not a JSON object: write one object a line")
        yield number, value


def _distinct_keys(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} is there twice")
    return found
