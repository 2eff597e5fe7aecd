"""Evaluation: BM25's top documents re-ranked, runs kept, measures per query, one file per cell and domain."""

# (system, collection) of the rankings that are held against published figures.
CHECKED = [(system, name) for system in CONFIG["first_stage"]["check"] for name in EXPERIMENT.test_collections]
if CHECKED:
    TABLES.append(f"{RESULTS}/tables/first_stage.csv")


use rule analyse_job as gather_evaluation with:
    input:
        **reads(
            tests=lambda w: manifests("collections", tested_in(w)),
            rankings=lambda w: [manifest("rankings", CONFIG["first_stage"]["system"], name) for name in tested_in(w)],
        ),
    output:
        update(EVALUATION),
    log:
        log("gather_evaluation/{set}"),
    params:
        **job("evaluate.gather_evaluation", ids=ids_of(tested_in), depth=DEPTH, tag="bm25"),


use rule rerank_job as rerank_candidates with:
    input:
        **reads(
            model=lambda w: manifest(RANKERS.model(w.ranker)),
            evaluation=EVALUATION,
            tokens=lambda w: tokens(RANKERS.backbone(w.ranker), "evaluation", w.set),
        ),
    output:
        artifact("runs", "{ranker}", "{set}"),
    log:
        log("rerank_candidates/{ranker}.{set}"),
    wildcard_constraints:
        ranker=f"(?!retrieved/){RANKER}",
    params:
        **job(
            "evaluate.rerank_candidates",
            lambda w: dict(architecture=RANKERS.architecture(w.ranker)[0], tag=RANKERS.tag(w.ranker)),
            ids_of(tested_in),
            **NUMBERS,
        ),


# The dense system's documents, which cross-encoders re-rank as they do BM25's.
CANDIDATES = manifest("candidates", "{set}")
RERANKERS = rf"({one_of(unique(EXPERIMENT.ranker(path).student for path in EXPERIMENT.dense_rerankers))})/"


use rule analyse_job as gather_dense_candidates with:
    input:
        **reads(
            tests=lambda w: manifests("collections", retrieved_in(w)),
            rankings=lambda w: [manifest("rankings", RETRIEVAL["candidates"], name) for name in retrieved_in(w)],
        ),
    output:
        update(CANDIDATES),
    log:
        log("gather_dense_candidates/{set}"),
    params:
        **job("evaluate.gather_evaluation", ids=ids_of(retrieved_in), depth=DEPTH, tag=RETRIEVAL["candidates"]),


use rule tokenise_job as tokenise_dense_candidates with:
    input:
        **reads(
            backbone=first_of_vocabulary,
            evaluation=CANDIDATES,
            tests=lambda w: manifests("collections", retrieved_in(w)),
            corpora=lambda w: list(map(corpus_of, retrieved_in(w))),
        ),
    output:
        artifact("tokens", "{vocabulary}", "candidates", "{set}"),
    log:
        log("tokenise_dense_candidates/{vocabulary}.{set}"),
    params:
        **job("backbone.tokenise_evaluation", ids=ids_of(retrieved_in), **LONGEST),


use rule rerank_job as rerank_dense_candidates with:
    input:
        **reads(
            model=lambda w: manifest(RANKERS.model(w.ranker)),
            evaluation=CANDIDATES,
            tokens=lambda w: tokens(RANKERS.backbone(w.ranker), "candidates", w.set),
        ),
    output:
        artifact("runs", "retrieved", "{ranker}", "{set}"),
    log:
        log("rerank_dense_candidates/{ranker}.{set}"),
    wildcard_constraints:
        ranker=f"(?={RERANKERS}){RANKER}",
    params:
        **job(
            "evaluate.rerank_candidates",
            lambda w: dict(architecture="cross-encoder", tag=RANKERS.tag(f"retrieved/{w.ranker}")),
            ids_of(retrieved_in),
            **NUMBERS,
        ),


use rule rerank_job as retrieve_documents with:
    input:
        **reads(
            model=lambda w: manifest(RANKERS.retriever(w.ranker)),
            tests=lambda w: manifests("collections", retrieved_in(w)),
            queries=lambda w: [query_tokens(RANKERS.backbone(w.ranker), name) for name in retrieved_in(w)],
            documents=lambda w: [
                document_tokens(RANKERS.backbone(w.ranker), name, "full") for name in retrieved_in(w)
            ],
        ),
    output:
        artifact("runs", "retrieved", "{ranker}", "{set}"),
    log:
        log("retrieve_documents/{ranker}.{set}"),
    wildcard_constraints:
        ranker=f"(?!{RERANKERS}){RANKER}",
    params:
        **job(
            "evaluate.retrieve_documents",
            lambda w: dict(
                tag=RANKERS.tag(f"retrieved/{w.ranker}"),
                remove_query={name: removes_query(name) for name in retrieved_in(w)},
            ),
            ids_of(retrieved_in),
            max_tokens=CONFIG["lengths"],
            **{key: RETRIEVAL[key] for key in ("depth", "index", "index_parameters")},
            **NUMBERS,
        ),


use rule analyse_job as measure_runs with:
    input:
        **reads(runs=lambda w: whole_runs(w.ranker, w.set), evaluation=EVALUATION),
    output:
        artifact("metrics", "{ranker}", "{set}"),
    log:
        log("measure_runs/{ranker}.{set}"),
    wildcard_constraints:
        ranker="bm25|teacher/[^/]+|retrieved/.+",
    params:
        **job(
            "evaluate.measure_runs",
            lambda w: RANKERS.measuring_spec(w.ranker, w.set),
            ids_of(lambda w: EXPERIMENT.collections_in(w.ranker, w.set)),
        ),


# A student's metrics with its cells of the domains within the set: which they are is the set's, so each has a rule.
for SET, COLLECTIONS in EXPERIMENT.evaluation_sets.items():
    WITHIN = [domain for domain in DOMAINS if domain["name"] in EXPERIMENT.domains_within(SET)]

    rule:
        name:
            f"measure_students_{SET.replace('-', '_')}"
        input:
            **reads(
                runs=lambda w, name=SET: whole_runs(student_of(w), name),
                evaluation=EVALUATION.format(set=SET),
            ),
        output:
            output=artifact("metrics", "{student}", "{point}", "seed{seed}", SET),
            cells=update(PLACES.cells("{student}.{point}.seed{seed}", (domain["name"] for domain in WITHIN))),
        log:
            log(f"measure_runs/{{student}}/{{point}}/seed{{seed}}.{SET}"),
        priority: MEASURING
        conda:
            "../environment.yml"
        threads: threads_of(CONFIG, "analyse")
        resources:
            **resources_of(CONFIG, "analyse", limit=minutes_allowed),
        params:
            **job(
                "evaluate.measure_runs",
                lambda w, name=SET: RANKERS.measuring_spec(student_of(w), name),
                {"collections": COLLECTIONS},
                **dict(domains=WITHIN, bootstrap=BOOTSTRAP) if WITHIN else {},
            ),
        shell:
            COMMAND


use rule analyse_job as write_cell with:
    input:
        **reads(
            metrics=lambda w: [
                manifest("metrics", EXPERIMENT.ranker(w.cell).path, name) for name in EXPERIMENT.sets_behind(w.domain)
            ]
        ),
    output:
        PLACES.cells("{cell}", ["{domain}"])[0],
    log:
        log("write_cell/{cell}.{domain}"),
    wildcard_constraints:
        domain=other_than(itertools.chain(*map(EXPERIMENT.domains_within, EXPERIMENT.evaluation_sets))),
    params:
        **job(
            "evaluate.write_cell",
            lambda w: dict(domains=[domain for domain in DOMAINS if domain["name"] == w.domain]),
            bootstrap=BOOTSTRAP,
        ),


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
