"""Teacher scores: every pair that training needs is scored once, labels at one temperature."""


use rule score_job as score_pool with:
    input:
        **reads(
            **teacher_tokens(lambda w: EXPERIMENT.pool_collection(w.pool)),
            models=lambda w: list(map(manifest, RANKERS.scorers(w.teacher))),
            rankings=lambda w: [
                manifest("rankings", system, EXPERIMENT.pool_collection(w.pool))
                for system in entry("pools", w.pool)["systems"]
            ],
            collection=lambda w: (
                [manifest("collections", EXPERIMENT.pool_collection(w.pool))]
                if entry("pools", w.pool)["positives"]
                else []
            ),
            known=lambda w: [manifest("scores", w.teacher, pool) for pool in entry("pools", w.pool)["known"]],
        ),
    output:
        artifact("scores", "{teacher}", "{pool}"),
    log:
        log("score_pool/{teacher}.{pool}"),
    params:
        **job(
            "teach.score_pool",
            lambda w: dict(**subset("pools", w.pool, "depth"), **NUMBERS),
        ),


use rule analyse_job as calibrate_teacher with:
    input:
        **reads(
            scores=lambda w: [
                manifest("scores", w.teacher, pool)
                for dev in [entry("teachers", w.teacher)["calibrate"]]
                for pool in [dev, *entry("pools", dev)["known"]]
            ],
            collection=lambda w: manifest(
                "collections", EXPERIMENT.pool_collection(entry("teachers", w.teacher)["calibrate"])
            ),
        ),
    output:
        artifact("calibrations", "{teacher}"),
    log:
        log("calibrate_teacher/{teacher}"),
    params:
        **job("teach.calibrate_teacher"),


# No GPU waits while pairs are looked up: another job does that, but for experiments small enough to run on either.
LOOKED_UP = CONFIG["device"] != "auto"


use rule mine_job as look_up_labels with:
    input:
        **reads(
            **teacher_tokens(lambda w: drawn_for(w.groups_id)),
            models=lambda w: list(map(manifest, RANKERS.scorers(w.teacher))),
            groups=manifest("groups", "{groups_id}", "seed{seed}"),
            known=lambda w: pools_of(w.groups_id, w.teacher),
        ),
    output:
        artifact("looked_up", "{teacher}", "{groups_id}", "seed{seed}"),
    log:
        log("look_up_labels/{teacher}.{groups_id}.seed{seed}"),
    params:
        **job("teach.look_up_labels"),


use rule score_job as label_groups with:
    input:
        **reads(
            **teacher_tokens(lambda w: drawn_for(w.groups_id)),
            models=lambda w: list(map(manifest, RANKERS.scorers(w.teacher))),
            groups=manifest("groups", "{groups_id}", "seed{seed}"),
            known=lambda w: [] if LOOKED_UP else pools_of(w.groups_id, w.teacher),
            looked_up=[manifest("looked_up", "{teacher}", "{groups_id}", "seed{seed}")] if LOOKED_UP else [],
            calibration=lambda w: list(map(manifest, RANKERS.calibrations(w.teacher))),
        ),
    output:
        artifact("labels", "{teacher}", "{groups_id}", "seed{seed}"),
    log:
        log("label_groups/{teacher}.{groups_id}.seed{seed}"),
    params:
        **job("teach.label_groups", **NUMBERS),
