"""Evaluation: BM25's top documents re-ranked, runs kept, measures per query, one file per cell and domain."""

# (system, collection) of the rankings that are held against published figures.
CHECKED = [(system, name) for system in CONFIG["first_stage"]["check"] for name in EXPERIMENT.test_collections]
if CHECKED:
    TABLES.append(f"{RESULTS}/tables/first_stage.csv")


use rule analyse_job as gather_evaluation with:
    input:
        **reads(
            tests=TESTS,
            rankings=[
                manifest("rankings", CONFIG["first_stage"]["system"], name) for name in EXPERIMENT.test_collections
            ],
        ),
    output:
        output=update(EVALUATION),
        declared=update(runs("bm25")),
    log:
        log("gather_evaluation"),
    params:
        **job(
            "evaluate.gather_evaluation",
            ids={"collections": EXPERIMENT.test_collections},
            depth=CONFIG["first_stage"]["depth"],
            tag="bm25",
        ),


use rule rerank_job as rerank_candidates with:
    input:
        **reads(
            model=lambda w: manifest(RANKERS.model(w.ranker)),
            evaluation=EVALUATION,
            tokens=lambda w: tokens(RANKERS.backbone(w.ranker), "evaluation"),
        ),
    output:
        output=artifact("runs", "{ranker}"),
        declared=update(runs("{ranker}")),
    log:
        log("rerank_candidates/{ranker}"),
    wildcard_constraints:
        ranker=f"(?!retrieved/){RANKER}",
    params:
        **job(
            "evaluate.rerank_candidates",
            ids={"collections": EXPERIMENT.test_collections},
            spec=lambda w: dict(
                architecture=RANKERS.architecture(w.ranker)[0],
                tag=RANKERS.tag(w.ranker),
                **NUMBERS,
            ),
        ),


use rule rerank_job as retrieve_documents with:
    input:
        **reads(
            model=lambda w: manifest(RANKERS.retriever(w.ranker)),
            tests=lambda w: manifests("collections", EXPERIMENT.test_collections_of("retrieved/")),
            queries=lambda w: [
                query_tokens(RANKERS.backbone(w.ranker), name) for name in EXPERIMENT.test_collections_of("retrieved/")
            ],
            documents=lambda w: [
                document_tokens(RANKERS.backbone(w.ranker), name, "full")
                for name in EXPERIMENT.test_collections_of("retrieved/")
            ],
        ),
    output:
        output=artifact("runs", "retrieved/{ranker}"),
        declared=update(runs("retrieved/{ranker}")),
    log:
        log("retrieve_documents/{ranker}"),
    params:
        **job(
            "evaluate.retrieve_documents",
            ids={"collections": EXPERIMENT.test_collections_of("retrieved/")},
            spec=lambda w: dict(
                **{key: RETRIEVAL[key] for key in ("depth", "index", "index_parameters")},
                tag=RANKERS.tag(f"retrieved/{w.ranker}"),
                remove_query={
                    name: entry("collections", name).get("remove_query", False)
                    for name in EXPERIMENT.test_collections_of("retrieved/")
                },
                **NUMBERS,
                max_tokens=CONFIG["lengths"],
            ),
        ),


use rule analyse_job as measure_runs with:
    input:
        **reads(runs=lambda w: whole_runs(w.ranker), evaluation=EVALUATION),
    output:
        artifact("metrics", "{ranker}"),
    log:
        log("measure_runs/{ranker}"),
    wildcard_constraints:
        ranker=f"bm25|{RANKER}",
    params:
        **job(
            "evaluate.measure_runs",
            ids=lambda w: {"collections": EXPERIMENT.test_collections_of(w.ranker)},
            spec=lambda w: dict(
                measures={name: RANKERS.measures(w.ranker, name) for name in EXPERIMENT.test_collections_of(w.ranker)},
                keys=RANKERS.keys(w.ranker),
            ),
        ),


use rule analyse_job as write_cell with:
    input:
        **reads(metrics=lambda w: manifest("metrics", EXPERIMENT.ranker(w.cell).path)),
    output:
        cells=PLACES.cells("{cell}"),
    log:
        log("write_cell/{cell}"),
    params:
        **job("evaluate.write_cell", domains=DOMAINS, bootstrap=CONFIG["evaluation"]["bootstrap"]),


use rule analyse_job as collect_metrics with:
    input:
        **reads(metrics=lambda w: retrieval_metrics() if w.table == "retrieval" else every_metrics()),
    output:
        f"{RESULTS}/{{table}}.parquet",
    log:
        log("collect_metrics/{table}"),
    wildcard_constraints:
        table="metrics|retrieval",
    params:
        **job("evaluate.collect_metrics"),


use rule analyse_job as check_first_stage with:
    input:
        **reads(
            rankings=[manifest("rankings", system, collection) for system, collection in CHECKED],
            collections=[manifest("collections", collection) for _, collection in CHECKED],
            expected=in_project("config/expected/bm25.yaml"),
        ),
    output:
        f"{RESULTS}/tables/first_stage.csv",
    log:
        log("check_first_stage"),
    params:
        **job(
            "evaluate.check_first_stage",
            rankings=[{"system": system, "collection": collection} for system, collection in CHECKED],
            measures=CONFIG["evaluation"]["measures"],
            tolerance=0.0005,
            close=0.005,
        ),
