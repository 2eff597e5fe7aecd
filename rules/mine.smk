"""Negatives: the groups that each sampler draws for the training queries."""


rule mine_negatives:
    input:
        corpus=lambda w: manifest("corpora", entry("collections", drawn_for(w.label))["corpus"]),
        collection=lambda w: manifest("collections", drawn_for(w.label)),
        rankings=lambda w: [
            manifest("rankings", system, drawn_for(w.label)) for system in sampler_of(w.label)[0]["systems"]
        ],
        scores=lambda w: [
            manifest("scores", teacher, pool)
            for sampler, teacher in [sampler_of(w.label)]
            if teacher
            for pool in sampler["pools"]
        ],
    output:
        manifest("groups", "{label}", "seed{seed}"),
    log:
        f"{RESULTS}/logs/mine_negatives/{{label}}.seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/mine_negatives/{{label}}.seed{{seed}}.tsv"
    wildcard_constraints:
        label=other_than(CUTS, LABEL),
    conda:
        "../environment.yml"
    threads: needs("mine", "threads")
    resources:
        mem_mb=needs("mine", "mem_mb"),
        runtime=needs("mine", "runtime"),
    params:
        code=lambda w: code("mine.mine_negatives", f"mine.samplers.{sampler_of(w.label)[0]['function']}"),
        spec=lambda w: spec(
            sampler=sampler_of(w.label)[0]["function"],
            options=sampler_of(w.label)[0]["options"],
            negatives=TRAINING["negatives"],
            seed=int(w.seed),
        ),
        rankings=lambda w, input: f"--rankings {' '.join(input.rankings)}" if input.rankings else "",
        scores=lambda w, input: f"--scores {' '.join(input.scores)}" if input.scores else "",
    shell:
        "python -m workflow_scripts.mine.mine_negatives --log {log:q} --spec {params.spec:q} --corpus {input.corpus:q} "
        "--collection {input.collection:q} {params.rankings} {params.scores} --output {output:q}"


rule cut_groups:
    input:
        groups=lambda w: manifest("groups", cut_of(w.label)[0], f"seed{w.seed}"),
        labels=lambda w: manifest("labels", cut_of(w.label)[1], cut_of(w.label)[0], f"seed{w.seed}"),
    output:
        manifest("groups", "{label}", "seed{seed}"),
    log:
        f"{RESULTS}/logs/cut_groups/{{label}}.seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/cut_groups/{{label}}.seed{{seed}}.tsv"
    wildcard_constraints:
        label=one_of(CUTS),
    conda:
        "../environment.yml"
    threads: needs("mine", "threads")
    resources:
        mem_mb=needs("mine", "mem_mb"),
        runtime=needs("mine", "runtime"),
    params:
        code=code("mine.cut_groups"),
        spec=lambda w: spec(cut=cut_of(w.label)[2], **{key: STUDIES["cuts"][key] for key in ("fence", "at_least")}),
    shell:
        "python -m workflow_scripts.mine.cut_groups --log {log:q} --spec {params.spec:q} --groups {input.groups:q} "
        "--labels {input.labels:q} --output {output:q}"
