"""Evaluation: BM25's top documents re-ranked, runs kept, measures per query, one file per cell and domain."""


rule gather_evaluation:
    input:
        tests=TESTS,
        rankings=[manifest("rankings", CONFIG["first_stage"]["system"], name) for name in EXPERIMENT.evaluated],
    output:
        EVALUATION,
    log:
        f"{RESULTS}/logs/gather_evaluation.log",
    benchmark:
        f"{RESULTS}/benchmarks/gather_evaluation.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("evaluate.gather_evaluation"),
        spec=spec(depth=CONFIG["first_stage"]["depth"]),
        collections=EXPERIMENT.evaluated,
    shell:
        "python -m workflow_scripts.evaluate.gather_evaluation --log {log:q} --spec {params.spec:q} "
        "--collections {params.collections} --tests {input.tests:q} --rankings {input.rankings:q} --output {output:q}"


rule export_run:
    input:
        evaluation=EVALUATION,
    output:
        manifest=manifest("runs", "bm25"),
        runs=runs("bm25"),
    log:
        f"{RESULTS}/logs/export_run/bm25.log",
    benchmark:
        f"{RESULTS}/benchmarks/export_run/bm25.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("evaluate.export_run"),
        spec=spec(tag="bm25"),
        collections=EXPERIMENT.evaluated,
    shell:
        "python -m workflow_scripts.evaluate.export_run --log {log:q} --spec {params.spec:q} --collections {params.collections} "
        "--evaluation {input.evaluation:q} --output {output.manifest:q}"


rule rerank_candidates:
    input:
        model=lambda w: remake(model(w.ranker)),
        evaluation=EVALUATION,
        tokens=lambda w: tokens(architecture(w.ranker)[1], "evaluation"),
    output:
        manifest=manifest("runs", "{ranker}"),
        runs=runs("{ranker}"),
    log:
        f"{RESULTS}/logs/rerank_candidates/{{ranker}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/rerank_candidates/{{ranker}}.tsv"
    wildcard_constraints:
        ranker=f"(?!retrieved/){RANKER}",
    conda:
        "../environment.yml"
    threads: needs("rerank", "threads")
    resources:
        mem_mb=needs("rerank", "mem_mb"),
        runtime=needs("rerank", "runtime"),
        gpu=1,
    params:
        code=code("evaluate.rerank_candidates"),
        spec=lambda w: spec(
            architecture=architecture(w.ranker)[0],
            tag=".".join(PurePosixPath(w.ranker).parts),
            precision=TRAINING["precision"],
        ),
        collections=EXPERIMENT.evaluated,
    shell:
        "python -m workflow_scripts.evaluate.rerank_candidates --log {log:q} --spec {params.spec:q} --model {input.model:q} "
        "--collections {params.collections} --evaluation {input.evaluation:q} --tokens {input.tokens:q} "
        "--output {output.manifest:q}"


rule retrieve_documents:
    input:
        model=lambda w: remake(retriever(w.ranker)),
        tests=lambda w: [manifest("collections", name) for name in EXPERIMENT.tested("retrieved/")],
        queries=lambda w: [query_tokens(architecture(w.ranker)[1], name) for name in EXPERIMENT.tested("retrieved/")],
        documents=lambda w: [
            document_tokens(architecture(w.ranker)[1], name, "full") for name in EXPERIMENT.tested("retrieved/")
        ],
    output:
        manifest=manifest("runs", "retrieved/{ranker}"),
        runs=runs("retrieved/{ranker}"),
    log:
        f"{RESULTS}/logs/retrieve_documents/{{ranker}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/retrieve_documents/{{ranker}}.tsv"
    conda:
        "../environment.yml"
    threads: needs("rerank", "threads")
    resources:
        mem_mb=needs("rerank", "mem_mb"),
        runtime=needs("rerank", "runtime"),
        gpu=1,
    params:
        code=code("evaluate.retrieve_documents"),
        spec=lambda w: spec(
            **{key: RETRIEVAL[key] for key in ("depth", "index", "index_parameters")},
            tag=".".join(["retrieved", *PurePosixPath(w.ranker).parts]),
            remove_query={
                name: entry("collections", name).get("remove_query", False) for name in EXPERIMENT.tested("retrieved/")
            },
            precision=TRAINING["precision"],
            max_tokens=CONFIG["lengths"],
        ),
        collections=EXPERIMENT.tested("retrieved/"),
    shell:
        "python -m workflow_scripts.evaluate.retrieve_documents --log {log:q} --spec {params.spec:q} --model {input.model:q} "
        "--collections {params.collections} --tests {input.tests:q} --queries {input.queries:q} "
        "--documents {input.documents:q} --output {output.manifest:q}"


rule measure_runs:
    input:
        runs=lambda w: whole_runs(w.ranker),
        evaluation=EVALUATION,
    output:
        manifest("metrics", "{ranker}"),
    log:
        f"{RESULTS}/logs/measure_runs/{{ranker}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/measure_runs/{{ranker}}.tsv"
    wildcard_constraints:
        ranker=f"bm25|{RANKER}",
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("evaluate.measure_runs"),
        spec=lambda w: spec(
            measures={name: MEASURES[name] for name in EXPERIMENT.tested(w.ranker)},
            keys=ranker_keys(w.ranker),
        ),
        collections=lambda w: EXPERIMENT.tested(w.ranker),
    shell:
        "python -m workflow_scripts.evaluate.measure_runs --log {log:q} --spec {params.spec:q} --runs {input.runs:q} "
        "--collections {params.collections} --evaluation {input.evaluation:q} --output {output:q}"


rule write_cell:
    input:
        metrics=lambda w: remake(manifest("metrics", known(EXPERIMENT.ranker, w.cell).path)),
    output:
        cells=[f"{RESULTS}/cells/{{cell}}.{domain}.csv" for domain in CONFIG["domains"]],
    log:
        f"{RESULTS}/logs/write_cell/{{cell}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/write_cell/{{cell}}.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("evaluate.write_cell"),
        spec=spec(domains=DOMAINS, bootstrap=CONFIG["evaluation"]["bootstrap"]),
        cells=lambda w: [f"{domain}={RESULTS}/cells/{w.cell}.{domain}.csv" for domain in CONFIG["domains"]],
    shell:
        "python -m workflow_scripts.evaluate.write_cell --log {log:q} --spec {params.spec:q} --metrics {input.metrics:q} "
        "--output {params.cells:q}"


rule collect_metrics:
    input:
        metrics=lambda w: retrieval_metrics() if w.table == "retrieval" else every_metrics(),
    output:
        f"{RESULTS}/{{table}}.parquet",
    log:
        f"{RESULTS}/logs/collect_metrics/{{table}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/collect_metrics/{{table}}.tsv"
    wildcard_constraints:
        table="metrics|retrieval",
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("evaluate.collect_metrics"),
        spec=spec(),
    shell:
        "python -m workflow_scripts.evaluate.collect_metrics --log {log:q} --metrics {input.metrics:q} --output {output:q}"


rule check_first_stage:
    input:
        rankings=[manifest("rankings", system, collection) for system, collection in CHECKED],
        collections=[manifest("collections", collection) for _, collection in CHECKED],
        expected=os.path.relpath(os.path.join(workflow.basedir, "config", "expected", "bm25.yaml")),
    output:
        f"{RESULTS}/tables/first_stage.csv",
    log:
        f"{RESULTS}/logs/check_first_stage.log",
    benchmark:
        f"{RESULTS}/benchmarks/check_first_stage.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("evaluate.check_first_stage"),
        spec=spec(
            rankings=[{"system": system, "collection": collection} for system, collection in CHECKED],
            measures=CONFIG["evaluation"]["measures"],
            tolerance=0.0005,
            close=0.005,
        ),
    shell:
        "python -m workflow_scripts.evaluate.check_first_stage --log {log:q} --spec {params.spec:q} --rankings {input.rankings:q} "
        "--collections {input.collections:q} --expected {input.expected:q} --output {output:q}"
