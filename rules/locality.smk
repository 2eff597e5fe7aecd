"""Locality and risk: what groups span and miss, the bound that speaks of it, errors against a known truth."""

TABLES += PLACES.tables("correlation", "locality", "bound", *["risk"] * EXPERIMENT.has_truth)
TRAINING_CORPUS = entry("collections", TRAINING["collection"])["corpus"]
EMBEDDER, EMBEDDING_BACKBONE = RANKERS.encoder(EXPERIMENT.embedding)
CALIBRATED = [teacher for teacher in GRID["teachers"] if RANKERS.calibrations(teacher)]
FIRST_STAGE = [
    manifest("rankings", CONFIG["first_stage"]["system"], name)
    for name in EXPERIMENT.sharing_corpus(TRAINING["collection"])
]
SAMPLED = dict(
    groups=PLACES.groups(EXPERIMENT.uncut_groups),
    labels=PLACES.labels(EXPERIMENT.uncut_groups),
    embeddings=manifest("embeddings"),
)


use rule analyse_job as make_correlation_table with:
    input:
        **reads(
            metrics=METRICS,
            teachers=PLACES.by_set("runs", map("teacher/{}".format, GRID["teachers"])),
            students=PLACES.by_set("runs", (ranker for _, ranker in RANKERS.grid_students)),
            calibrations=manifests("calibrations", CALIBRATED),
        ),
    output:
        numbers("correlation"),
    log:
        log("make_correlation_table"),
    params:
        **job(
            "locality.make_correlation_table",
            domains=DOMAINS,
            measure=ALL_MEASURES[0],
            depth=CONFIG["analysis"]["correlation"]["depth"],
            calibrated=CALIBRATED,
            confidence=BOOTSTRAP["confidence"],
            **GRID,
        ),


use rule rerank_job as embed_groups with:
    input:
        **reads(
            groups=sorted(set(PLACES.groups(EXPERIMENT.uncut_groups))),
            model=manifest(EMBEDDER),
            documents=document_tokens(EMBEDDING_BACKBONE, TRAINING["collection"], TRAINING["view"]),
        ),
    output:
        artifact("embeddings"),
    log:
        log("embed_groups"),
    params:
        **job(
            "locality.embed_groups",
            queries=CONFIG["analysis"]["locality"]["queries"],
            seed=0,
            max_tokens=CONFIG["lengths"]["document"],
            **NUMBERS,
        ),


use rule analyse_job as make_locality_table with:
    input:
        **reads(
            corpus=manifest("corpora", TRAINING_CORPUS),
            collection=manifest("collections", TRAINING["collection"]),
            rankings=FIRST_STAGE,
            **SAMPLED,
        ),
    output:
        output=numbers("locality"),
        queries=numbers("locality_queries"),
    log:
        log("make_locality_table"),
    params:
        **job(
            "locality.make_locality_table",
            order=lambda w: FIRST_STAGE,
            rows=EXPERIMENT.uncut_groups,
            embedding=EXPERIMENT.embedding,
            quantile=CONFIG["analysis"]["locality"]["quantile"],
            margin=CONFIG["analysis"]["locality"]["margin"],
            depth=DEPTH,
            random=next((name for name in GRID["samplers"] if entry("samplers", name)["function"] == "random"), None),
        ),


use rule analyse_job as make_bound_table with:
    input:
        **reads(
            locality=numbers("locality"),
            models=lambda w: [manifest("students", RANKERS.first(name)) for name in GRID["students"]],
            risk=[numbers("risk")] if EXPERIMENT.has_truth else [],
            **SAMPLED,
        ),
    output:
        numbers("bound"),
    log:
        log("make_bound_table"),
    params:
        **job(
            "locality.make_bound_table",
            rows=EXPERIMENT.uncut_groups,
            students=GRID["students"],
            losses=GRID["losses"],
            domain=DOMAINS[0]["name"],
            quantile=CONFIG["analysis"]["locality"]["quantile"],
            **CONFIG["analysis"]["bound"],
        ),


use rule analyse_job as make_risk_table with:
    input:
        **reads(metrics=METRICS),
    output:
        numbers("risk"),
    log:
        log("make_risk_table"),
    params:
        **job(
            "locality.make_risk_table",
            domains=DOMAINS,
            bootstrap=BOOTSTRAP,
            rankers=[keys for keys, _ in [*RANKERS.standing_references, *RANKERS.standing(EXPERIMENT.points)]],
            measure=ALL_MEASURES[0],
            **GRID,
        ),
