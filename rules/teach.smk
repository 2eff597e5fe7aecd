"""Teacher scores: every pair that training needs is scored once, labels at one temperature."""

# What a pool lists, and what its teacher reads.
LISTED = dict(
    rankings=lambda w: [
        manifest("rankings", system, EXPERIMENT.pool_collection(w.pool)) for system in entry("pools", w.pool)["systems"]
    ],
    collection=lambda w: (
        [manifest("collections", EXPERIMENT.pool_collection(w.pool))] if entry("pools", w.pool)["positives"] else []
    ),
)
SCORED = dict(
    **teacher_tokens(lambda w: EXPERIMENT.pool_collection(w.pool)),
    models=lambda w: list(map(manifest, RANKERS.scorers(w.teacher))),
)
# What labels are looked up and scored for.
LABELLED = dict(
    **teacher_tokens(lambda w: drawn_for(w.groups_id)),
    models=lambda w: list(map(manifest, RANKERS.scorers(w.teacher))),
    groups=manifest("groups", "{groups_id}", "seed{seed}"),
)


if not SCATTERED:

    use rule score_job as score_pool with:
        input:
            **reads(
                **SCORED,
                **LISTED,
                known=lambda w: [manifest("scores", w.teacher, pool) for pool in entry("pools", w.pool)["known"]],
            ),
        output:
            artifact("scores", "{teacher}", "{pool}"),
        log:
            log("score_pool/{teacher}.{pool}"),
        params:
            **job("teach.score_pool", lambda w: subset("pools", w.pool, "depth"), **NUMBERS),

else:

    use rule mine_job as list_pairs with:
        input:
            **reads(
                **training_tokens(
                    lambda w: (EXPERIMENT.vocabulary_backbone(w.vocabulary), EXPERIMENT.pool_collection(w.pool))
                ),
                **LISTED,
                known=lambda w: [manifest("pairs", w.vocabulary, pool) for pool in entry("pools", w.pool)["known"]],
            ),
        output:
            artifact("pairs", "{vocabulary}", "{pool}"),
        log:
            log("list_pairs/{vocabulary}.{pool}"),
        params:
            **job("teach.list_pairs", lambda w: subset("pools", w.pool, "depth")),

    SCORED["pairs"] = lambda w: manifest(
        "pairs", entry("backbones", RANKERS.teacher(w.teacher)["backbone"])["vocabulary"], w.pool
    )

    use rule score_job as score_shard with:
        input:
            **reads(**SCORED),
        output:
            artifact("shards", "scores", "{teacher}", "{pool}", "{shard}"),
        log:
            log("score_shard/{teacher}.{pool}.{shard}"),
        params:
            **job("teach.score_shard", lambda w: dict(shard=w.shard), **NUMBERS),

    use rule mine_job as merge_pool with:
        input:
            **reads(
                **SCORED,
                shards=lambda w: [manifest("shards", "scores", w.teacher, w.pool, shard) for shard in SHARDS],
            ),
        output:
            artifact("scores", "{teacher}", "{pool}"),
        log:
            log("merge_pool/{teacher}.{pool}"),
        params:
            **job("teach.merge_pool", lambda w: subset("pools", w.pool, "depth"), **NUMBERS),


use rule analyse_job as calibrate_teacher with:
    input:
        **reads(
            scores=calibrated_on,
            collection=lambda w: manifest(
                "collections", EXPERIMENT.pool_collection(entry("teachers", w.teacher)["calibrate"])
            ),
        ),
    output:
        artifact("calibrations", "{teacher}"),
    log:
        log("calibrate_teacher/{teacher}"),
    params:
        **job("teach.calibrate_teacher", order=calibrated_on),


# No GPU waits while pairs are looked up: another job does that, but for experiments small enough to run on either.
LOOKED_UP = CONFIG["device"] != "auto"


use rule mine_job as look_up_labels with:
    input:
        **reads(**LABELLED, known=lambda w: pools_of(w.groups_id, w.teacher)),
    output:
        artifact("looked_up", "{teacher}", "{groups_id}", "seed{seed}"),
    log:
        log("look_up_labels/{teacher}.{groups_id}.seed{seed}"),
    params:
        **job("teach.look_up_labels", order=lambda w: pools_of(w.groups_id, w.teacher)),


use rule score_job as label_groups with:
    input:
        **reads(
            **LABELLED,
            known=lambda w: [] if LOOKED_UP else pools_of(w.groups_id, w.teacher),
            looked_up=[manifest("looked_up", "{teacher}", "{groups_id}", "seed{seed}")] if LOOKED_UP else [],
            calibration=lambda w: list(map(manifest, RANKERS.calibrations(w.teacher))),
        ),
    output:
        artifact("labels", "{teacher}", "{groups_id}", "seed{seed}"),
    log:
        log("label_groups/{teacher}.{groups_id}.seed{seed}"),
    params:
        **job("teach.label_groups", order=lambda w: pools_of(w.groups_id, w.teacher), **NUMBERS),
