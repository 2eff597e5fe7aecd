"""Write an experiment's page: what was compared, what came out, every number, ranking by ranking."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from workflow_scripts.analysis.domains import parse_domains
from workflow_scripts.analysis.families import sum_of_families
from workflow_scripts.analysis.query_values import QueryValues
from workflow_scripts.analysis.summaries import AXES, BM25, TEACHER, whole_domains
from workflow_scripts.experiment.in_words import in_words
from workflow_scripts.presentation.layouts.main import tested_blocks
from workflow_scripts.report.page import charts, claims, grid, outcome, pictures, queries
from workflow_scripts.report.page.found import summaries
from workflow_scripts.report.page.tables import page_tables, value_columns
from workflow_scripts.storage.artifacts import Artifact, atomic_path
from workflow_scripts.storage.command import run
from workflow_scripts.storage.runs import by_ranker
from workflow_scripts.storage.tables import read_numbers, read_table

FINDS = {"layouts": "presentation.layouts"}
OPTIONAL = ("claims", "equivalence", "power", "score_by_rank")
"""Tables that an experiment may lack, of whose numbers the page makes sentences and lines."""


def make_report(
    *,
    spec: Mapping,
    numbers: Sequence[Path],
    captions: Sequence[Path],
    definitions: Path,
    page: Sequence[Path],
    profiles: Path,
    curves: Path,
    metrics: Path,
    runs: Sequence[Path],
    evaluation: Sequence[Path],
    collections: Sequence[Path],
    corpora: Sequence[Path],
    output: Path,
) -> None:
    """Write one self-contained page; its pictures and tables read without JavaScript, nothing in it makes a request.

    ``numbers``: of every table, those of main, variance, locality and cost among them; ``captions``: the files of their
    sentences, ``definitions``: docs/tables.md; ``page``: template, style and scripts; ``profiles`` and ``curves``:
    scores by rank and training losses.
    ``runs``: of ``spec["rankers"]`` ([student, loss, sampler, teacher, seed], in their order), of each as many as there
    are evaluation sets. ``evaluation``, ``collections`` and ``corpora``: a manifest for each of
    ``spec["collections"]``, in their order; without the latter two the page shows no text of a query or document.
    ``spec`` further: ``experiment``, ``measure``, ``documents`` (student to budget), ``depth`` and ``first_stage``
    (how many documents of whose ranking are re-ranked), ``kinds`` (of ``students``, ``losses`` and ``samplers``: name
    to architecture or function), ``models`` (the encoder that a student starts from, in words), ``generated``
    (collections of a generated language), ``make`` (what ``make`` is told of the experiment), ``rebuild`` (the command
    that makes all), ``layouts`` (of the tables), ``of_rankers`` (the tables that rest on all rankers), ``domains``, the
    grid's axes.
    """
    found = {path.stem: path for path in numbers}
    wanted = ["main", "variance", "locality", "cost", *(name for name in OPTIONAL if name in found)]
    read = {name: read_numbers(found[name]) for name in wanted}
    frames = {name: frame for name, (frame, _) in read.items()}
    made_by = read["main"][1]
    tables = page_tables(numbers, captions, definitions, spec["make"], spec["of_rankers"])
    by_name = {table.name: table for table in tables}
    confidence = made_by["bootstrap"]["confidence"]
    texts = {
        "parts": _parts("claims" in by_name),
        "panels": grid.panels(frames["main"], frames["variance"], spec, confidence),
        "tables": tables,
        "main_table": by_name["main"],
        **_judged(read.get("claims"), len(spec["seeds"])),
        "confidence": f"{100 * confidence:g}%",
        "again": f"{100 * read['variance'][1]['confidence']:g}%",
        "claims_table": by_name.get("claims"),
        "locality": pictures.locality_map(frames["locality"], frames["main"], spec),
        "other_teachers": sorted(set(frames["locality"]["teacher"]) - {"", *spec["teachers"]}),
        "scores": pictures.score_lines(read_table(profiles), read.get("score_by_rank"), spec),
        "cost": pictures.cost_maps(frames["cost"], frames["main"], spec),
        "training": pictures.training_lines(read_table(curves), spec["samplers"]),
        "queries": _explorer(spec, metrics, runs, evaluation, collections, corpora),
        **_said(frames, made_by, spec),
        "collections_line": _domains_line(frames["main"], spec, corpora),
        "facts": _facts(runs, frames["cost"]),
        **{name: spec[name] for name in ("experiment", "make", "measure", "rebuild", *AXES)},
    }
    with atomic_path(output) as path:
        path.write_text(_render(texts, page), encoding="utf-8")


def _said(frames: Mapping[str, pd.DataFrame], made_by: Mapping, spec: Mapping) -> dict[str, object]:
    """The sentences of the first screen; ``made_by``: the spec of the main table's numbers."""
    blocks, controls, words = (
        tested_blocks(frames["main"], spec["measure"]),
        made_by["controls"],
        in_words(spec["kinds"]),
    )
    calls = sum_of_families(blocks, made_by["rule"]["difference_alpha"])
    return {
        "compared": outcome.compared(spec, words["teaching"]),
        "trained_again": outcome.trained_again(controls, spec),
        "generated": outcome.generated(spec),
        "outcomes": outcome.outcomes(frames, calls, controls, spec),
        "alone": outcome.alone(len(spec["seeds"])),
        "words": words,
    }


def _judged(read: tuple[pd.DataFrame, Mapping] | None, seeds: int) -> dict[str, object]:
    """What the page says of the claims' numbers, which an experiment may lack."""
    if read is None:
        return {"claims": [], "summaries": [], "margin": None}
    margin = claims.absolute_margin(read[1])
    return {"claims": claims.page_claims(*read, seeds), "summaries": summaries(*read, margin), "margin": margin}


def _parts(claims: bool) -> list[tuple[str, str]]:
    """Anchors and names of the page's parts."""
    return [
        *[("claims", "What came out")] * claims,
        ("grid", "The grid"),
        ("numbers", "Numbers"),
        ("locality", "Locality and entropy"),
        ("cost", "Cost"),
        ("queries", "Queries"),
        ("training", "Training"),
        ("tables", "Every table"),
    ]


def _render(texts: Mapping, page: Sequence[Path]) -> str:
    """The page: every text escaped, the page's own style and script admitted by their hashes alone."""
    from jinja2 import Environment, StrictUndefined

    parts: dict[str, str] = {}
    for path in page:
        parts[path.suffix] = parts.get(path.suffix, "") + path.read_text(encoding="utf-8")
    style, script = parts[".css"], parts[".js"]
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    return environment.from_string(parts[".html"]).render(
        **texts,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        marks=charts.MARKERS,
        value_columns=value_columns,
        claim_width=claims.WIDTH,
        claim_height=claims.HEIGHT,
        width=grid.WIDTH,
        top=grid.TOP,
        bottom=grid.BOTTOM,
    )


def _hash(text: str) -> str:
    """The hash by which a content security policy admits an inline text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _domains_line(main: pd.DataFrame, spec: Mapping, corpora: Sequence[Path]) -> str:
    """The domains, each with its collections and numbers of queries, and of documents where corpora are given."""
    corpus_of = dict(zip(spec["collections"], corpora, strict=True)) if corpora else {}
    sizes = {path: Artifact(path).counts["documents"] for path in set(corpora)}
    counts = whole_domains(main, spec["measure"]).groupby("domain")["n_queries"].first()
    texts = []
    for domain in parse_domains(spec["domains"]):
        documents = sum(sizes[path] for path in {corpus_of[each] for each in domain.collections if each in corpus_of})
        over = f" over {documents:,} documents" if documents else ""
        number = len(domain.members)
        texts.append(f"{domain.name}: {counts[domain.name]:,} queries of {number} collection{'s' * (number > 1)}{over}")
    return f"Domains: {'; '.join(texts)}"


def _facts(runs: Sequence[Path], cost: pd.DataFrame) -> list[str]:
    """Commit, date, device, time and energy, as the manifests and the cost table have them."""
    manifests = [Artifact(path).manifest for path in runs]
    commits = sorted({str(each["commit"])[:10] for each in manifests if each.get("commit")})
    devices = sorted({str(each["device"]) for each in manifests if each.get("device")})
    stages = cost[cost["scope"] == "stage"]
    return [
        *[f"commit {', '.join(commits)}"] * bool(commits),
        f"finished {max(each['finished'] for each in manifests)[:10]}",
        *[f"on {', '.join(devices)}"] * bool(devices),
        f"{stages['wall_s'].sum() / 3600:.2f} hours of jobs",
        f"{stages['energy_wh'].sum():.3g} Wh",
    ]


def _explorer(
    spec: Mapping,
    metrics: Path,
    runs: Sequence[Path],
    evaluation: Sequence[Path],
    collections: Sequence[Path],
    corpora: Sequence[Path],
) -> dict[str, str]:
    """The query explorer's data as texts that stay texts inside the page."""
    rankers, names = [tuple(keys) for keys in spec["rankers"]], spec["collections"]
    systems = [
        queries.System(_label(keys), keys, own)
        for keys, own in zip(rankers, by_ranker(runs, len(rankers)), strict=True)
    ]
    about, columns = queries.explorer(
        systems,
        dict(zip(names, zip(collections, corpora, strict=True), strict=True)) if collections else dict.fromkeys(names),
        dict(zip(names, evaluation, strict=True)),
        QueryValues(metrics, [spec["measure"]]),
        spec["measure"],
    )
    about["teacher"] = next((place for place, keys in enumerate(rankers) if keys[0] == TEACHER), None)
    about["first"] = [len(rankers) - 1, 0]
    # A text may hold "</script>": inside JSON the sign can be written otherwise.
    return {"about": json.dumps(about, ensure_ascii=False).replace("<", "\\u003c"), "columns": columns}


def _label(keys: Sequence) -> str:
    """What the page calls a ranker."""
    student, loss, sampler, teacher, seed = keys
    if student in (BM25, TEACHER):
        return f"{student} {teacher}".strip()
    return f"{student} · {loss} · {sampler} · {teacher} · seed {seed}"


if __name__ == "__main__":
    run(make_report)
