"""The one exception for bad input."""


class InputError(Exception):
    """Bad input; the message is one line that names the item and the fix."""
