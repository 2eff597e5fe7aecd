"""Where everything of an experiment lies: paths below ``results/{experiment}``, as the rules name them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NoReturn

from workflow_scripts.experiment.experiment import Drawn, Experiment, unique
from workflow_scripts.storage.errors import InputError


class Places:
    """Paths as text; names may be wildcards such as ``{ranker}`` where no entry of the config is looked up."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.entry = experiment, experiment.entry
        self.results = f"results/{experiment.name}"
        self.metrics = f"{self.results}/metrics.parquet"
        """Metrics of all rankers in one table."""

    def manifest(self, *parts: object) -> str:
        """Manifest of the artifact in a folder below the results."""
        return str(PurePosixPath(self.results, *map(str, parts), "manifest.json"))

    def manifests(self, kind: str, names: Iterable[str]) -> list[str]:
        """Manifests of one kind, such as ``collections``."""
        return [self.manifest(kind, name) for name in names]

    def log(self, name: str) -> str:
        """A job's log."""
        return f"{self.results}/logs/{name}.log"

    def table(self, name: str) -> dict[str, str]:
        """The three files of a table, by their ending."""
        return {ending: f"{self.results}/tables/{name}.{ending}" for ending in ("csv", "md", "tex")}

    def tables(self, *names: str) -> list[str]:
        """All files of some tables."""
        return [path for name in names for path in self.table(name).values()]

    def layout(self, table: str) -> str:
        """Layout of a table: those of one kind, such as ``per_collection.be`` and ``.ce``, share theirs."""
        return table.split(".")[0]

    def rests_on_rankers(self, table: str) -> bool:
        """Whether all rankers have to be measured for a table: then its caption says what of them was made unalike."""
        return self.layout(table) not in ("configuration", "contamination", "contamination_pairs", "locality", "bound")

    def numbers(self, name: str) -> str:
        """The numbers of a table, in full precision."""
        return f"{self.results}/analysis/{name}.parquet"

    def figure(self, name: str) -> dict[str, str]:
        """The two files of a figure, by their ending."""
        return {ending: f"{self.results}/figures/{name}.{ending}" for ending in ("png", "pdf")}

    def figures(self, *names: str) -> list[str]:
        """All files of some figures."""
        return [path for name in names for path in self.figure(name).values()]

    def refuse(self, result: str, paths: Iterable[str]) -> NoReturn:
        """Raise :class:`InputError` for a table or a figure (``tables/NAME``) that is none of ``paths``."""
        kind, _, name = result.partition("/")
        files = [file for file in map(PurePosixPath, paths) if file.parent.name == kind]
        stems = unique(file.stem for file in files)
        wanted = name if name in stems else PurePosixPath(name).stem
        valid = ", ".join([file.name for file in files if file.stem == wanted] or stems)
        raise InputError(f"no {name!r} among the {kind} of {self.experiment.name}: it has {valid}")

    def cells(self, cell: str, domains: Iterable[str]) -> list[str]:
        """A cell's files, one a domain."""
        return [f"{self.results}/cells/{cell}.{domain}.csv" for domain in domains]

    def runs(self, ranker: str, evaluation_set: str) -> list[str]:
        """Run files of a ranker on an evaluation set, one a collection."""
        names = self.experiment.collections_in(ranker, evaluation_set)
        return [f"{self.results}/runs/{ranker}/{evaluation_set}/{name}.run.gz" for name in names]

    def by_set(self, kind: str, rankers: Iterable[str]) -> list[str]:
        """Manifests of the ``runs`` or ``metrics`` of some rankers, each ranker's of all its sets, in their order."""
        return [self.manifest(kind, ranker, name) for ranker in rankers for name in self.experiment.sets_of(ranker)]

    def tokens(self, backbone: str, *folder: str) -> str:
        """Token store, in the vocabulary of a backbone, of a collection's queries or a corpus."""
        return self.manifest("tokens", self.entry("backbones", backbone)["vocabulary"], *folder)

    def query_tokens(self, backbone: str, collection: str) -> str:
        """:meth:`tokens` of a collection's queries."""
        return self.tokens(backbone, f"{collection}.queries")

    def document_tokens(self, backbone: str, collection: str, view: str) -> str:
        """:meth:`tokens` of the corpus of a collection."""
        return self.tokens(backbone, f"{self.entry('collections', collection)['corpus']}.{view}")

    def groups(self, rows: Iterable[Drawn]) -> list[str]:
        """Groups of (sampler, teacher, seed) rows, in their order."""
        return [self.manifest("groups", self.experiment.groups_id(*row[:2]), f"seed{row[2]}") for row in rows]

    def labels(self, rows: Iterable[Drawn]) -> list[str]:
        """Labels of (sampler, teacher, seed) rows, in their order."""
        return [self.manifest("labels", row[1], self.experiment.groups_id(*row[:2]), f"seed{row[2]}") for row in rows]
