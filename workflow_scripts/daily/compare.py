"""Two cells, or two experiments, judged: ``make compare A=ce.kl.bm25.base B=ce.kl.random.base``; ``A=demo B=study``.

``python -m workflow_scripts.daily.compare A B --configfile FILES`` compares two cells of an experiment: of one seed
where the names end in ``.seed0``, else over all seeds that both have. With ``--against FILES`` A and B are two
experiments, and every cell of both main grids is compared with itself. Verdicts are the project's (docs/inference.md);
beside them stands a paired t test over queries alone, which takes every training for the only one there could be.
"""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr

from workflow_scripts.analysis.compared_cells import ComparedCells
from workflow_scripts.analysis.domains import Domain, parse_domains
from workflow_scripts.analysis.equivalence import Rule, judge
from workflow_scripts.analysis.inference import moments
from workflow_scripts.analysis.measures import KEYS, METRICS_FILE
from workflow_scripts.analysis.query_values import QueryValues, RankerKey
from workflow_scripts.experiment.experiment import Experiment, unique
from workflow_scripts.experiment.grid_point import GridPoint
from workflow_scripts.experiment.overlay import read_config
from workflow_scripts.experiment.places import Places
from workflow_scripts.experiment.rankers import Rankers
from workflow_scripts.storage.artifacts import Artifact
from workflow_scripts.storage.command import end_in_one_line
from workflow_scripts.storage.documents import read_queries
from workflow_scripts.storage.errors import InputError

MOST_QUERIES = 10
QRELS = ".qrels.parquet"
SEED = re.compile(r"(.+)\.seed(\d+)")


class Measured:
    """An experiment's metrics as far as they are there; ``prefix`` goes before the student of a cell."""

    def __init__(self, configs: Sequence[str], prefix: str = "") -> None:
        self.experiment, self.prefix = Experiment(read_config(*configs)), prefix
        self.places, self.config = Places(self.experiment), self.experiment.config
        rankers = Rankers(self.experiment)
        measured = filter(self._is_measured, ["bm25", *self.experiment.rankers])
        keys = {ranker: rankers.keys(ranker) for ranker in measured}
        self._rankers = {(*_named(key), key["seed"]): ranker for ranker, key in keys.items()}

    def _is_measured(self, ranker: str) -> bool:
        return all(Path(path).exists() for path in self.places.by_set("metrics", [ranker]))

    def seeds(self, cell: GridPoint) -> list[int]:
        """Seeds that a cell was measured with."""
        return [seed for *key, seed in self._rankers if tuple(key) == _named(vars(cell))]

    def block(self, cell: GridPoint, teacher: str, seeds: Sequence[int]) -> list[GridPoint]:
        """The cells that one is compared with, itself among them: the main grid's samplers that have these seeds."""
        grid, found = self.experiment.grid, [cell]
        if cell.student in grid["students"] and cell.loss in grid["losses"] and cell.sampler in grid["samplers"]:
            points = [replace(cell, sampler=sampler, teacher=teacher) for sampler in grid["samplers"]]
            found = [self.experiment.points.get(point, cell) for point in points]
        return [each for each in unique([cell, *found]) if set(seeds) <= set(self.seeds(each))]

    def controls(self) -> list[dict]:
        """Control cells that were measured with all their seeds."""
        found = []
        for control in self.experiment.control_cells:
            at = [(*_named(control), seed) for seed in control["seeds"]]
            if set(at) <= set(self._rankers):
                found.append({**control, "student": self.prefix + control["student"]})
        return found

    def key(self, cell: GridPoint) -> RankerKey:
        """What names a cell in :meth:`frame`."""
        return self.prefix + cell.student, cell.loss, cell.sampler, cell.teacher

    def manifests(self, cells: Sequence[GridPoint]) -> list[str]:
        """Of the metrics of the rankers behind some cells, of the controls and of BM25."""
        wanted = {*map(self.key, cells), *map(_named, self.controls())}
        rankers = [
            ranker
            for (student, *rest), ranker in self._rankers.items()
            if student == "bm25" or (self.prefix + student, *rest[:3]) in wanted
        ]
        return self.places.by_set("metrics", rankers)

    def frame(self, cells: Sequence[GridPoint]) -> pd.DataFrame:
        """What :meth:`manifests` measured."""
        frame = pd.concat([pd.read_parquet(Artifact(path).file(METRICS_FILE)) for path in self.manifests(cells)])
        students = frame["student"].astype(str)
        return frame.assign(student=students.where(students == "bm25", self.prefix + students))


def _named(keys: Mapping) -> RankerKey:
    student, loss, sampler, teacher = (keys[name] for name in KEYS[:4])
    return student, loss, sampler, teacher


@dataclass(frozen=True)
class Comparison:
    """Pairs of cells, the first minus the second, in families; one measure over the domains of an experiment."""

    values: QueryValues
    seeds: Sequence[int]
    controls: Sequence[Mapping]
    families: Sequence[tuple[Sequence[tuple[RankerKey, RankerKey]], Sequence[Sequence[RankerKey]]]]
    """Each with its pairs and its blocks of cells."""
    domains: Sequence[Domain]
    measure: str
    rule: Rule

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row for each pair and domain: means, difference, verdict, and a paired t test over queries alone."""
        for pairs, cells, contrasts in self._contrasts():
            for domain in self.domains:
                found = cells.infer(domain.weights, self.measure, contrasts)
                margin = self.rule.margin_for(self.values, domain, self.measure)
                verdicts = pd.DataFrame(judge(found, margin, self.rule)).to_dict("records")
                alone = self._over_queries_alone(cells, contrasts, domain)
                for place, pair in enumerate(pairs):
                    yield {
                        "pair": pair,
                        "domain": domain.name,
                        "means": [self._mean(cell, domain) for cell in pair],
                        "difference": found.mean[place],
                        **verdicts[place],
                        "p_queries": alone[place],
                    }

    def _contrasts(self) -> Iterator[tuple[Sequence[tuple[RankerKey, RankerKey]], ComparedCells, np.ndarray]]:
        for pairs, blocks in self.families:
            cells = [*itertools.chain(*blocks)]
            ends = list(itertools.accumulate(map(len, blocks), initial=0))
            places = [range(*each) for each in itertools.pairwise(ends)]
            compared = ComparedCells(self.values, cells, places, self.seeds, self.controls)
            yield pairs, compared, np.array([compared.contrast({one: 1, other: -1}) for one, other in pairs])

    def _mean(self, cell: RankerKey, domain: Domain) -> float:
        means = {name: self.values.of(cell, self.seeds, name, self.measure).mean() for name in domain.weights}
        return sum(weight * means[name] for name, weight in domain.weights.items())

    def _over_queries_alone(self, cells: ComparedCells, contrasts: np.ndarray, domain: Domain) -> np.ndarray:
        """p-value of the paired t test over queries; over several collections by their weights and Satterthwaite."""
        found = moments(cells.arrays(domain.weights, self.measure), domain.weights, contrasts)
        variance, squares = found.of_queries.sum(axis=-1), (found.of_queries**2 / (found.queries - 1)).sum(axis=-1)
        difference = (contrasts @ found.cell_means).mean(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return 2 * stdtr(variance**2 / squares, -np.abs(difference) / np.sqrt(variance))

    def queries(self) -> Iterator[tuple[str, str, float, float]]:
        """(collection, query, value of A, value of B) of the queries that differ most, means over pairs and seeds."""
        found: list[tuple[str, str, float, float]] = []
        pairs = [pair for each, _ in self.families for pair in each]
        for name in unique(itertools.chain(*(domain.collections for domain in self.domains))):
            values = [[self.values.of(cell, self.seeds, name, self.measure) for cell in pair] for pair in pairs]
            a, b = np.mean(values, axis=0)
            queries = self.values.queries(name, self.measure)
            found += zip([name] * len(queries), queries, a, b, strict=True)
        differing = [row for row in found if row[2] != row[3]]
        return iter(sorted(differing, key=lambda row: (-abs(row[2] - row[3]), row[:2]))[:MOST_QUERIES])


def compare_cells(measured: Measured, names: tuple[str, str], measure: str | None) -> Comparison:
    """Two cells of an experiment."""
    experiment, asked = measured.experiment, [SEED.fullmatch(name) for name in names]
    first = experiment.grid["seeds"][0]
    a, b = cells = [
        experiment.ranker(name if one else f"{name}.seed{first}") for name, one in zip(names, asked, strict=True)
    ]
    if measured.key(a) == measured.key(b):
        raise InputError(f"{names[0]} and {names[1]} are one cell: name two")
    seeds = [seed for seed in measured.seeds(a) if seed in measured.seeds(b)]
    seeds = [seed for seed in seeds if all(one is None or int(one[2]) == seed for one in asked)]
    if not seeds:
        raise InputError(
            f"{names[0]} and {names[1]} have no seed that both were measured with: make cell CELL=... first"
        )
    teacher = next((cell.teacher for cell in cells if cell.teacher in experiment.grid["teachers"]), a.teacher)
    blocks = [measured.block(cell, teacher, seeds) for cell in cells]
    if b in blocks[0]:
        blocks = blocks[:1]
    keys = [[measured.key(cell) for cell in block] for block in blocks]
    families = [([(measured.key(a), measured.key(b))], keys)]
    return _comparison([measured], [[*itertools.chain(*blocks)]], seeds, families, measure)


def compare_experiments(sides: tuple[Measured, Measured], measure: str | None) -> Comparison:
    """Every cell that two experiments' main grids share, with itself; samplers of a loss and student are a family."""
    blocks: dict[tuple, list[GridPoint]] = {}
    shared = [
        cell for path, cell in sides[0].experiment.grid_rankers.items() if path in sides[1].experiment.grid_rankers
    ]
    seeds = [set(side.seeds(cell)) for side in sides for cell in shared]
    common = sorted(set.intersection(*seeds)) if seeds else []
    if not common:
        raise InputError("the experiments share no cell and seed that both have measured: build both first")
    shared = [cell for cell in shared if cell.seed == common[0]]
    for cell in shared:
        blocks.setdefault((cell.student, cell.loss), []).append(cell)
    families = []
    for block in blocks.values():
        a, b = ([side.key(cell) for cell in block] for side in sides)
        families.append((list(zip(a, b, strict=True)), [a, b]))
    return _comparison(sides, [shared, shared], common, families, measure)


def _comparison(
    sides: Sequence[Measured],
    cells: Sequence[Sequence[GridPoint]],
    seeds: Sequence[int],
    families: Sequence,
    measure: str | None,
) -> Comparison:
    config = sides[0].config
    _check_judgements(path for side, each in zip(sides, cells, strict=True) for path in side.manifests(each))
    frames = [side.frame(each) for side, each in zip(sides, cells, strict=True)]
    frame = pd.concat([frames[0], *(each[each["student"] != "bm25"] for each in frames[1:])])
    measure = measure or config["evaluation"]["measures"][0]
    values = QueryValues([frame.astype({"collection": str, "measure": str})], [measure])
    controls = [control for side in sides for control in side.controls()]
    rule = Rule(**config["analysis"]["equivalence"], confidence=config["evaluation"]["bootstrap"]["confidence"])
    domains = [domain for domain in parse_domains(config["domains"]) if values.measures(domain.collections, [measure])]
    return Comparison(values, seeds, controls, families, domains, measure, rule)


def _check_judgements(manifests: Iterable[str]) -> None:
    """Raise :class:`InputError` where metrics of one collection were measured with different judgements."""
    first: dict[str, tuple[str, str]] = {}
    for path in manifests:
        for name, checksum in Artifact(path).manifest["job"]["opened"]["evaluation"][0].items():
            known, other = first.setdefault(name, (checksum, path))
            if name.endswith(QRELS) and checksum != known:
                collection = name.removeprefix("file ").removesuffix(QRELS)
                raise InputError(
                    f"{other} and {path} were measured with different judgements of {collection}: "
                    "build both with the same ones first"
                )


def tell(comparison: Comparison, names: tuple[str, str], collections: Mapping[str, str], many: bool) -> Iterator[str]:
    """Lines of the printed comparison; ``collections``: name to the manifest that has the queries' texts."""
    seeds = ", ".join(map(str, comparison.seeds))
    yield f"{comparison.measure} of A {names[0]} and B {names[1]}; trained with seed {seeds}"
    rows = list(comparison.rows())
    shown = [row for row in rows if not many or row["outcome"] != "same"]
    share = f"{100 * comparison.rule.confidence:g}%"
    yield f"{'A':>8}{'B':>8}{'A - B':>9}  {share + ' interval':20}  {'verdict':32}  t over queries alone"
    for row in shown:
        a, b = row["means"]
        interval = "" if np.isnan(row["ci_low"]) else f"{row['ci_low']:.4f} to {row['ci_high']:.4f}"
        verdict = row["outcome"] + (f" ({row['basis']})" if row["outcome"] not in ("same", row["basis"]) else "")
        alone = "" if np.isnan(row["p_queries"]) else f"p {row['p_queries']:.3g}"
        cell = f"  {'.'.join(row['pair'][0]).partition(': ')[2]}" if many else ""
        values = f"{a:8.4f}{b:8.4f}{row['difference']:+9.4f}"
        yield f"{values}  {interval:20}  {verdict:32}  {alone:9}  {row['domain']}{cell}"
    if len(shown) < len(rows):
        yield f"{len(rows) - len(shown)} more are the same on every query"
    yield "Verdicts are about other seeds and other queries, given this teacher and backbone (docs/inference.md)."
    yield "The t test is paired, over queries alone: it takes these trainings for the only ones."
    yield "The queries that differ most:"
    texts: dict[str, dict[str, str]] = {}
    for name, query, a, b in comparison.queries():
        if name not in texts:
            texts[name] = _texts(collections[name])
        text = f": {' '.join(texts[name][query].split())}" if texts[name] else ""
        yield f"{a:8.4f}{b:8.4f}{a - b:+9.4f}  {name} {query}{text}"


def _texts(manifest: str) -> dict[str, str]:
    """Query id to text; empty where an archive that was restored has left the texts out."""
    return dict(read_queries(manifest)) if Path(manifest).with_name("queries.parquet").exists() else {}


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs=2, metavar=("A", "B"), help="two cells, or two experiments")
    parser.add_argument("--configfile", required=True, nargs="+", help="the experiment (of A), and overlays of it")
    parser.add_argument("--against", nargs="+", help="the files of B, where A and B are experiments")
    parser.add_argument("--measure", help="the experiment's first where left out")
    options = parser.parse_args()
    a, b = options.names
    if not a or not b or (options.against and a == b):
        raise InputError("name two cells, or two experiments: make compare A=ce.kl.bm25.base B=ce.kl.random.base")
    if options.against:
        measured = Measured(options.configfile, f"{a}: ")
        comparison = compare_experiments((measured, Measured(options.against, f"{b}: ")), options.measure)
    else:
        measured = Measured(options.configfile)
        comparison = compare_cells(measured, (a, b), options.measure)
    collections = {name: measured.places.manifest("collections", name) for name in measured.config["collections"]}
    for line in tell(comparison, (a, b), collections, bool(options.against)):
        print(line, flush=True)


if __name__ == "__main__":
    end_in_one_line(main)
