"""Settings of evaluation, of the tables and figures, and of what jobs need."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from workflow_scripts.experiment.config.settings import (
    Axis,
    Count,
    Flag,
    Maybe,
    Natural,
    Number,
    Part,
    Positive,
    Share,
    Slug,
    Some,
    Text,
    left_out,
    setting,
)

Measures = Some[Text]
BetweenZeroAndOne = Annotated[Number, Field(gt=0, lt=1)]
PositiveShare = Annotated[Number, Field(gt=0, le=1)]


class Retrieval(Part):
    """Candidates that are not BM25's: what every bi-encoder of the main grid retrieves from whole collections."""

    depth: Count = setting("retrieved per query", unit="documents")
    index: Text = setting("a Faiss index, Flat or IVF256,Flat; Flat is exact", "Flat")
    index_parameters: Maybe[Text] = setting("of the index's search: nprobe=16", None)
    collections: Maybe[Some[Slug]] = setting("test collections, at least a whole domain's; null for all", None)
    candidates: Maybe[Slug] = setting(
        "a dense system whose best documents, as many as first_stage.depth, the main grid's cross-encoders re-rank "
        "too; null for no",
        None,
    )


class Bootstrap(Part):
    """Confidence intervals over queries."""

    samples: Count = setting("bootstrap samples", 1000)
    seed: Natural = setting("of the samples", 0)
    confidence: BetweenZeroAndOne = setting("level of the intervals", 0.95)


class Evaluation(Part):
    """What is measured, and on what."""

    retrieval: Maybe[Retrieval] = setting("retrieve from whole collections too; null for no", None)
    sets: Axis[Some[Slug]] = setting(
        "evaluation set to test collections, which one job re-ranks and one measures; collections in none of them are "
        "their first domain's set",
        {},
    )
    measures: Measures = setting("measured on every test collection, as ir_measures prints them: nDCG@10")
    more_measures: Axis[Measures] = setting("collection id to measures of that collection alone", {})
    bootstrap: Bootstrap = setting("confidence intervals", Bootstrap)
    published: Maybe[Slug] = setting(
        "published figures that the main table is held against: paper is config/expected/paper.yaml; null for none",
        None,
    )


class Equivalence(Part):
    """Comparisons of samplers over seeds and queries."""

    margin: Positive = setting("smallest difference that matters", 0.01)
    margin_of: Literal["absolute", "baseline"] = setting(
        "absolute: in the measure's units; baseline: a share of BM25's value", "absolute"
    )
    alpha: Annotated[Number, Field(gt=0, lt=0.5)] = setting("error rate of a claimed equivalence", 0.05)
    difference_alpha: BetweenZeroAndOne = setting("error rate of a claimed difference", 0.05)


class Correlation(Part):
    """Agreement of a student's scores with its teacher's."""

    depth: Annotated[Count, Field(ge=2)] = setting("best re-ranked candidates of a query", 20, unit="documents")


class Locality(Part):
    """What each sampler's groups span, miss, cover and mistake."""

    quantile: PositiveShare = setting("of the distances between a group's documents", 0.99)
    embedding: Maybe[Text] = setting(
        "whose vectors measure distances: a backbone or a bi-encoder's cell; null for the main grid's first "
        "bi-encoder, or the first student's backbone where it has none",
        None,
    )
    queries: Maybe[Count] = setting("training queries whose groups are embedded; null for all", 5000, unit="queries")
    margin: Number = setting(
        "the teacher takes for relevant what it scores above the positive's score less this, before any calibration",
        0.5,
        unit="teacher's scores",
    )


class Cost(Part):
    """What the energy estimate assumes."""

    watts_per_core: Number = setting("power of a busy CPU core", 10, unit="watts", ge=0)
    watts_per_gpu: Number = setting("power of a GPU that a job holds", 300, unit="watts", ge=0)


class Bound(Part):
    """The generalisation bound with numbers."""

    delta: BetweenZeroAndOne = setting("chance with which the bound may fail", 0.05)


class Advice(Part):
    """What a practitioner should buy."""

    budgets: Some[Maybe[Annotated[Number, Field(ge=1)]]] = setting(
        "energy of a student and all that it needs, null for any", [1.5, 3, None], unit="multiples of the cheapest"
    )


class Contamination(Part):
    """Overlap of training and test queries."""

    threshold: PositiveShare = setting("Jaccard similarity of two queries' words that makes them near-duplicates", 0.8)


def _rising(ends: list[float]) -> list[float]:
    if ends[0] >= ends[1]:
        raise ValueError(f"must rise from the first to the second (is {ends})")
    return ends


class Figures(Part):
    """How figures are drawn."""

    fit_range: Annotated[list[Share], Field(min_length=2, max_length=2), AfterValidator(_rising)] = setting(
        "rank ratios between which curves are fitted to score against rank", [0, 0.5]
    )
    smoothing: Share = setting("the moving mean's share of the training steps", 0.05)


class Analysis(Part):
    """Choices of the tables and figures, fixed before a result is seen."""

    equivalence: Equivalence = setting("comparisons of trained students", Equivalence)
    correlation: Correlation = setting("agreement with the teacher", Correlation)
    locality: Locality = setting("what groups span and miss", Locality)
    cost: Cost = setting("energy", Cost)
    bound: Bound = setting("the bound", Bound)
    advice: Advice = setting("advice", Advice)
    contamination: Contamination = setting("overlap of queries", Contamination)
    figures: Figures = setting("figures", Figures)
    texts: Flag = setting(
        "show texts of queries and documents, in report.html and the table contamination_pairs; false where their "
        "licence forbids it",
        True,
    )


class Needs(Part):
    """What a job needs; memory and time double with each retry. What is left out has the stage's own default."""

    threads: Count = setting("CPU threads", left_out)
    mem_mb: Count = setting("memory", left_out, unit="megabytes")
    runtime: Count = setting("longest run", left_out, unit="minutes")
    gpu_share: Count = setting(
        "how many of these jobs share a GPU on one host; a retry has one for itself; left out, 1",
        left_out,
        unit="jobs",
        le=64,
    )


class Resources(Part):
    """What jobs need at this experiment's scale, by stage."""

    prepare: Needs = setting("collections, downloads", left_out)
    index: Needs = setting("Lucene's indexes", left_out)
    tokenise: Needs = setting("token stores", left_out)
    search: Needs = setting("Lucene's rankings", left_out)
    pretrain: Needs = setting("backbones made here", left_out)
    mine: Needs = setting("negatives", left_out)
    score: Needs = setting("the teacher's scores", left_out)
    train: Needs = setting("students and teachers", left_out)
    rerank: Needs = setting("re-ranking, dense search and retrieval", left_out)
    analyse: Needs = setting("measures, tables and figures", left_out)
