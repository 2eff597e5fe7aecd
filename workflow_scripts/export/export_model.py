"""Copy a trained ranker's folder and give it a card with its results, ready for a model hub."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.measure_names import EXCESS_RISK, orders_candidates
from workflow_scripts.analysis.measures import METRICS_FILE
from workflow_scripts.evaluate.cells import cell_values
from workflow_scripts.export.cards import hub_id, licence, write_card
from workflow_scripts.models.sentence_transformers import read_embedding
from workflow_scripts.storage.artifacts import Artifact, ArtifactWriter
from workflow_scripts.storage.command import run
from workflow_scripts.storage.errors import InputError
from workflow_scripts.storage.provenance import CARD
from workflow_scripts.storage.runs import by_ranker
from workflow_scripts.storage.tables import read_table


def export_model(*, spec: Mapping, model: Path, metrics: Sequence[Path], card: Path, output: Path) -> None:
    """Write the model's files as they are, and a card that says what it is, how it was made, and how well it ranks.

    ``metrics``: of each of ``spec["systems"]`` (names, the model's own first), one a set. ``spec`` further:
    ``domains``, ``bootstrap`` (samples, seed, confidence), ``card``, facts of the card. The results stand outside the
    model's own artifact, which is what it is whatever it is measured on.
    """
    artifact = Artifact(model)
    if artifact.nothing is not None:
        raise InputError(f"{model} holds no model: {artifact.nothing}")
    facts = model_facts(spec, artifact, metrics)
    with ArtifactWriter(output, kind="export", spec=spec) as writer:
        for name in artifact.manifest["files"]:
            if name != CARD:
                shutil.copyfile(artifact.file(name), writer.path(name))
        write_card(writer.path(CARD), card, model_front_matter(facts), facts)


def model_facts(spec: Mapping, artifact: Artifact, metrics: Sequence[Path]) -> dict:
    """What a model's card says of it, results among them; ``spec`` and ``metrics`` as :func:`export_model` has them."""
    facts = {**spec["card"], **_about(artifact), "results": _results(spec, metrics)}
    facts |= {"systems": spec["systems"], "domains": spec["domains"], "library": "sentence-transformers"}
    return facts | {key: spec["bootstrap"][key] for key in ("confidence", "samples")}


def _results(spec: Mapping, metrics: Sequence[Path]) -> list[dict]:
    """A row a domain and measure: ``domain``, ``queries``, ``measure``, and of each system (value, low, high).

    As in the cells of the experiment (:func:`~workflow_scripts.evaluate.cells.cell_values`), without the measures that
    every order of the same candidates has alike.
    """
    columns = ["collection", "query_id", "measure", "value"]
    rows: dict[tuple, dict] = {}
    for system, own in zip(spec["systems"], by_ranker(metrics, len(spec["systems"])), strict=True):
        frame = pd.concat([read_table(Artifact(path).file(METRICS_FILE), columns) for path in own])
        frame = frame.astype({"collection": str, "measure": str}).loc[lambda rows: rows["measure"] != EXCESS_RISK]
        for domain in parse_domains(spec["domains"]):
            for measure, *values, queries in cell_values(frame, domain, **spec["bootstrap"]).itertuples(index=False):
                if not orders_candidates(measure, spec["card"]["depth"]):
                    continue
                row = {"domain": domain.name, "queries": queries, "measure": measure, "systems": {}}
                rows.setdefault((domain.name, measure), row)["systems"][system] = values
    return list(rows.values())


def _about(artifact: Artifact) -> dict:
    """What the model's own files and manifest say of it."""
    # The model's own card, written where it is trained: it comes with torch.
    from workflow_scripts.train.model_card import usage

    made, settings = artifact.manifest, artifact.spec
    embedding = read_embedding(artifact.folder)
    task, loader, use, what = usage(settings["architecture"], embedding)
    given = {name: value if isinstance(value, list) else [value] for name, value in made["inputs"].items()}
    return {
        "task": task,
        "loader": loader,
        "use": use,
        "what": what,
        "settings": settings,
        "made": made,
        "manifests": [(name, each["path"], each["identity"]) for name, entries in given.items() for each in entries],
    }


def model_front_matter(facts: Mapping):
    """Of :func:`model_facts`, what a hub reads."""
    from huggingface_hub import EvalResult, ModelCardData

    own, *_ = facts["systems"]
    backbone = next(
        entry for what, name, entry in facts["made_from"] if (what, name) == ("backbone", facts["backbone"])
    )
    return ModelCardData(
        license=licence(facts["made_from"]),
        library_name=facts["library"],
        pipeline_tag=facts["task"],
        tags=[facts["settings"]["architecture"], "reranking", "distillation", facts["settings"]["loss"]["function"]],
        base_model=hub_id(backbone),
        model_name=facts["name"],
        eval_results=[
            EvalResult(
                task_type="text-ranking",
                dataset_type=row["domain"],
                dataset_name=row["domain"],
                metric_type=row["measure"],
                metric_value=round(row["systems"][own][0], 6),
            )
            for row in facts["results"]
        ],
    )


if __name__ == "__main__":
    run(export_model)
