"""Studies beside the main grid: cuts, the orthogonality test, teachers, training collections, losses, budgets."""

STUDY_TABLES = {
    "cuts": ["cuts"],
    "factorial": ["factorial", "factorial_cells"],
    "teachers": ["teachers"],
    "collections": ["training_collections"],
    "losses": ["main.losses", "equivalence.losses"],
    "budgets": ["main.budgets", "equivalence.budgets"],
}
for study in STUDIES:
    TABLES += PLACES.tables(*STUDY_TABLES[study])
FIGURES += PLACES.figures(*(name for name in ("factorial", "budgets") if name in STUDIES))

# Experiments that differ from this one by seeds alone, those of backbone and teacher too; made by themselves.
TABLES += PLACES.tables(*["pipelines"] * bool(CONFIG["pipelines"]))

BOOTSTRAPPED = dict(COMPARED, bootstrap=BOOTSTRAP)


use rule analyse_job as make_cuts_table with:
    input:
        **reads(metrics=METRICS, labels=lambda w: PLACES.labels(EXPERIMENT.groups_behind(cuts_table(EXPERIMENT)))),
    output:
        numbers("cuts"),
    log:
        log("make_cuts_table"),
    params:
        **job("studies.make_cuts_table", lambda w: cuts_table(EXPERIMENT), **BOOTSTRAPPED),


use rule analyse_job as make_factorial_table with:
    input:
        **reads(
            metrics=METRICS,
            groups=lambda w: PLACES.groups(EXPERIMENT.groups_behind(EXPERIMENT.studies["factorial"])),
            labels=lambda w: PLACES.labels(EXPERIMENT.groups_behind(EXPERIMENT.studies["factorial"])),
            locality=numbers("locality"),
        ),
    output:
        output=numbers("factorial"),
        cells=numbers("factorial_cells"),
    log:
        log("make_factorial_table"),
    params:
        **job(
            "studies.make_factorial_table",
            lambda w: dict(
                EXPERIMENT.studies["factorial"],
                interaction_margin=STUDIES["factorial"]["interaction_margin"],
                locality=dial(CONFIG, "samplers"),
                entropy=dial(CONFIG, "losses"),
            ),
            **COMPARED,
        ),


use rule analyse_job as draw_factorial with:
    input:
        **reads(cells=numbers("factorial_cells")),
    output:
        **drawn("factorial"),
    log:
        log("draw_factorial"),
    params:
        **job(
            "studies.draw_factorial",
            lambda w: dict(
                locality=list(dial(CONFIG, "samplers").items()),
                entropy=list(dial(CONFIG, "losses").items()),
                **{axis: EXPERIMENT.studies["factorial"][axis] for axis in ("students", "teachers")},
            ),
            domain=DOMAINS[0]["name"],
            measures=[ALL_MEASURES[0], EXCESS_RISK],
        ),


use rule analyse_job as make_teachers_table with:
    input:
        **reads(metrics=METRICS),
    output:
        numbers("teachers"),
    log:
        log("make_teachers_table"),
    params:
        **job("studies.make_teachers_table", lambda w: EXPERIMENT.studies["teachers"], **BOOTSTRAPPED),


use rule analyse_job as make_training_collections_table with:
    input:
        **reads(metrics=METRICS, collections=lambda w: manifests("collections", training_collections(EXPERIMENT))),
    output:
        numbers("training_collections"),
    log:
        log("make_training_collections_table"),
    params:
        **job(
            "studies.make_training_collections_table",
            lambda w: training_collections_table(EXPERIMENT),
            **BOOTSTRAPPED,
        ),


use rule analyse_job as make_pipelines_table with:
    input:
        **reads(metrics=lambda w: metrics_of_pipelines(), controls=numbers("controls")),
    output:
        numbers("pipelines"),
    log:
        log("make_pipelines_table"),
    params:
        **job(
            "studies.make_pipelines_table",
            experiments=[EXPERIMENT.name, *CONFIG["pipelines"]],
            confidence=BOOTSTRAP["confidence"],
            **COMPARED,
            **GRID,
        ),


use rule make_main_table as make_study_main_table with:
    input:
        **reads(metrics=METRICS, equivalence=numbers("equivalence.{study}")),
    output:
        numbers("main.{study}"),
    log:
        log("make_study_main_table/{study}"),
    params:
        **job("effectiveness.make_main_table", lambda w: EXPERIMENT.studies[w.study], **BOOTSTRAPPED),


use rule make_equivalence_table as make_study_equivalence_table with:
    input:
        **reads(metrics=METRICS),
    output:
        numbers("equivalence.{study}"),
    log:
        log("make_study_equivalence_table/{study}"),
    params:
        **job("effectiveness.make_equivalence_table", lambda w: EXPERIMENT.studies[w.study], **COMPARED),


use rule analyse_job as draw_budgets with:
    input:
        **reads(main=numbers("main.budgets")),
    output:
        **drawn("budgets"),
    log:
        log("draw_budgets"),
    params:
        **job(
            "studies.draw_budgets",
            lambda w: dict(
                EXPERIMENT.studies["budgets"],
                budgets=[(name, list(budgets_of(CONFIG, name).items())) for name in STUDIES["budgets"]["students"]],
            ),
            domains=list(CONFIG["domains"]),
            measure=ALL_MEASURES[0],
        ),
