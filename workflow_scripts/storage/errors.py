"""The one exception for bad input."""


class InputError(Exception):
    """Bad input; the message is one line that names the item and the fix."""


def one_line(error: BaseException) -> str:
    """What a library's error says, in one line: the start of its text, or its type where it says nothing."""
    return " ".join(str(error).split())[:300] or type(error).__name__
