"""Pretrained encoders, and every text tokenised once per vocabulary."""

SCRATCH = [name for name, backbone in CONFIG["backbones"].items() if backbone["source"] == "scratch"]


rule fetch_backbone:
    input:
        files=lambda w: local_model(entry("backbones", w.backbone)["source"]),
    output:
        manifest("backbones", "{backbone}"),
    log:
        f"{RESULTS}/logs/fetch_backbone/{{backbone}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/fetch_backbone/{{backbone}}.tsv"
    wildcard_constraints:
        backbone=other_than(SCRATCH),
    conda:
        "../environment.yml"
    threads: needs("prepare", "threads")
    resources:
        mem_mb=needs("prepare", "mem_mb"),
        runtime=needs("prepare", "runtime"),
    params:
        code=code("backbone.fetch_backbone"),
        spec=lambda w: spec(**picked("backbones", w.backbone, "source", "revision")),
    shell:
        "python -m workflow_scripts.backbone.fetch_backbone --log {log:q} --spec {params.spec:q} --output {output:q}"


rule pretrain_backbone:
    input:
        corpora=lambda w: [manifest("corpora", corpus) for corpus in entry("backbones", w.backbone)["corpora"]],
    output:
        manifest("backbones", "{backbone}"),
    log:
        f"{RESULTS}/logs/pretrain_backbone/{{backbone}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/pretrain_backbone/{{backbone}}.tsv"
    wildcard_constraints:
        backbone=one_of(SCRATCH),
    conda:
        "../environment.yml"
    threads: needs("pretrain", "threads")
    resources:
        mem_mb=needs("pretrain", "mem_mb"),
        runtime=needs("pretrain", "runtime"),
    params:
        code=code("backbone.pretrain_backbone"),
        spec=lambda w: spec(**picked("backbones", w.backbone, "tokenizer", "architecture", "pretraining", "seed")),
    shell:
        "python -m workflow_scripts.backbone.pretrain_backbone --log {log:q} --spec {params.spec:q} --corpus {input.corpora:q} "
        "--output {output:q}"


rule tokenise_corpus:
    input:
        backbone=lambda w: manifest("backbones", EXPERIMENT.vocabulary_backbone(w.vocabulary)),
        corpus=manifest("corpora", "{corpus}"),
    output:
        manifest("tokens", "{vocabulary}", "{corpus}.{view}"),
    log:
        f"{RESULTS}/logs/tokenise_corpus/{{vocabulary}}.{{corpus}}.{{view}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tokenise_corpus/{{vocabulary}}.{{corpus}}.{{view}}.tsv"
    conda:
        "../environment.yml"
    threads: needs("tokenise", "threads")
    resources:
        mem_mb=needs("tokenise", "mem_mb"),
        runtime=needs("tokenise", "runtime"),
    params:
        code=code("backbone.tokenise_corpus"),
        spec=lambda w: spec(view=w.view, max_tokens=CONFIG["lengths"]["document"]),
    shell:
        "python -m workflow_scripts.backbone.tokenise_corpus --log {log:q} --spec {params.spec:q} --backbone {input.backbone:q} "
        "--corpus {input.corpus:q} --output {output:q} --threads {threads}"


rule tokenise_queries:
    input:
        backbone=lambda w: manifest("backbones", EXPERIMENT.vocabulary_backbone(w.vocabulary)),
        collection=manifest("collections", "{collection}"),
    output:
        manifest("tokens", "{vocabulary}", "{collection}.queries"),
    log:
        f"{RESULTS}/logs/tokenise_queries/{{vocabulary}}.{{collection}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tokenise_queries/{{vocabulary}}.{{collection}}.tsv"
    conda:
        "../environment.yml"
    threads: needs("tokenise", "threads")
    resources:
        mem_mb=needs("tokenise", "mem_mb"),
        runtime=needs("tokenise", "runtime"),
    params:
        code=code("backbone.tokenise_queries"),
        spec=spec(max_tokens=CONFIG["lengths"]["query"]),
    shell:
        "python -m workflow_scripts.backbone.tokenise_queries --log {log:q} --spec {params.spec:q} --backbone {input.backbone:q} "
        "--collection {input.collection:q} --output {output:q} --threads {threads}"


rule tokenise_evaluation:
    input:
        backbone=lambda w: manifest("backbones", EXPERIMENT.vocabulary_backbone(w.vocabulary)),
        evaluation=EVALUATION,
        tests=TESTS,
        corpora=[manifest("corpora", entry("collections", name)["corpus"]) for name in EXPERIMENT.evaluated],
    output:
        manifest("tokens", "{vocabulary}", "evaluation"),
    log:
        f"{RESULTS}/logs/tokenise_evaluation/{{vocabulary}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tokenise_evaluation/{{vocabulary}}.tsv"
    conda:
        "../environment.yml"
    threads: needs("tokenise", "threads")
    resources:
        mem_mb=needs("tokenise", "mem_mb"),
        runtime=needs("tokenise", "runtime"),
    params:
        code=code("backbone.tokenise_evaluation"),
        spec=spec(query_tokens=CONFIG["lengths"]["query"], document_tokens=CONFIG["lengths"]["document"]),
        collections=EXPERIMENT.evaluated,
    shell:
        "python -m workflow_scripts.backbone.tokenise_evaluation --log {log:q} --spec {params.spec:q} "
        "--backbone {input.backbone:q} --evaluation {input.evaluation:q} --collections {params.collections} "
        "--tests {input.tests:q} --corpora {input.corpora:q} --output {output:q} --threads {threads}"
