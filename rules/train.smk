"""Teachers and students: one trained model for each."""


use rule train_job as train_teacher with:
    input:
        unpack(
            reads(
                lambda w: teacher_tokens(w.teacher, EXPERIMENT.trained_on(entry("teachers", w.teacher)["sampler"])),
                backbone=lambda w: manifest("backbones", entry("teachers", w.teacher)["backbone"]),
                groups=lambda w: manifest(
                    "groups", entry("teachers", w.teacher)["sampler"], f"seed{entry('teachers', w.teacher)['seed']}"
                ),
            )
        ),
    output:
        artifact("teachers", "{teacher}"),
    log:
        log("train_teacher/{teacher}"),
    params:
        **job(
            "train.train_ranker",
            lambda w: dict(
                architecture="cross-encoder",
                **optimisation(
                    f"teacher/{w.teacher}",
                    seeds=dict.fromkeys(("initialisation", "order"), entry("teachers", w.teacher)["seed"]),
                    **picked("teachers", w.teacher, "documents", "learning_rate", "loss"),
                ),
            ),
        ),


use rule train_job as train_student with:
    input:
        unpack(reads(student_inputs)),
    output:
        artifact("students", "{ranker}"),
    log:
        log("train_student/{ranker}"),
    params:
        **job("train.train_ranker", student_spec),
