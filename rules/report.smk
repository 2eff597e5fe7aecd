"""Tables and figures about the experiment itself: configuration, cost, contamination, scores, training."""

# Everything that scores candidates, BM25 apart.
PROFILED = [each for each in REFERENCES if each[0][3] in GRID["teachers"]] + GRID_STUDENTS


use rule analyse_job as make_configuration_table with:
    input:
        unpack(reads(metrics=lambda w: every_metrics())),
    output:
        **table("configuration"),
    log:
        log("make_configuration_table"),
    params:
        **job("report.make_configuration_table"),


use rule analyse_job as make_cost_table with:
    input:
        unpack(
            reads(
                metrics=lambda w: every_metrics(),
                # What no ranker's metrics rest on.
                also=lambda w: [manifest("embeddings"), *retrieval_metrics()],
            )
        ),
    output:
        **table("cost"),
    log:
        log("make_cost_table"),
    params:
        **job("report.make_cost_table", **CONFIG["analysis"]["cost"]),


use rule analyse_job as make_contamination_table with:
    input:
        unpack(reads(training=[manifest("collections", name) for name in EXPERIMENT.training_collections], tests=TESTS)),
    output:
        **table("contamination"),
        pairs=f"{RESULTS}/tables/contamination_pairs.csv",
    log:
        log("make_contamination_table"),
    params:
        **job(
            "report.make_contamination_table",
            ids={"training_names": EXPERIMENT.training_collections, "collections": EXPERIMENT.evaluated},
            **CONFIG["analysis"]["contamination"],
        ),


use rule analyse_job as draw_pipeline with:
    output:
        **figure("pipeline"),
    log:
        log("draw_pipeline"),
    params:
        **job(
            "report.draw_pipeline",
            **axes("systems", "teachers", "losses", "students"),
            plain=[name for name in GRID["samplers"] if not entry("samplers", name)["reads_teacher"]],
            informed=[name for name in GRID["samplers"] if entry("samplers", name)["reads_teacher"]],
            tests=EXPERIMENT.evaluated,
            group=1 + TRAINING["negatives"],
            dense=bool(DENSE),
            retrieval=bool(RETRIEVERS),
        ),


use rule analyse_job as profile_scores with:
    input:
        unpack(reads(runs=lambda w: [whole_runs(ranker) for _, ranker in PROFILED])),
    output:
        f"{RESULTS}/profiles.parquet",
    log:
        log("profile_scores"),
    params:
        **job(
            "report.profile_scores",
            rankers=[keys for keys, _ in PROFILED],
            collections=EXPERIMENT.evaluated,
            points=CONFIG["first_stage"]["depth"],
        ),


use rule analyse_job as draw_score_by_rank with:
    input:
        unpack(reads(profiles=f"{RESULTS}/profiles.parquet")),
    output:
        **figure("score_by_rank"),
        fits=f"{RESULTS}/figures/score_by_rank.csv",
    log:
        log("draw_score_by_rank"),
    params:
        **job(
            "report.draw_score_by_rank",
            **axes("students", "teachers"),
            domains=DOMAINS,
            fit_range=CONFIG["analysis"]["figures"]["fit_range"],
        ),


use rule analyse_job as draw_score_grid with:
    input:
        unpack(reads(profiles=f"{RESULTS}/profiles.parquet")),
    output:
        **figure("score_grid"),
    log:
        log("draw_score_grid"),
    params:
        **job(
            "report.draw_score_grid",
            **axes("students", "losses", "samplers", "teachers"),
            domains=DOMAINS,
            depth=CONFIG["first_stage"]["depth"],
        ),


use rule analyse_job as draw_training with:
    input:
        unpack(reads(students=lambda w: [manifest("students", ranker) for _, ranker in GRID_STUDENTS])),
    output:
        **figure("training"),
    log:
        log("draw_training"),
    params:
        **job(
            "report.draw_training",
            **axes("students", "losses", "samplers"),
            rankers=[keys for keys, _ in GRID_STUDENTS],
            smoothing=CONFIG["analysis"]["figures"]["smoothing"],
        ),


use rule analyse_job as draw_cost with:
    input:
        unpack(reads(cost=f"{RESULTS}/tables/cost.csv", effectiveness=f"{RESULTS}/tables/main.csv")),
    output:
        **figure("cost"),
    log:
        log("draw_cost"),
    params:
        **job(
            "report.draw_cost",
            **axes("students", "losses", "samplers"),
            domain=DOMAINS[0]["name"],
            measure=CONFIG["evaluation"]["measures"][0],
        ),


use rule analyse_job as make_advice_table with:
    input:
        unpack(
            reads(
                metrics=f"{RESULTS}/metrics.parquet",
                main=f"{RESULTS}/tables/main.csv",
                cost=f"{RESULTS}/tables/cost.csv",
                factorial=[f"{RESULTS}/tables/factorial_cells.csv"] if "factorial" in STUDIES else [],
            )
        ),
    output:
        **table("advice"),
    log:
        log("make_advice_table"),
    params:
        **job(
            "report.make_advice_table",
            domains=DOMAINS,
            measure=ALL_MEASURES[0],
            rule=COMPARISON,
            **CONFIG["analysis"]["advice"],
            **GRID,
        ),


RENDERED = ["cuts", "variance"]
"""Tables whose numbers and layout are apart."""


use rule analyse_job as render_table with:
    input:
        unpack(
            reads(
                numbers=numbers("{table}"),
                captions=lambda w: in_project(f"workflow_scripts/presentation/captions/{layout_of(w.table)}.rst"),
            )
        ),
    output:
        **table("{table}"),
    log:
        log("render_table/{table}"),
    wildcard_constraints:
        table=one_of(RENDERED),
    params:
        **job("presentation.render_table", lambda w: dict(layout=layout_of(w.table))),
