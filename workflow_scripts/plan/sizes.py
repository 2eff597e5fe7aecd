"""How many documents and queries an experiment has, and how long they are, before any of them is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from workflow_scripts.experiment.experiment import Experiment
from workflow_scripts.storage.errors import InputError

SIDES = {"corpora": "documents", "collections": "queries"}


class UnknownSize(InputError):
    """A collection or a corpus whose size neither the config nor the figures give."""


class Sizes:
    """Counts and mean lengths of an experiment's texts: from its config, else from ``figures``.

    Lengths are of token stores, so without special tokens and cut where the config cuts. Every method raises
    :class:`UnknownSize` for what is known from neither.
    """

    def __init__(self, experiment: Experiment, figures: Mapping) -> None:
        self.experiment, self.config, self.figures = experiment, experiment.config, figures

    def documents(self, corpus: str) -> int:
        """Documents of a corpus."""
        return self._texts("corpora", corpus)[0]

    def queries(self, collection: str) -> int:
        """Queries of a collection; those of a training collection may be a sample."""
        number = self._texts("collections", collection)[0]
        return min(number, self.experiment.entry("collections", collection).get("max_queries") or number)

    def words(self, corpus: str) -> float:
        """Words of a document, uncut."""
        return self._texts("corpora", corpus)[1]

    def document_tokens(self, corpus: str) -> float:
        """Tokens of a document; at most, since the shorter ones of a corpus are not cut."""
        return min(self._texts("corpora", corpus)[2], self.config["lengths"]["document"])

    def query_tokens(self, collection: str) -> float:
        """Tokens of a query, at most."""
        return min(self._texts("collections", collection)[2], self.config["lengths"]["query"])

    def corpus(self, collection: str) -> str:
        """The corpus of a collection."""
        return self.experiment.entry("collections", collection)["corpus"]

    def listed(self, systems: Iterable[str], depth: int, collection: str) -> float:
        """Documents a query in the first ``depth`` of some systems' rankings, at most; imports' overlap is known."""
        total = 0.0
        for name in systems:
            system = self.experiment.entry("systems", name)
            imported = len(system["systems"]) if system["model"] == "import" else 1
            number = float(imported * min(depth, system["depth"]))
            known = self.figures["imports"].get(system.get("url"), {})
            total += min(number, known.get("documents", number))
        return min(total, self.documents(self.corpus(collection)))

    def candidates(self, collection: str) -> int:
        """Distinct documents that are re-ranked for a test collection, at most."""
        listed = self.queries(collection) * self.config["first_stage"]["depth"]
        return min(listed, self.documents(self.corpus(collection)))

    def pool_pairs(self, pool: str) -> float:
        """Pairs of a pool, at most: as if none were in a pool that it knows."""
        entry = self.experiment.entry("pools", pool)
        collection = entry["collection"] or self.config["training"]["collection"]
        positives = self.figures["positives_a_query"] if entry["positives"] else 0
        return self.queries(collection) * (positives + self.listed(entry["systems"], entry["depth"], collection))

    def unscored_share(self, sampler: str) -> float:
        """Share of a sampler's negatives that are in none of its pools: those drawn from the whole corpus.

        Negatives of a ranking that some pool holds as deep as they are drawn are known, those of any other are not.
        """
        entry = self.experiment.entry("samplers", sampler)
        if entry["reads_teacher"]:
            return 0.0  # drawn by the scores of its pools
        if not entry["systems"]:
            return 1.0
        pools = [self.experiment.entry("pools", name) for name in entry["pools"]]
        depth = entry["options"].get("pool", entry["options"].get("depth", 1))
        scored = {name for pool in pools if pool["depth"] >= depth for name in pool["systems"]}
        share = entry["options"].get("share", 1.0)
        return 1 - share * len(scored & {*entry["systems"]}) / len(entry["systems"])

    def _texts(self, axis: str, name: str) -> tuple[int, float, float]:
        """Documents of a corpus or queries of a collection, and the words and tokens of one of them, uncut."""
        entry, figures = self.experiment.entry(axis, name), self.figures
        if entry["source"] == "generated":
            words = figures["generated"]["document_tokens" if axis == "corpora" else "query_tokens"]
            return entry[SIDES[axis]], words, words
        if entry.get("pairs") == "titles":
            number, words = self.documents(entry["corpus"]), figures["titles"]["words"]
        else:
            key = entry.get("id") or entry.get(SIDES[axis])
            if key not in figures[axis]:
                raise UnknownSize(
                    f"unknown size of {axis}.{name}: give {SIDES[axis]} and words of {key} under {axis} in a copy of "
                    "config/expected/throughput.yaml, --figures FILE"
                )
            number, words = (figures[axis][key][what] for what in (SIDES[axis], "words"))
        return number, words, words * figures["tokens_per_word"]
