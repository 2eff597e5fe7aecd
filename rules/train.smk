"""Students: one trained model per cell and seed."""


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
            "train_student", f"losses.{entry('losses', known(EXPERIMENT.ranker, w.ranker).loss)['function']}"
        ),
        spec=student_spec,
        labels=lambda w, input: f"--labels {input.labels[0]}" if input.labels else "",
    shell:
        "python -m workflow_scripts.train_student --log {log:q} --spec {params.spec:q} --backbone {input.backbone:q} "
        "--groups {input.groups:q} {params.labels} --queries {input.queries:q} --documents {input.documents:q} "
        "--output {output:q}"
