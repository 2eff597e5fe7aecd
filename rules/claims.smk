"""Claims about distillation, judged by what everything else has measured; their table is the first."""

TABLES[:0] = PLACES.tables("claims")
TRAININGS = RANKERS.standing(judged_trainings(EXPERIMENT))
try:
    CLAIMS = claims_table(EXPERIMENT, Path(workflow.basedir, "config/claims.yaml"))
except InputError as error:
    raise WorkflowError(str(error)) from None


use rule analyse_job as make_claims_table with:
    input:
        **reads(
            metrics=METRICS,
            cost=numbers("cost"),
            locality=numbers("locality"),
            quantities=numbers("locality_queries"),
            curves=numbers("score_by_rank"),
            students=lambda w: [manifest("students", ranker) for _, ranker in TRAININGS],
        ),
    output:
        numbers("claims"),
    log:
        log("make_claims_table"),
    params:
        **job(
            "claims.make_claims_table",
            CLAIMS,
            domains=DOMAINS,
            measure=ALL_MEASURES[0],
            rule=COMPARISON,
            trainings=[keys for keys, _ in TRAININGS],
        ),
