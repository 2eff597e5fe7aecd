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
        entry = self.experiment.entry("corpora", corpus)
        return entry["documents"] if entry["source"] == "generated" else self._known("corpora", corpus)["documents"]

    def queries(self, collection: str) -> int:
        """Queries of a collection; those of a training collection may be a sample."""
        entry = self.experiment.entry("collections", collection)
        if entry["source"] == "generated":
            return entry["queries"]
        if entry.get("pairs") == "titles":
            number = self.documents(entry["corpus"])
        else:
            number = self._known("collections", collection)["queries"]
        return min(number, entry.get("max_queries") or number)

    def words(self, corpus: str) -> float:
        """Words of a document, uncut."""
        if self.experiment.entry("corpora", corpus)["source"] == "generated":
            return self.figures["generated"]["document_tokens"]
        return self._known("corpora", corpus)["words"]

    def document_tokens(self, corpus: str) -> float:
        """Tokens of a document; at most, since the shorter ones of a corpus are not cut."""
        generated = self.experiment.entry("corpora", corpus)["source"] == "generated"
        tokens = self.words(corpus) * (1 if generated else self.figures["tokens_per_word"])
        return min(tokens, self.config["lengths"]["document"])

    def query_tokens(self, collection: str) -> float:
        """Tokens of a query, at most."""
        entry = self.experiment.entry("collections", collection)
        if entry["source"] == "generated":
            tokens = self.figures["generated"]["query_tokens"]
        elif entry.get("pairs") == "titles":
            tokens = self.figures["titles"]["words"] * self.figures["tokens_per_word"]
        else:
            tokens = self._known("collections", collection)["words"] * self.figures["tokens_per_word"]
        return min(tokens, self.config["lengths"]["query"])

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

    def _known(self, axis: str, name: str) -> dict:
        entry = self.experiment.entry(axis, name)
        key = entry.get("id") or entry.get(SIDES[axis])
        if key not in self.figures[axis]:
            raise UnknownSize(
                f"unknown size of {axis}.{name}: give {SIDES[axis]} and words of {key} under {axis} in a copy of "
                "config/expected/throughput.yaml, --figures FILE"
            )
        return self.figures[axis][key]
