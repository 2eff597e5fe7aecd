"""Tables over the whole grid."""


rule collect_metrics:
    input:
        code=code("collect_metrics"),
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
        spec=spec(),
    shell:
        "python -m workflow_scripts.collect_metrics --log {log:q} --metrics {input.metrics:q} --output {output:q}"


rule make_main_table:
    input:
        code=code("make_main_table"),
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
        spec=spec(domains=DOMAINS, measures=ALL_MEASURES, bootstrap=CONFIG["evaluation"]["bootstrap"], **GRID),
    shell:
        "python -m workflow_scripts.make_main_table --log {log:q} --spec {params.spec:q} --metrics {input.metrics:q} "
        "--equivalence {input.equivalence:q} --csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule make_equivalence_table:
    input:
        code=code("make_equivalence_table"),
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
        spec=spec(
            domains=DOMAINS,
            measures=ALL_MEASURES,
            rule=COMPARISON,
            **GRID,
        ),
    shell:
        "python -m workflow_scripts.make_equivalence_table --log {log:q} --spec {params.spec:q} --metrics {input.metrics:q} "
        "--csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule make_collection_table:
    input:
        code=code("make_collection_table"),
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
        spec=lambda w: spec(
            domains=DOMAINS,
            measure=ALL_MEASURES[0],
            **dict(GRID, students=[w.student] if entry("students", w.student) else []),
        ),
    shell:
        "python -m workflow_scripts.make_collection_table --log {log:q} --spec {params.spec:q} --main {input.main:q} "
        "--csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule make_variance_table:
    input:
        code=code("make_variance_table"),
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
        spec=spec(domains=DOMAINS, measures=ALL_MEASURES, **GRID),
    shell:
        "python -m workflow_scripts.make_variance_table --log {log:q} --spec {params.spec:q} --metrics {input.metrics:q} "
        "--csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule make_correlation_table:
    input:
        code=code("make_correlation_table"),
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
        spec=spec(
            domains=DOMAINS,
            measure=ALL_MEASURES[0],
            depth=CONFIG["analysis"]["correlation"]["depth"],
            confidence=CONFIG["evaluation"]["bootstrap"]["confidence"],
            **GRID,
        ),
    shell:
        "python -m workflow_scripts.make_correlation_table --log {log:q} --spec {params.spec:q} --metrics {input.metrics:q} "
        "--teachers {input.teachers:q} --students {input.students:q} --csv {output.csv:q} --md {output.md:q} "
        "--tex {output.tex:q}"


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


rule embed_groups:
    input:
        code=code("embed_groups"),
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
        spec=spec(
            queries=CONFIG["analysis"]["locality"]["queries"],
            seed=0,
            max_tokens=CONFIG["lengths"]["document"],
            precision=TRAINING["precision"],
        ),
    shell:
        "python -m workflow_scripts.embed_groups --log {log:q} --spec {params.spec:q} --groups {input.groups:q} "
        "--model {input.model:q} --documents {input.documents:q} --output {output:q}"


rule make_locality_table:
    input:
        code=code("make_locality_table"),
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
        spec=spec(
            rows=SAMPLED,
            embedding=EMBEDDING,
            quantile=CONFIG["analysis"]["locality"]["quantile"],
            margin=CONFIG["analysis"]["locality"]["margin"],
            depth=CONFIG["first_stage"]["depth"],
            random=next((name for name in GRID["samplers"] if entry("samplers", name)["function"] == "random"), None),
        ),
        rankings=lambda w, input: f"--rankings {' '.join(input.rankings)}" if input.rankings else "",
    shell:
        "python -m workflow_scripts.make_locality_table --log {log:q} --spec {params.spec:q} --groups {input.groups:q} "
        "--labels {input.labels:q} --embeddings {input.embeddings:q} --corpus {input.corpus:q} "
        "--collection {input.collection:q} {params.rankings} --csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule make_bound_table:
    input:
        code=code("make_bound_table"),
        locality=f"{RESULTS}/tables/locality.csv",
        groups=sampled("groups"),
        labels=sampled("labels"),
        embeddings=manifest("embeddings"),
        models=lambda w: [remake(manifest("students", first_cell(name))) for name in GRID["students"]],
        risk=[f"{RESULTS}/tables/risk.csv"] if TRUTH else [],
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
        spec=spec(
            rows=SAMPLED,
            students=GRID["students"],
            losses=GRID["losses"],
            domain=DOMAINS[0]["name"],
            **CONFIG["analysis"]["bound"],
            quantile=CONFIG["analysis"]["locality"]["quantile"],
        ),
        risk=lambda w, input: f"--risk {input.risk[0]}" if input.risk else "",
    shell:
        "python -m workflow_scripts.make_bound_table --log {log:q} --spec {params.spec:q} --locality {input.locality:q} "
        "--groups {input.groups:q} --labels {input.labels:q} --embeddings {input.embeddings:q} --models {input.models:q} "
        "{params.risk} "
        "--csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule make_retrieval_table:
    input:
        code=code("make_retrieval_table"),
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
        spec=spec(
            domains=RETRIEVED_DOMAINS,
            reranked_depth=CONFIG["first_stage"]["depth"],
            retrieved_depth=RETRIEVAL["depth"] if RETRIEVAL else None,
            measures=ALL_MEASURES,
            bootstrap=CONFIG["evaluation"]["bootstrap"],
            **dict(GRID, students=unique(EXPERIMENT.grid_rankers[path].student for path in RETRIEVERS)),
        ),
    shell:
        "python -m workflow_scripts.make_retrieval_table --log {log:q} --spec {params.spec:q} --reranked {input.reranked:q} "
        "--retrieved {input.retrieved:q} "
        "--csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule make_risk_table:
    input:
        code=code("make_risk_table"),
        manifests=[manifest("runs", ranker) for ranker in RANKERS],
        # Through ancient(): the small manifests, compared by checksum, speak for the runs they list.
        runs=lambda w: [ancient(remake(path)) for ranker in RANKERS for path in runs(ranker)],
        tests=[manifest("collections", name) for name in EXPERIMENT.evaluated],
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
        spec=spec(
            domains=DOMAINS,
            bootstrap=CONFIG["evaluation"]["bootstrap"],
            rankers=[list(ranker_keys(ranker).values()) for ranker in RANKERS],
            collections=EXPERIMENT.evaluated,
            **GRID,
        ),
    shell:
        "python -m workflow_scripts.make_risk_table --log {log:q} --spec {params.spec:q} --runs {input.manifests:q} "
        "--tests {input.tests:q} --csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"
