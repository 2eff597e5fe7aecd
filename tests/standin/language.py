"""Texts of a made-up language: passages about topics, and questions that share words with one passage."""

from __future__ import annotations

import itertools
import random

SYLLABLES = ["".join(pair) for pair in itertools.product("bdfgklmnprstvz", "aeiou")]
FILLERS = ("the", "of", "a", "in", "what", "is", "and", "to", "for", "how")


class Passages:
    """Some passages, each about one of ``topics`` topics; ``words`` holds each one's words."""

    def __init__(self, number: int, seed: str, *, shortest: int = 14, longest: int = 34, topics: int = 60) -> None:
        self.draw = random.Random(seed)
        vocabulary = sorted({"".join(self.draw.choices(SYLLABLES, k=self.draw.choice((2, 2, 3)))) for _ in range(1500)})
        subjects = [self.draw.sample(vocabulary, 20) for _ in range(topics)]
        self.topics = [self.draw.randrange(topics) for _ in range(number)]
        self.words = [
            [self._word(subjects[topic], vocabulary) for _ in range(self.draw.randint(shortest, longest))]
            for topic in self.topics
        ]

    def __len__(self) -> int:
        return len(self.words)

    def _word(self, subject: list[str], vocabulary: list[str]) -> str:
        kind = self.draw.random()
        return self.draw.choice(FILLERS if kind < 0.25 else subject if kind < 0.8 else vocabulary)

    def text(self, number: int) -> str:
        """A passage."""
        return " ".join(self.words[number])

    def question(self, number: int, length: int = 4) -> str:
        """A question that the passage answers."""
        own = [word for word in self.words[number] if word not in FILLERS] or list(FILLERS)
        return " ".join([self.draw.choice(FILLERS), *self.draw.choices(own, k=length)])

    def near(self, number: int) -> list[int]:
        """The other passages about the passage's topic."""
        return [other for other, topic in enumerate(self.topics) if topic == self.topics[number] and other != number]
