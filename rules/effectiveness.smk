"""Tables over the whole grid."""


rule make_main_table:
    input:
        metrics=f"{RESULTS}/metrics.parquet",
        equivalence=f"{RESULTS}/tables/equivalence.csv",
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
        code=code("effectiveness.make_main_table"),
        spec=spec(domains=DOMAINS, measures=ALL_MEASURES, bootstrap=CONFIG["evaluation"]["bootstrap"], **GRID),
    shell:
        "python -m workflow_scripts.effectiveness.make_main_table --log {log:q} --spec {params.spec:q} --metrics {input.metrics:q} "
        "--equivalence {input.equivalence:q} --csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule make_equivalence_table:
    input:
        metrics=f"{RESULTS}/metrics.parquet",
    output:
        csv=f"{RESULTS}/tables/equivalence.csv",
        md=f"{RESULTS}/tables/equivalence.md",
        tex=f"{RESULTS}/tables/equivalence.tex",
    log:
        f"{RESULTS}/logs/make_equivalence_table.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_equivalence_table.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("effectiveness.make_equivalence_table"),
        spec=spec(
            domains=DOMAINS,
            measures=ALL_MEASURES,
            rule=COMPARISON,
            **GRID,
        ),
    shell:
        "python -m workflow_scripts.effectiveness.make_equivalence_table --log {log:q} --spec {params.spec:q} --metrics {input.metrics:q} "
        "--csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule make_collection_table:
    input:
        main=f"{RESULTS}/tables/main.csv",
    output:
        csv=f"{RESULTS}/tables/collections.{{student}}.csv",
        md=f"{RESULTS}/tables/collections.{{student}}.md",
        tex=f"{RESULTS}/tables/collections.{{student}}.tex",
    log:
        f"{RESULTS}/logs/make_collection_table/{{student}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_collection_table/{{student}}.tsv"
    wildcard_constraints:
        student="[a-z0-9-]+",
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("effectiveness.make_collection_table"),
        spec=lambda w: spec(
            domains=DOMAINS,
            measure=ALL_MEASURES[0],
            **dict(GRID, students=[w.student] if entry("students", w.student) else []),
        ),
    shell:
        "python -m workflow_scripts.effectiveness.make_collection_table --log {log:q} --spec {params.spec:q} --main {input.main:q} "
        "--csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule make_variance_table:
    input:
        metrics=f"{RESULTS}/metrics.parquet",
    output:
        csv=f"{RESULTS}/tables/variance.csv",
        md=f"{RESULTS}/tables/variance.md",
        tex=f"{RESULTS}/tables/variance.tex",
    log:
        f"{RESULTS}/logs/make_variance_table.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_variance_table.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("effectiveness.make_variance_table"),
        spec=spec(domains=DOMAINS, measures=ALL_MEASURES, **GRID),
    shell:
        "python -m workflow_scripts.effectiveness.make_variance_table --log {log:q} --spec {params.spec:q} --metrics {input.metrics:q} "
        "--csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule make_retrieval_table:
    input:
        reranked=f"{RESULTS}/metrics.parquet",
        retrieved=f"{RESULTS}/retrieval.parquet",
    output:
        csv=f"{RESULTS}/tables/retrieval.csv",
        md=f"{RESULTS}/tables/retrieval.md",
        tex=f"{RESULTS}/tables/retrieval.tex",
    log:
        f"{RESULTS}/logs/make_retrieval_table.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_retrieval_table.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("effectiveness.make_retrieval_table"),
        spec=spec(
            domains=RETRIEVED_DOMAINS,
            reranked_depth=CONFIG["first_stage"]["depth"],
            retrieved_depth=RETRIEVAL["depth"] if RETRIEVAL else None,
            measures=ALL_MEASURES,
            bootstrap=CONFIG["evaluation"]["bootstrap"],
            **dict(GRID, students=unique(EXPERIMENT.grid_rankers[path].student for path in RETRIEVERS)),
        ),
    shell:
        "python -m workflow_scripts.effectiveness.make_retrieval_table --log {log:q} --spec {params.spec:q} --reranked {input.reranked:q} "
        "--retrieved {input.retrieved:q} "
        "--csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"
