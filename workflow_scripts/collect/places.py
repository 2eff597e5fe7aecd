"""Where in a source something stands, for messages."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """A source and what its positions count: a file's lines (no unit) or, say, a collection's documents."""

    source: str
    unit: str | None = None

    @property
    def is_file(self) -> bool:
        """Whether it is a user's own file, which can be corrected."""
        return self.unit is None

    def at(self, position: int) -> str:
        """The place of one position: ``docs.jsonl:12`` or ``vaswani, document 12``."""
        return f"{self.source}:{position}" if self.unit is None else f"{self.source}, {self.unit} {position}"
