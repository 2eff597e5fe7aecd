"""Tables over the whole grid."""

TABLES += PLACES.tables(
    "main",
    "equivalence",
    "variance",
    "power",
    *["controls"] * bool(CONTROLS),
    *map("per_collection.{}".format, GRID["students"]),
    *["retrieval"] * bool(RETRIEVED),
    *["published"] * bool(CONFIG["evaluation"]["published"]),
)
WHOLE_GRID = dict(domains=DOMAINS, measures=ALL_MEASURES, controls=CONTROLS, **GRID)
VERDICTS = COMPARED | GRID
# Domains all of whose collections are retrieved from.
WHOLLY_RETRIEVED = {*itertools.chain(*EXPERIMENT.sets_of("retrieved/").values())}
RETRIEVED_DOMAINS = [domain for domain in DOMAINS if WHOLLY_RETRIEVED.issuperset(collections_of(domain["collections"]))]


use rule analyse_job as make_main_table with:
    input:
        **reads(metrics=METRICS, equivalence=numbers("equivalence")),
    output:
        numbers("main"),
    log:
        log("make_main_table"),
    params:
        **job("effectiveness.make_main_table", bootstrap=BOOTSTRAP, **VERDICTS),


use rule analyse_job as make_equivalence_table with:
    input:
        **reads(metrics=METRICS),
    output:
        numbers("equivalence"),
    log:
        log("make_equivalence_table"),
    params:
        **job("effectiveness.make_equivalence_table", **VERDICTS),


use rule analyse_job as make_variance_table with:
    input:
        **reads(metrics=METRICS),
    output:
        numbers("variance"),
    log:
        log("make_variance_table"),
    params:
        **job("effectiveness.make_variance_table", confidence=BOOTSTRAP["confidence"], **WHOLE_GRID),


use rule analyse_job as make_power_table with:
    input:
        **reads(metrics=METRICS, equivalence=numbers("equivalence")),
    output:
        numbers("power"),
    log:
        log("make_power_table"),
    params:
        **job("effectiveness.make_power_table", **VERDICTS),


use rule analyse_job as make_controls_table with:
    input:
        **reads(metrics=METRICS),
    output:
        numbers("controls"),
    log:
        log("make_controls_table"),
    params:
        **job(
            "effectiveness.make_controls_table",
            domains=DOMAINS,
            measures=ALL_MEASURES,
            controls=CONTROLS,
            depth=DEPTH,
            confidence=BOOTSTRAP["confidence"],
        ),


use rule analyse_job as make_per_collection_table with:
    input:
        **reads(main=numbers("main")),
    output:
        numbers("per_collection.{student}"),
    log:
        log("make_per_collection_table/{student}"),
    params:
        **job(
            "effectiveness.make_per_collection_table",
            lambda w: dict(students=[w.student] if entry("students", w.student) else []),
            measure=ALL_MEASURES[0],
            **WHOLE_GRID,
        ),


use rule analyse_job as make_retrieval_table with:
    input:
        **reads(reranked=METRICS, retrieved=f"{RESULTS}/retrieval.parquet"),
    output:
        numbers("retrieval"),
    log:
        log("make_retrieval_table"),
    params:
        **job(
            "effectiveness.make_retrieval_table",
            dict(domains=RETRIEVED_DOMAINS, students=unique(EXPERIMENT.rankers[path].student for path in RETRIEVED)),
            candidates=RETRIEVAL["candidates"],
            reranked_depth=DEPTH,
            retrieved_depth=RETRIEVAL["depth"],
            rule=COMPARISON,
            **WHOLE_GRID,
        ),


use rule analyse_job as make_published_table with:
    input:
        **reads(
            main=numbers("main"),
            expected=in_project(f"config/expected/{CONFIG['evaluation']['published'] or 'paper'}.yaml"),
        ),
    output:
        numbers("published"),
    log:
        log("make_published_table"),
    params:
        **job("effectiveness.make_published_table"),
