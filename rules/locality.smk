"""Locality and risk: what groups span and miss, the bound that speaks of it, errors against a known truth."""


rule make_correlation_table:
    input:
        metrics=f"{RESULTS}/metrics.parquet",
        teachers=[manifest("runs", f"teacher/{teacher}") for teacher in GRID["teachers"]],
        students=[manifest("runs", ranker) for ranker in GRID_RANKERS],
    output:
        csv=f"{RESULTS}/tables/correlation.csv",
        md=f"{RESULTS}/tables/correlation.md",
        tex=f"{RESULTS}/tables/correlation.tex",
    log:
        f"{RESULTS}/logs/make_correlation_table.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_correlation_table.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("locality.make_correlation_table"),
        spec=spec(
            domains=DOMAINS,
            measure=ALL_MEASURES[0],
            depth=CONFIG["analysis"]["correlation"]["depth"],
            confidence=CONFIG["evaluation"]["bootstrap"]["confidence"],
            **GRID,
        ),
    shell:
        "python -m workflow_scripts.locality.make_correlation_table --log {log:q} --spec {params.spec:q} --metrics {input.metrics:q} "
        "--teachers {input.teachers:q} --students {input.students:q} --csv {output.csv:q} --md {output.md:q} "
        "--tex {output.tex:q}"


rule embed_groups:
    input:
        groups=sorted(set(sampled("groups"))),
        model=EMBEDDER,
        documents=document_tokens(EMBEDDING_BACKBONE, TRAINING["collection"], TRAINING["view"]),
    output:
        manifest("embeddings"),
    log:
        f"{RESULTS}/logs/embed_groups.log",
    benchmark:
        f"{RESULTS}/benchmarks/embed_groups.tsv"
    conda:
        "../environment.yml"
    threads: needs("rerank", "threads")
    resources:
        mem_mb=needs("rerank", "mem_mb"),
        runtime=needs("rerank", "runtime"),
        gpu=1,
    params:
        code=code("locality.embed_groups"),
        spec=spec(
            queries=CONFIG["analysis"]["locality"]["queries"],
            seed=0,
            max_tokens=CONFIG["lengths"]["document"],
            precision=TRAINING["precision"],
        ),
    shell:
        "python -m workflow_scripts.locality.embed_groups --log {log:q} --spec {params.spec:q} --groups {input.groups:q} "
        "--model {input.model:q} --documents {input.documents:q} --output {output:q}"


rule make_locality_table:
    input:
        groups=sampled("groups"),
        labels=sampled("labels"),
        embeddings=manifest("embeddings"),
        corpus=manifest("corpora", entry("collections", TRAINING["collection"])["corpus"]),
        collection=manifest("collections", TRAINING["collection"]),
        rankings=[
            manifest("rankings", CONFIG["first_stage"]["system"], name)
            for name in EXPERIMENT.evaluated
            if entry("collections", name)["corpus"] == entry("collections", TRAINING["collection"])["corpus"]
        ],
    output:
        csv=f"{RESULTS}/tables/locality.csv",
        md=f"{RESULTS}/tables/locality.md",
        tex=f"{RESULTS}/tables/locality.tex",
    log:
        f"{RESULTS}/logs/make_locality_table.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_locality_table.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("locality.make_locality_table"),
        spec=spec(
            rows=EXPERIMENT.sampled,
            embedding=EXPERIMENT.embedding,
            quantile=CONFIG["analysis"]["locality"]["quantile"],
            margin=CONFIG["analysis"]["locality"]["margin"],
            depth=CONFIG["first_stage"]["depth"],
            random=next((name for name in GRID["samplers"] if entry("samplers", name)["function"] == "random"), None),
        ),
        rankings=lambda w, input: f"--rankings {' '.join(input.rankings)}" if input.rankings else "",
    shell:
        "python -m workflow_scripts.locality.make_locality_table --log {log:q} --spec {params.spec:q} --groups {input.groups:q} "
        "--labels {input.labels:q} --embeddings {input.embeddings:q} --corpus {input.corpus:q} "
        "--collection {input.collection:q} {params.rankings} --csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule make_bound_table:
    input:
        locality=f"{RESULTS}/tables/locality.csv",
        groups=sampled("groups"),
        labels=sampled("labels"),
        embeddings=manifest("embeddings"),
        models=lambda w: [remake(manifest("students", first_cell(name))) for name in GRID["students"]],
        risk=[f"{RESULTS}/tables/risk.csv"] if EXPERIMENT.has_truth else [],
    output:
        csv=f"{RESULTS}/tables/bound.csv",
        md=f"{RESULTS}/tables/bound.md",
        tex=f"{RESULTS}/tables/bound.tex",
    log:
        f"{RESULTS}/logs/make_bound_table.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_bound_table.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("locality.make_bound_table"),
        spec=spec(
            rows=EXPERIMENT.sampled,
            students=GRID["students"],
            losses=GRID["losses"],
            domain=DOMAINS[0]["name"],
            **CONFIG["analysis"]["bound"],
            quantile=CONFIG["analysis"]["locality"]["quantile"],
        ),
        risk=lambda w, input: f"--risk {input.risk[0]}" if input.risk else "",
    shell:
        "python -m workflow_scripts.locality.make_bound_table --log {log:q} --spec {params.spec:q} --locality {input.locality:q} "
        "--groups {input.groups:q} --labels {input.labels:q} --embeddings {input.embeddings:q} --models {input.models:q} "
        "{params.risk} "
        "--csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule make_risk_table:
    input:
        runs=lambda w: [whole_runs(ranker) for ranker in RANKERS],
        tests=TESTS,
    output:
        csv=f"{RESULTS}/tables/risk.csv",
        md=f"{RESULTS}/tables/risk.md",
        tex=f"{RESULTS}/tables/risk.tex",
    log:
        f"{RESULTS}/logs/make_risk_table.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_risk_table.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("locality.make_risk_table"),
        spec=spec(
            domains=DOMAINS,
            bootstrap=CONFIG["evaluation"]["bootstrap"],
            rankers=[list(ranker_keys(ranker).values()) for ranker in RANKERS],
            collections=EXPERIMENT.evaluated,
            **GRID,
        ),
    shell:
        "python -m workflow_scripts.locality.make_risk_table --log {log:q} --spec {params.spec:q} --runs {input.runs:q} "
        "--tests {input.tests:q} --csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"
