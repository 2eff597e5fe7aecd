"""Teacher scores: every pair that training needs is scored once."""


rule score_pool:
    input:
        unpack(lambda w: teacher_tokens(w.teacher, EXPERIMENT.pool_collection(w.pool))),
        model=lambda w: model(f"teacher/{w.teacher}"),
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
    output:
        manifest("scores", "{teacher}", "{pool}"),
    log:
        f"{RESULTS}/logs/score_pool/{{teacher}}.{{pool}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/score_pool/{{teacher}}.{{pool}}.tsv"
    conda:
        "../environment.yml"
    threads: needs("score", "threads")
    resources:
        mem_mb=needs("score", "mem_mb"),
        runtime=needs("score", "runtime"),
        gpu=1,
    params:
        code=code("teach.score_pool"),
        spec=lambda w: spec(**picked("pools", w.pool, "depth", "positives"), precision=TRAINING["precision"]),
        rankings=lambda w, input: f"--rankings {' '.join(input.rankings)}" if input.rankings else "",
        collection=lambda w, input: f"--collection {' '.join(input.collection)}" if input.collection else "",
        known=lambda w, input: f"--known {' '.join(input.known)}" if input.known else "",
    shell:
        "python -m workflow_scripts.teach.score_pool --log {log:q} --spec {params.spec:q} --model {input.model:q} --queries {input.queries:q} "
        "--documents {input.documents:q} {params.rankings} {params.collection} {params.known} --output {output:q}"


rule label_groups:
    input:
        unpack(lambda w: teacher_tokens(w.teacher, drawn_for(w.label))),
        model=lambda w: model(f"teacher/{w.teacher}"),
        groups=manifest("groups", "{label}", "seed{seed}"),
        known=lambda w: [
            *uncut_labels(w),
            *(manifest("scores", w.teacher, pool) for pool in sampler_of(w.label)[0]["pools"]),
        ],
    output:
        manifest("labels", "{teacher}", "{label}", "seed{seed}"),
    log:
        f"{RESULTS}/logs/label_groups/{{teacher}}.{{label}}.seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/label_groups/{{teacher}}.{{label}}.seed{{seed}}.tsv"
    conda:
        "../environment.yml"
    threads: needs("score", "threads")
    resources:
        mem_mb=needs("score", "mem_mb"),
        runtime=needs("score", "runtime"),
        gpu=1,
    params:
        code=code("teach.label_groups"),
        spec=spec(precision=TRAINING["precision"]),
        known=lambda w, input: f"--known {' '.join(input.known)}" if input.known else "",
    shell:
        "python -m workflow_scripts.teach.label_groups --log {log:q} --spec {params.spec:q} --groups {input.groups:q} --model {input.model:q} "
        "--queries {input.queries:q} --documents {input.documents:q} {params.known} --output {output:q}"
