"""Teachers and students: one trained model for each."""


use rule train_job as train_teacher with:
    input:
        **reads(
            backbone=lambda w: manifest("backbones", RANKERS.teacher(w.teacher)["backbone"]),
            groups=lambda w: manifest(RANKERS.teacher_groups(w.teacher)),
            **teacher_tokens(lambda w: EXPERIMENT.training_collection_of(RANKERS.teacher(w.teacher)["sampler"])),
        ),
    output:
        artifact("teachers", "{teacher}"),
    log:
        log("train_teacher/{teacher}"),
    wildcard_constraints:
        teacher=rf"{ANY_ID}(/fold\d+)?",
    priority: SHARED
    params:
        **job("train.train_ranker", lambda w: RANKERS.teacher_spec(w.teacher)),


FIRST_STUDENT = next(iter(EXPERIMENT.grid_rankers))


use rule train_job as train_student with:
    input:
        **reads(
            backbone=lambda w: manifest("backbones", RANKERS.backbone(w.ranker)),
            groups=lambda w: manifest(RANKERS.groups(w.ranker)),
            labels=lambda w: [manifest(labels) for labels in RANKERS.labels(w.ranker)],
            collection=lambda w: [manifest(collection) for collection in RANKERS.judged(w.ranker)],
            **training_tokens(lambda w: (RANKERS.backbone(w.ranker), RANKERS.collection(w.ranker))),
        ),
    output:
        artifact("students", "{ranker}"),
    log:
        log("train_student/{ranker}"),
    # One cell is there early, for whoever watches.
    priority: lambda w: RERANKING if w.ranker == FIRST_STUDENT else STUDENTS_LAST
    params:
        **job("train.train_ranker", lambda w: RANKERS.student_spec(w.ranker)),
