"""Seeds derived from what a draw is for."""

import hashlib


def derive_seed(seed: int, *parts: object) -> int:
    """A 64-bit seed from ``seed`` and what the draw is for, e.g. ``derive_seed(0, "sampling", query_id)``.

    BLAKE2b over the parts' text, so a draw depends on neither the order nor the sharding of the work.
    """
    text = "\0".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
