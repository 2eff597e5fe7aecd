"""Tables over the whole grid."""


use rule analyse_job as make_main_table with:
    input:
        unpack(reads(metrics=f"{RESULTS}/metrics.parquet", equivalence=f"{RESULTS}/tables/equivalence.csv")),
    output:
        **table("main"),
    log:
        log("make_main_table"),
    params:
        **job(
            "effectiveness.make_main_table",
            domains=DOMAINS,
            measures=ALL_MEASURES,
            bootstrap=CONFIG["evaluation"]["bootstrap"],
            **GRID,
        ),


use rule analyse_job as make_equivalence_table with:
    input:
        unpack(reads(metrics=f"{RESULTS}/metrics.parquet")),
    output:
        **table("equivalence"),
    log:
        log("make_equivalence_table"),
    params:
        **job("effectiveness.make_equivalence_table", domains=DOMAINS, measures=ALL_MEASURES, rule=COMPARISON, **GRID),


use rule analyse_job as make_collection_table with:
    input:
        unpack(reads(main=f"{RESULTS}/tables/main.csv")),
    output:
        **table("collections.{student}"),
    log:
        log("make_collection_table/{student}"),
    wildcard_constraints:
        student="[a-z0-9-]+",
    params:
        **job(
            "effectiveness.make_collection_table",
            lambda w: dict(
                domains=DOMAINS,
                measure=ALL_MEASURES[0],
                **dict(GRID, students=[w.student] if entry("students", w.student) else []),
            ),
        ),


use rule analyse_job as make_variance_table with:
    input:
        unpack(reads(metrics=f"{RESULTS}/metrics.parquet")),
    output:
        numbers("variance"),
    log:
        log("make_variance_table"),
    params:
        **job("effectiveness.make_variance_table", domains=DOMAINS, measures=ALL_MEASURES, **GRID),


use rule analyse_job as make_retrieval_table with:
    input:
        unpack(reads(reranked=f"{RESULTS}/metrics.parquet", retrieved=f"{RESULTS}/retrieval.parquet")),
    output:
        **table("retrieval"),
    log:
        log("make_retrieval_table"),
    params:
        **job(
            "effectiveness.make_retrieval_table",
            domains=RETRIEVED_DOMAINS,
            reranked_depth=CONFIG["first_stage"]["depth"],
            retrieved_depth=RETRIEVAL["depth"] if RETRIEVAL else None,
            measures=ALL_MEASURES,
            bootstrap=CONFIG["evaluation"]["bootstrap"],
            **dict(GRID, students=unique(EXPERIMENT.grid_rankers[path].student for path in RETRIEVERS)),
        ),
