"""Negatives: the groups that each sampler draws for the training queries."""


use rule mine_job as mine_negatives with:
    input:
        **reads(
            corpus=lambda w: corpus_of(drawn_for(w.groups_id)),
            collection=lambda w: manifest("collections", drawn_for(w.groups_id)),
            rankings=lambda w: [
                manifest("rankings", system, drawn_for(w.groups_id))
                for system in sampler_of(w.groups_id)[0]["systems"]
            ],
            scores=lambda w: pools_of(w.groups_id, sampler_of(w.groups_id)[1]),
        ),
    output:
        artifact("groups", "{groups_id}", "seed{seed}"),
    log:
        log("mine_negatives/{groups_id}.seed{seed}"),
    params:
        **job(
            "mine.mine_negatives",
            lambda w: dict(
                sampler=sampler_of(w.groups_id)[0]["function"],
                options=sampler_of(w.groups_id)[0]["options"],
                seed=int(w.seed),
            ),
            order=lambda w: [
                *sampler_of(w.groups_id)[0]["systems"],
                *pools_of(w.groups_id, sampler_of(w.groups_id)[1]),
            ],
            negatives=TRAINING["negatives"],
        ),
