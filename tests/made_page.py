"""A report page of invented results: any number of rankers and collections, any texts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from factories import RULE, artifact, table_spec, write_collection, write_corpus

from workflow_scripts.analysis.measures import KEYS, METRICS_SCHEMA
from workflow_scripts.effectiveness.make_equivalence_table import make_equivalence_table
from workflow_scripts.effectiveness.make_main_table import make_main_table
from workflow_scripts.effectiveness.make_variance_table import make_variance_table
from workflow_scripts.report.make_report import make_report
from workflow_scripts.storage.evaluation import KINDS
from workflow_scripts.storage.tables import write_numbers, write_table

ROOT = Path(__file__).parents[1] / "workflow_scripts"
MEASURE = "nDCG@10"
FUNCTIONS = {"students": "bi-encoder", "losses": "kl", "samplers": "random"}
CORRECTED, VERDICTS = {"near": 0.04, "far": 0.4}, {"near": "contradicted", "far": "undecided"}
"""Of the made claim, by domain: the second part's corrected p of its opposite, and the verdict."""
SHOWN = 5
"""Documents of each ranking."""


class MadePage:
    """Invented results in a folder; :meth:`write` makes the page."""

    def __init__(
        self,
        folder: Path,
        *,
        students: int = 2,
        losses: int = 2,
        samplers: int = 3,
        collections: int = 2,
        queries: int = 6,
        seeds: int = 2,
        text: Callable[[str], str] = "text of {}".format,
        about: Callable[[str], str] = "question {}".format,
    ) -> None:
        self.folder, self.draw = folder, np.random.default_rng(0)
        axes = {"students": students, "losses": losses, "samplers": samplers}
        self.grid = {axis: [f"{axis[:3]}{number}" for number in range(count)] for axis, count in axes.items()}
        self.grid |= {"teachers": ["base"], "seeds": list(range(seeds))}
        self.collections = [f"collection{number}" for number in range(collections)]
        self.queries = {name: [f"{name}-q{number}" for number in range(queries)] for name in self.collections}
        self.documents = {name: [f"{name}-d{number}" for number in range(4 * SHOWN)] for name in self.collections}
        self.text, self.about = text, about
        trained = product(*(self.grid[axis] for axis in ("students", "losses", "samplers", "teachers")))
        references = [("bm25", "", "", "", None), ("teacher", "", "", "base", None)]
        self.rankers = [*references, *((*cell, 0) for cell in trained)]
        self.values: dict[tuple, pd.Series] = {}
        self.rankings: dict[tuple, pd.DataFrame] = {}

    def write(self) -> Path:
        """The page, from numbers that the project's own scripts make of invented metrics and runs."""
        metrics, spec = self._metrics(), self._spec()
        numbers = {name: self.folder / f"{name}.parquet" for name in ("main", "variance", "locality", "cost")}
        equivalence = self.folder / "equivalence.parquet"
        make_equivalence_table(spec=spec, metrics=metrics, output=equivalence)
        make_main_table(spec=spec, metrics=metrics, equivalence=equivalence, output=numbers["main"])
        make_variance_table(spec=spec, metrics=metrics, output=numbers["variance"])
        write_numbers(numbers["locality"], self._locality(), {})
        write_numbers(numbers["cost"], self._cost(), {"watts_per_core": 10, "watts_per_gpu": 300})
        for name, made in (("claims", self._claims()), ("configuration", self._configuration())):
            numbers[name] = self.folder / f"{name}.parquet"
            write_numbers(numbers[name], *made)
        output = self.folder / "report.html"
        of_collection = [self._collection(name) for name in self.collections]
        make_report(
            spec=spec,
            numbers=list(numbers.values()),
            captions=sorted((ROOT / "presentation/captions").glob("*.rst")),
            definitions=ROOT.parent / "docs/tables.md",
            page=[ROOT / "report/page" / name for name in ("template.html", "page.css", "page.js", "explorer.js")],
            profiles=self._profiles(),
            curves=self._curves(),
            metrics=metrics,
            runs=[self._runs(number, keys) for number, keys in enumerate(self.rankers)],
            evaluation=[evaluation for evaluation, _, _ in of_collection],
            collections=[collection for _, collection, _ in of_collection],
            corpora=[corpus for _, _, corpus in of_collection],
            output=output,
        )
        return output

    def _spec(self) -> dict:
        half = len(self.collections) // 2
        names = {"near": self.collections[:half] or self.collections, "far": self.collections[half:]}
        return table_spec(
            **self.grid,
            domains=[{"name": name, "collections": members} for name, members in names.items()],
            measures=[MEASURE],
            measure=MEASURE,
            rule=RULE | {"margin": 0.01, "alpha": 0.05},
            bootstrap={"samples": 20, "seed": 0, "confidence": 0.95},
            experiment="made",
            documents=dict.fromkeys(self.grid["students"], 1000),
            first_stage="BM25",
            generated=[],
            kinds={axis: dict.fromkeys(self.grid[axis], function) for axis, function in FUNCTIONS.items()},
            models=dict.fromkeys(self.grid["students"], "an encoder"),
            of_rankers=[],
            make="EXPERIMENT=made",
            rebuild="make made",
            rankers=[list(keys) for keys in self.rankers],
            collections=self.collections,
        )

    def _metrics(self) -> Path:
        frames = []
        for *cell, seed in self.rankers:
            for each in [seed] if seed is None else self.grid["seeds"]:
                for name in self.collections:
                    values = self.draw.uniform(0, 1, len(self.queries[name]))
                    if each in (None, 0):
                        self.values[(*cell, seed), name] = pd.Series(values, self.queries[name])
                    keys = dict(zip(KEYS, (*cell, each), strict=True))
                    columns = {"collection": name, "query_id": self.queries[name], "measure": MEASURE, "value": values}
                    frames.append(pd.DataFrame(keys | columns))
        path = self.folder / "metrics.parquet"
        table = pd.concat(frames).astype({"seed": "Int32"}).sort_values([*KEYS[:4], "seed", "collection", "query_id"])
        write_table(path, table, METRICS_SCHEMA)
        return path

    def _collection(self, name: str) -> tuple[Path, Path, Path]:
        """Manifests of judgements, collection and corpus.

        Every third document is not judged. Of the others the odd are relevant, the even have grade 0 or -1 (junk).
        """
        queries, documents = self.queries[name], self.documents[name]
        judged = [number for number in range(len(documents)) if number % 3]
        rows = {
            "query_id": np.repeat(queries, len(judged)),
            "doc_id": [documents[number] for number in judged] * len(queries),
            "relevance": [number % 2 or -(number % 4 == 2) for number in judged] * len(queries),
        }
        files = {f"{name}.qrels.parquet": (rows, KINDS["qrels"])}
        files[f"{name}.queries.parquet"] = {"query_id": queries}, KINDS["queries"]
        return (
            artifact(self.folder / "evaluation" / name / "manifest.json", files, kind="evaluation"),
            write_collection(self.folder / "collections" / name, {each: self.about(each) for each in queries}),
            write_corpus(self.folder / "corpora" / name, {each: self.text(each) for each in documents}),
        )

    def _runs(self, number: int, keys: tuple) -> Path:
        for name in self.collections:
            rows = [
                (query, document, float(SHOWN - place))
                for query in self.queries[name]
                for place, document in enumerate(self.draw.choice(self.documents[name], SHOWN, replace=False))
            ]
            self.rankings[keys, name] = pd.DataFrame(rows, columns=["query_id", "doc_id", "score"])
        files = {f"{name}.run.gz": self.rankings[keys, name] for name in self.collections}
        return artifact(self.folder / "runs" / str(number) / "manifest.json", files, kind="runs")

    def _claims(self) -> tuple[pd.DataFrame, dict]:
        """A claim of two parts for each student and domain: contradicted by its second part, or undecided."""
        places = product(self.grid["students"], ("near", "far"), (True, False))
        rows = [
            {
                **{"claim": "c1", "sentence": "It helps.", "source": "made", "teacher": "base", "student": student},
                **{"domain": domain, "number": 0 if first else 1, "part": "first" if first else "second"},
                **{"predicted": "below 0", "estimate": 0.02, "ci_low": 0.01},
                **{
                    "ci_high": 0.03,
                    "p": 0.9,
                    "p_opposite": 0.01,
                    "p_opposite_holm": 1.0 if first else CORRECTED[domain],
                },
                **{"basis": "seeds", "counts": True, "seeds_needed": 7.0, "verdict": VERDICTS[domain]},
                "decided_by": "7 seeds, to support it" if domain == "far" else "",
            }
            for student, domain, first in places
        ]
        rule = {"margin": 0.01, "margin_of": "absolute", "difference_alpha": 0.05}
        parts = [{"samplers": {"sam1": 1, sampler: -1}} for sampler in ("sam0", "sam2")]
        spec = {
            "claims": {"c1": {"test": "cells", "parts": parts}},
            "rule": rule,
            "measure": MEASURE,
            "teachers": ["base"],
        }
        return pd.DataFrame(rows), spec

    def _configuration(self) -> tuple[pd.DataFrame, dict]:
        """Settings of two values, and one whose list is long."""
        rows = [("corpora", "seed", name, str(value)) for value, name in enumerate(self.collections)]
        rows += [("training", "documents", " ".join(self.collections * 40), "1,000")]
        return pd.DataFrame(rows, columns=["part", "setting", "of", "value"]), {}

    def _locality(self) -> pd.DataFrame:
        rows = product(self.grid["samplers"], self.grid["teachers"], ("diameter", "entropy", "kappa"))
        frame = pd.DataFrame(rows, columns=["sampler", "teacher", "quantity"])
        about = {"std_query": 0.1, "std_seed": np.nan, "n_seeds": 1, "n_queries": 100}
        return frame.assign(value=self.draw.uniform(0.2, 0.8, len(frame)), **about)

    def _cost(self) -> pd.DataFrame:
        cells = product(self.grid["students"], self.grid["losses"], self.grid["samplers"], self.grid["teachers"])
        rows = [("student", "", *cell) for cell in cells] + [("stage", "students", "", "", "", "")]
        frame = pd.DataFrame(rows, columns=["scope", "stage", "student", "loss", "sampler", "teacher"])
        names = ("jobs", "wall_s", "cpu_s", "gpu_s", "peak_rss_mb", "peak_gpu_mb", "energy_wh", "alone_wh")
        return frame.assign(**{name: self.draw.uniform(1, 9, len(frame)) for name in names}, times_cheapest=np.nan)

    def _profiles(self) -> Path:
        ratios = np.arange(1, 21) / 20
        frames = [
            pd.DataFrame(
                {"student": name, "collection": self.collections[0], "rank_ratio": ratios, "score": 1 - ratios}
            )
            for name in ("teacher", *self.grid["students"])
        ]
        path = self.folder / "profiles.parquet"
        pd.concat(frames).to_parquet(path)
        return path

    def _curves(self) -> Path:
        steps = np.arange(1, 31)
        cells = product(self.grid["students"], self.grid["losses"], self.grid["samplers"])
        frames = [
            pd.DataFrame(
                {"student": one, "loss": loss, "sampler": each, "documents": steps, "training_loss": 1 / steps}
            )
            for one, loss, each in cells
        ]
        path = self.folder / "curves.parquet"
        pd.concat(frames).to_parquet(path)
        return path
