"""Tables and figures about the experiment itself: configuration, cost, contamination, advice, scores, training."""

from workflow_scripts.experiment.page_spec import page_spec

# Everything that scores candidates, BM25 apart.
PROFILED = [each for each in RANKERS.standing_references if each[0][3] in GRID["teachers"]] + RANKERS.grid_students
LINES = dict(axes("students", "teachers"), domains=DOMAINS, fit_range=CONFIG["analysis"]["figures"]["fit_range"])
PAIRS_SHOWN = ["contamination_pairs"] * CONFIG["analysis"]["texts"]
TABLES += PLACES.tables("configuration", "cost", "contamination", *PAIRS_SHOWN, "advice", "score_by_rank")
FIGURES += PLACES.figures("pipeline", "score_by_rank", "learning_curves", "score_grid", "cost")


use rule analyse_job as make_configuration_table with:
    input:
        **reads(metrics=lambda w: every_metrics()),
    output:
        numbers("configuration"),
    log:
        log("make_configuration_table"),
    params:
        **job("report.make_configuration_table", order=lambda w: every_metrics()),


use rule analyse_job as make_cost_table with:
    input:
        # "also": what no ranker's metrics rest on.
        **reads(
            metrics=lambda w: every_metrics(),
            also=lambda w: [manifest("embeddings"), *retrieval_metrics()],
        ),
    output:
        numbers("cost"),
    log:
        log("make_cost_table"),
    params:
        **job("report.make_cost_table", order=lambda w: every_metrics(), **CONFIG["analysis"]["cost"]),


use rule analyse_job as draw_cost with:
    input:
        **reads(cost=numbers("cost"), main=numbers("main")),
    output:
        **drawn("cost"),
    log:
        log("draw_cost"),
    params:
        **job(
            "report.draw_cost",
            **axes("students", "losses", "samplers"),
            domain=DOMAINS[0]["name"],
            measure=CONFIG["evaluation"]["measures"][0],
        ),


# Collections whose queries are compared, by the option that names them in the order of their manifests.
CONTAMINATED = {"training_names": EXPERIMENT.training_collections, "collections": EXPERIMENT.test_collections}


use rule analyse_job as make_contamination_table with:
    input:
        **reads(
            training=manifests("collections", CONTAMINATED["training_names"]),
            tests=manifests("collections", CONTAMINATED["collections"]),
        ),
    output:
        output=numbers("contamination"),
        pairs=numbers("contamination_pairs"),
    log:
        log("make_contamination_table"),
    params:
        **job(
            "report.make_contamination_table",
            ids=CONTAMINATED,
            order=lambda w: itertools.chain(*CONTAMINATED.values()),
            **CONFIG["analysis"]["contamination"],
        ),


use rule analyse_job as make_advice_table with:
    input:
        **reads(
            metrics=METRICS,
            main=numbers("main"),
            cost=numbers("cost"),
            factorial=[numbers("factorial_cells")] if "factorial" in STUDIES else [],
        ),
    output:
        numbers("advice"),
    log:
        log("make_advice_table"),
    params:
        **job(
            "report.make_advice_table",
            domains=DOMAINS,
            measure=ALL_MEASURES[0],
            rule=COMPARISON,
            controls=CONTROLS,
            **CONFIG["analysis"]["advice"],
            **GRID,
        ),


use rule analyse_job as draw_pipeline with:
    output:
        **drawn("pipeline"),
    log:
        log("draw_pipeline"),
    params:
        **job(
            "report.draw_pipeline",
            **axes("systems", "teachers", "losses", "students"),
            plain=[name for name in GRID["samplers"] if not entry("samplers", name)["reads_teacher"]],
            informed=[name for name in GRID["samplers"] if entry("samplers", name)["reads_teacher"]],
            tests=EXPERIMENT.test_collections,
            group=1 + TRAINING["negatives"],
            dense=bool(DENSE),
            retrieval=bool(RETRIEVERS),
        ),


use rule analyse_job as profile_scores with:
    input:
        **reads(runs=lambda w: all_runs(ranker for _, ranker in PROFILED)),
    output:
        output=numbers("profiles"),
        queries=numbers("query_profiles"),
    log:
        log("profile_scores"),
    priority: LONG_PARTS
    params:
        **job(
            "report.profile_scores",
            rankers=[keys for keys, _ in PROFILED],
            collections=EXPERIMENT.test_collections,
            points=DEPTH,
        ),


use rule analyse_job as fit_profiles with:
    input:
        **reads(queries=numbers("query_profiles")),
    output:
        numbers("score_by_rank"),
    log:
        log("fit_profiles"),
    priority: LONG_PARTS
    params:
        **job("report.fit_profiles", bootstrap=BOOTSTRAP, **LINES),


use rule analyse_job as draw_score_by_rank with:
    input:
        **reads(profiles=numbers("profiles"), fits=numbers("score_by_rank")),
    output:
        **drawn("score_by_rank"),
    log:
        log("draw_score_by_rank"),
    params:
        **job("report.draw_score_by_rank", **LINES),


use rule analyse_job as draw_score_grid with:
    input:
        **reads(profiles=numbers("profiles")),
    output:
        **drawn("score_grid"),
    log:
        log("draw_score_grid"),
    priority: LONG_PARTS
    params:
        **job(
            "report.draw_score_grid",
            **axes("students", "losses", "samplers", "teachers"),
            domains=DOMAINS,
            depth=DEPTH,
        ),


use rule analyse_job as smooth_curves with:
    input:
        **reads(students=lambda w: [manifest("students", ranker) for _, ranker in RANKERS.grid_students]),
    output:
        numbers("curves"),
    log:
        log("smooth_curves"),
    params:
        **job(
            "report.smooth_curves",
            rankers=[keys for keys, _ in RANKERS.grid_students],
            smoothing=CONFIG["analysis"]["figures"]["smoothing"],
        ),


use rule analyse_job as draw_learning_curves with:
    input:
        **reads(curves=numbers("curves")),
    output:
        **drawn("learning_curves"),
    log:
        log("draw_learning_curves"),
    params:
        **job("report.draw_learning_curves", **axes("students", "losses", "samplers")),


# A table whose numbers and layout are apart has a file of its name.
PRESENTATION = "workflow_scripts/presentation"
LAYOUTS = sorted(path.stem for path in Path(workflow.basedir, PRESENTATION, "layouts").glob("[!_]*.py"))


use rule analyse_job as render_table with:
    input:
        **reads(
            numbers=numbers("{table}"),
            captions=lambda w: [
                in_project(f"{PRESENTATION}/captions/{name}.rst") for name in (PLACES.layout(w.table), "verdicts")
            ],
            configuration=lambda w: [numbers("configuration")] if PLACES.rests_on_rankers(w.table) else [],
        ),
    output:
        **rendered("{table}"),
    log:
        log("render_table/{table}"),
    wildcard_constraints:
        table=one_of(page_tables()),
    params:
        **job("presentation.render_table", lambda w: dict(layout=PLACES.layout(w.table))),


use rule analyse_job as make_report with:
    input:
        **reads(
            numbers=lambda w: [numbers(name) for name in page_tables()],
            captions=lambda w: sorted(
                in_project(f"{PRESENTATION}/captions/{name}.rst")
                for name in {"verdicts", *map(PLACES.layout, page_tables())}
            ),
            definitions=in_project("docs/tables.md"),
            page=[
                in_project(f"workflow_scripts/report/page/{name}")
                for name in ("template.html", "page.css", "page.js", "explorer.js")
            ],
            profiles=numbers("profiles"),
            curves=numbers("curves"),
            metrics=METRICS,
            runs=lambda w: all_runs(ranker for _, ranker in page_rankers()),
            evaluation=lambda w: [
                EVALUATION.format(set=name) for name, members in EXPERIMENT.evaluation_sets.items() for _ in members
            ],
            # Their texts; without these the page names queries and documents by their ids.
            collections=lambda w: manifests("collections", shown_on_page()),
            corpora=lambda w: list(map(corpus_of, shown_on_page())),
        ),
    output:
        f"{RESULTS}/report.html",
    log:
        log("make_report"),
    params:
        **job(
            "report.make_report",
            page_spec(EXPERIMENT, CONFIG_FILES),
            measure=ALL_MEASURES[0],
            depth=DEPTH,
            rebuild=snakemake_command(CONFIG_FILES, "--cores", "all", config=GIVEN),
            rankers=[keys for keys, _ in page_rankers()],
            collections=[*itertools.chain(*EXPERIMENT.evaluation_sets.values())],
            layouts=unique(map(PLACES.layout, page_tables())),
            of_rankers=[name for name in page_tables() if PLACES.rests_on_rankers(name)],
            domains=DOMAINS,
            **GRID,
        ),


# Any other table or figure has no rule of its own; this one names those that there are.
rule unknown_result:
    input:
        lambda w: PLACES.refuse(w.result, [*TABLES, *FIGURES]),
    output:
        f"{RESULTS}/{{result}}",
    wildcard_constraints:
        result=rf"(?!({one_of(os.path.relpath(path, RESULTS) for path in [*TABLES, *FIGURES])})$)(tables|figures)/[^/]+",
