"""Tables over the whole grid."""


rule collect_metrics:
    input:
        code=code("collect_metrics"),
        metrics=lambda w: [remake(manifest("metrics", ranker)) for ranker in [*references(), *EXPERIMENT.rankers]],
    output:
        f"{RESULTS}/metrics.parquet",
    log:
        f"{RESULTS}/logs/collect_metrics.log",
    benchmark:
        f"{RESULTS}/benchmarks/collect_metrics.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        spec=spec(),
    shell:
        "python -m workflow_scripts.collect_metrics --log {log:q} --metrics {input.metrics:q} --output {output:q}"


rule make_main_table:
    input:
        code=code("make_main_table"),
        metrics=f"{RESULTS}/metrics.parquet",
    output:
        csv=f"{RESULTS}/tables/main.csv",
        md=f"{RESULTS}/tables/main.md",
        tex=f"{RESULTS}/tables/main.tex",
    log:
        f"{RESULTS}/logs/make_main_table.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_main_table.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        spec=spec(
            domains=DOMAINS,
            seeds=CONFIG["seeds"],
            **{axis: list(CONFIG[axis]) for axis in ("students", "losses", "samplers", "teachers")},
            measures=list(dict.fromkeys(itertools.chain(*MEASURES.values()))),
        ),
    shell:
        "python -m workflow_scripts.make_main_table --log {log:q} --spec {params.spec:q} --metrics {input.metrics:q} "
        "--csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule check_first_stage:
    input:
        code=code("check_first_stage"),
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
        spec=spec(
            rankings=[{"system": system, "collection": collection} for system, collection in CHECKED],
            measures=CONFIG["evaluation"]["measures"],
            tolerance=0.0005,
            close=0.005,
        ),
    shell:
        "python -m workflow_scripts.check_first_stage --log {log:q} --spec {params.spec:q} --rankings {input.rankings:q} "
        "--collections {input.collections:q} --expected {input.expected:q} --output {output:q}"
