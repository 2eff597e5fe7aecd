"""Studies beside the main grid: entropy cuts, the orthogonality test, teachers, training collections."""

# What the studies' tables read; empty where the experiment has no such study.
UNCUT, FACTORIAL, FACTORIAL_ROWS, TRAINED_ON = [], [], [], []
if "cuts" in STUDIES:
    UNCUT = EXPERIMENT.groups_of(dict(EXPERIMENT.studies["cuts"], samplers=STUDIES["cuts"]["samplers"]))
if "factorial" in STUDIES:
    FACTORIAL_ROWS = EXPERIMENT.groups_of(EXPERIMENT.studies["factorial"])
    # BM25 too: its risk is the baseline that a margin may be a share of.
    FACTORIAL = [REFERENCES[0], *standing(EXPERIMENT.study("factorial"))]
if "collections" in STUDIES:
    TRAINED_ON = unique(EXPERIMENT.trained_on(name) for name in EXPERIMENT.studies["collections"]["samplers"])


use rule analyse_job as make_cuts_table with:
    input:
        unpack(reads(metrics=f"{RESULTS}/metrics.parquet", labels=sampled("labels", UNCUT))),
    output:
        numbers("cuts"),
    log:
        log("make_cuts_table"),
    params:
        **job(
            "studies.make_cuts_table",
            lambda w: dict(
                cuts={
                    cut: {sampler: cut_sampler(sampler, cut) for sampler in STUDIES["cuts"]["samplers"]}
                    for cut in STUDIES["cuts"]["cuts"]
                },
                fence=STUDIES["cuts"]["fence"],
                rule=COMPARISON,
                domains=DOMAINS,
                measures=ALL_MEASURES,
                bootstrap=CONFIG["evaluation"]["bootstrap"],
                **dict(EXPERIMENT.studies["cuts"], samplers=STUDIES["cuts"]["samplers"]),
            ),
        ),


use rule analyse_job as make_factorial_table with:
    input:
        unpack(
            reads(
                metrics=f"{RESULTS}/metrics.parquet",
                runs=lambda w: [whole_runs(ranker) for _, ranker in FACTORIAL],
                tests=TESTS,
                groups=sampled("groups", FACTORIAL_ROWS),
                labels=sampled("labels", FACTORIAL_ROWS),
                locality=f"{RESULTS}/tables/locality.csv",
            )
        ),
    output:
        **table("factorial"),
        cells=f"{RESULTS}/tables/factorial_cells.csv",
    log:
        log("make_factorial_table"),
    params:
        **job(
            "studies.make_factorial_table",
            lambda w: dict(
                locality=dial(CONFIG, "samplers"),
                entropy=dial(CONFIG, "losses"),
                runs=[keys for keys, _ in FACTORIAL],
                collections=EXPERIMENT.evaluated,
                rule=COMPARISON,
                domains=DOMAINS,
                measures=ALL_MEASURES,
                **EXPERIMENT.studies["factorial"],
            ),
        ),


use rule analyse_job as draw_factorial with:
    input:
        unpack(reads(cells=f"{RESULTS}/tables/factorial_cells.csv")),
    output:
        **figure("factorial"),
    log:
        log("draw_factorial"),
    params:
        **job(
            "studies.draw_factorial",
            lambda w: dict(
                domain=DOMAINS[0]["name"],
                measures=[ALL_MEASURES[0], "excess risk"],
                locality=list(dial(CONFIG, "samplers").items()),
                entropy=list(dial(CONFIG, "losses").items()),
                **{axis: EXPERIMENT.studies["factorial"][axis] for axis in ("students", "teachers")},
            ),
        ),


use rule analyse_job as make_teacher_table with:
    input:
        unpack(reads(metrics=f"{RESULTS}/metrics.parquet")),
    output:
        **table("teachers"),
    log:
        log("make_teacher_table"),
    params:
        **job(
            "studies.make_teacher_table",
            lambda w: dict(
                rule=COMPARISON,
                domains=DOMAINS,
                measures=ALL_MEASURES,
                bootstrap=CONFIG["evaluation"]["bootstrap"],
                **EXPERIMENT.studies["teachers"],
            ),
        ),


use rule analyse_job as make_training_table with:
    input:
        unpack(
            reads(
                metrics=f"{RESULTS}/metrics.parquet",
                collections=[manifest("collections", name) for name in TRAINED_ON],
            )
        ),
    output:
        **table("training"),
    log:
        log("make_training_table"),
    params:
        **job(
            "studies.make_training_table",
            lambda w: dict(
                trained_on={
                    name: {"collection": EXPERIMENT.trained_on(name), "function": entry("samplers", name)["function"]}
                    for name in EXPERIMENT.studies["collections"]["samplers"]
                },
                collections=TRAINED_ON,
                shared={name: EXPERIMENT.tested_over(name) for name in TRAINED_ON},
                teacher_collections={
                    name: EXPERIMENT.trained_on(entry("teachers", name)["sampler"])
                    for name in EXPERIMENT.studies["collections"]["teachers"]
                    if entry("teachers", name)["trained"]
                },
                rule=COMPARISON,
                domains=DOMAINS,
                measures=ALL_MEASURES,
                bootstrap=CONFIG["evaluation"]["bootstrap"],
                **EXPERIMENT.studies["collections"],
            ),
        ),
