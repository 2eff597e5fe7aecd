"""Teachers and students: one trained model for each."""


rule train_teacher:
    input:
        unpack(lambda w: teacher_tokens(w.teacher, EXPERIMENT.trained_on(entry("teachers", w.teacher)["sampler"]))),
        backbone=lambda w: manifest("backbones", entry("teachers", w.teacher)["backbone"]),
        groups=lambda w: manifest(
            "groups", entry("teachers", w.teacher)["sampler"], f"seed{entry('teachers', w.teacher)['seed']}"
        ),
    output:
        manifest("teachers", "{teacher}"),
    log:
        f"{RESULTS}/logs/train_teacher/{{teacher}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_teacher/{{teacher}}.tsv"
    conda:
        "../environment.yml"
    threads: needs("train", "threads")
    resources:
        mem_mb=needs("train", "mem_mb"),
        runtime=needs("train", "runtime"),
        gpu=1,
    params:
        code=lambda w: code(
            "train.train_teacher", f"train.losses.{entry('losses', entry('teachers', w.teacher)['loss'])['function']}"
        ),
        spec=lambda w: spec(
            architecture="cross-encoder",
            **optimisation(
                f"teacher/{w.teacher}",
                seeds=dict.fromkeys(("initialisation", "order"), entry("teachers", w.teacher)["seed"]),
                **picked("teachers", w.teacher, "documents", "learning_rate", "loss"),
            ),
        ),
    shell:
        "python -m workflow_scripts.train.train_teacher --log {log:q} --spec {params.spec:q} --backbone {input.backbone:q} "
        "--groups {input.groups:q} --queries {input.queries:q} --documents {input.documents:q} "
        "--output {output:q}"


rule train_student:
    input:
        unpack(student_inputs),
    output:
        manifest("students", "{ranker}"),
    log:
        f"{RESULTS}/logs/train_student/{{ranker}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_student/{{ranker}}.tsv"
    conda:
        "../environment.yml"
    threads: needs("train", "threads")
    resources:
        mem_mb=needs("train", "mem_mb"),
        runtime=needs("train", "runtime"),
        gpu=1,
    params:
        code=lambda w: code(
            "train.train_student",
            f"train.losses.{entry('losses', known(EXPERIMENT.ranker, w.ranker).loss)['function']}",
        ),
        spec=student_spec,
        labels=lambda w, input: f"--labels {input.labels[0]}" if input.labels else "",
    shell:
        "python -m workflow_scripts.train.train_student --log {log:q} --spec {params.spec:q} --backbone {input.backbone:q} "
        "--groups {input.groups:q} {params.labels} --queries {input.queries:q} --documents {input.documents:q} "
        "--output {output:q}"
