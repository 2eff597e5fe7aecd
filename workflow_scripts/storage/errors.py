"""The one exception for bad input, and what a machine can run out of."""

from __future__ import annotations

import errno


class InputError(Exception):
    """Bad input; the message is one line that names the item and the fix."""


def shortage_of(error: BaseException) -> str | None:
    """What the machine has run out of, as a line with the fix; None for any other error."""
    text = " ".join(str(error).split())
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in text:
        where = getattr(error, "filename", None)
        return f"the disk is full{f', writing {where}' if where else ''}: free some space and run again ({text[:200]})"
    if isinstance(error, MemoryError) or "OutOfMemoryError" in f"{type(error).__name__} {text}":
        return (
            f"memory is short: give the job more (resources in the config) and run again ({text[:200] or 'none left'})"
        )
    return None


def raise_shortage(error: BaseException) -> None:
    """Raise ``error`` again where the machine, not the input, is at fault."""
    if shortage_of(error):
        raise error
