"""The one exception for bad input, and what a machine can run out of or forbid."""

from __future__ import annotations

import errno
import re


class InputError(Exception):
    """Bad input; the message is one line that names the item and the fix."""


def shortage_of(error: BaseException) -> str | None:
    """What the machine has run out of or forbids, as a line with the fix; None for any other error."""
    text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    # Libraries raise their own errors with the system's words.
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in text:
        return f"the disk is full: free some space and run again ({text})"
    # torch's own words, the driver's, and what cuBLAS makes of them.
    if re.search(r"(CUDA|HIP)( error:)? out of memory|CU(BLAS|DNN)_STATUS_ALLOC_FAILED", text):
        return (
            "the GPU's memory is short: in training lower batch_groups and raise gradient_accumulation as much, under "
            f"resources lower gpu_share, or take a larger GPU ({text})"
        )
    if isinstance(error, MemoryError) or "OutOfMemoryError" in text or "can't allocate memory" in text:
        return f"memory is short: give the job more under resources in the config and run again ({text})"
    if "completedTaskCount" in text:  # Anserini's words; what befell the query's thread it does not say
        return (
            "Java searched fewer queries than it was asked, as where its memory is short: give the job more under "
            f"resources in the config and run again ({text})"
        )
    if getattr(error, "errno", None) in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"this user may not write or read here: change the permissions and run again ({text})"
    return None


def raise_shortage(error: BaseException) -> None:
    """Raise ``error`` again where the machine, not the input, is at fault."""
    if shortage_of(error):
        raise error


def one_line(error: BaseException) -> str:
    """What a library's error says, in one line: the start of its text, or its type where it says nothing."""
    return " ".join(str(error).split())[:300] or type(error).__name__
