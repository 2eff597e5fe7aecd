"""Tables and figures about the experiment itself: configuration, cost, contamination, scores, training."""

# Everything that scores candidates, BM25 apart.
PROFILED = [*(f"teacher/{teacher}" for teacher in GRID["teachers"]), *GRID_RANKERS]


rule make_configuration_table:
    input:
        metrics=lambda w: every_metrics(),
    output:
        csv=f"{RESULTS}/tables/configuration.csv",
        md=f"{RESULTS}/tables/configuration.md",
        tex=f"{RESULTS}/tables/configuration.tex",
    log:
        f"{RESULTS}/logs/make_configuration_table.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_configuration_table.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("report.make_configuration_table"),
    shell:
        "python -m workflow_scripts.report.make_configuration_table --log {log:q} --metrics {input.metrics:q} "
        "--csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule make_cost_table:
    input:
        metrics=lambda w: every_metrics(),
        # What no ranker's metrics rest on.
        also=lambda w: [manifest("embeddings"), *retrieval_metrics()],
    output:
        csv=f"{RESULTS}/tables/cost.csv",
        md=f"{RESULTS}/tables/cost.md",
        tex=f"{RESULTS}/tables/cost.tex",
    log:
        f"{RESULTS}/logs/make_cost_table.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_cost_table.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("report.make_cost_table"),
        spec=spec(**CONFIG["analysis"]["cost"]),
    shell:
        "python -m workflow_scripts.report.make_cost_table --log {log:q} --spec {params.spec:q} --metrics {input.metrics:q} "
        "--also {input.also:q} --csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule make_contamination_table:
    input:
        training=[manifest("collections", name) for name in EXPERIMENT.training_collections],
        tests=TESTS,
    output:
        csv=f"{RESULTS}/tables/contamination.csv",
        md=f"{RESULTS}/tables/contamination.md",
        tex=f"{RESULTS}/tables/contamination.tex",
        pairs=f"{RESULTS}/tables/contamination_pairs.csv",
    log:
        f"{RESULTS}/logs/make_contamination_table.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_contamination_table.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("report.make_contamination_table"),
        spec=spec(**CONFIG["analysis"]["contamination"]),
        collections=EXPERIMENT.evaluated,
        training=EXPERIMENT.training_collections,
    shell:
        "python -m workflow_scripts.report.make_contamination_table --log {log:q} --spec {params.spec:q} "
        "--training-names {params.training} --training {input.training:q} "
        "--collections {params.collections} --tests {input.tests:q} --pairs {output.pairs:q} "
        "--csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule draw_pipeline:
    output:
        png=f"{RESULTS}/figures/pipeline.png",
        pdf=f"{RESULTS}/figures/pipeline.pdf",
    log:
        f"{RESULTS}/logs/draw_pipeline.log",
    benchmark:
        f"{RESULTS}/benchmarks/draw_pipeline.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("report.draw_pipeline"),
        spec=spec(
            **axes("systems", "teachers", "losses", "students"),
            plain=[name for name in GRID["samplers"] if not entry("samplers", name)["reads_teacher"]],
            informed=[name for name in GRID["samplers"] if entry("samplers", name)["reads_teacher"]],
            tests=EXPERIMENT.evaluated,
            group=1 + TRAINING["negatives"],
            dense=bool(DENSE),
            retrieval=bool(RETRIEVERS),
        ),
    shell:
        "python -m workflow_scripts.report.draw_pipeline --log {log:q} --spec {params.spec:q} "
        "--png {output.png:q} --pdf {output.pdf:q}"


rule profile_scores:
    input:
        runs=lambda w: [whole_runs(ranker) for ranker in PROFILED],
    output:
        f"{RESULTS}/profiles.parquet",
    log:
        f"{RESULTS}/logs/profile_scores.log",
    benchmark:
        f"{RESULTS}/benchmarks/profile_scores.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("report.profile_scores"),
        spec=spec(
            rankers=[list(ranker_keys(ranker).values()) for ranker in PROFILED],
            collections=EXPERIMENT.evaluated,
            points=CONFIG["first_stage"]["depth"],
        ),
    shell:
        "python -m workflow_scripts.report.profile_scores --log {log:q} --spec {params.spec:q} --runs {input.runs:q} "
        "--output {output:q}"


rule draw_score_by_rank:
    input:
        profiles=f"{RESULTS}/profiles.parquet",
    output:
        png=f"{RESULTS}/figures/score_by_rank.png",
        pdf=f"{RESULTS}/figures/score_by_rank.pdf",
        fits=f"{RESULTS}/figures/score_by_rank.csv",
    log:
        f"{RESULTS}/logs/draw_score_by_rank.log",
    benchmark:
        f"{RESULTS}/benchmarks/draw_score_by_rank.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("report.draw_score_by_rank"),
        spec=spec(
            **axes("students", "teachers"),
            domains=DOMAINS,
            fit_range=CONFIG["analysis"]["figures"]["fit_range"],
        ),
    shell:
        "python -m workflow_scripts.report.draw_score_by_rank --log {log:q} --spec {params.spec:q} --profiles {input.profiles:q} "
        "--fits {output.fits:q} --png {output.png:q} --pdf {output.pdf:q}"


rule draw_score_grid:
    input:
        profiles=f"{RESULTS}/profiles.parquet",
    output:
        png=f"{RESULTS}/figures/score_grid.png",
        pdf=f"{RESULTS}/figures/score_grid.pdf",
    log:
        f"{RESULTS}/logs/draw_score_grid.log",
    benchmark:
        f"{RESULTS}/benchmarks/draw_score_grid.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("report.draw_score_grid"),
        spec=spec(
            **axes("students", "losses", "samplers", "teachers"),
            domains=DOMAINS,
            depth=CONFIG["first_stage"]["depth"],
        ),
    shell:
        "python -m workflow_scripts.report.draw_score_grid --log {log:q} --spec {params.spec:q} --profiles {input.profiles:q} "
        "--png {output.png:q} --pdf {output.pdf:q}"


rule draw_training:
    input:
        students=lambda w: [remake(manifest("students", ranker)) for ranker in GRID_RANKERS],
    output:
        png=f"{RESULTS}/figures/training.png",
        pdf=f"{RESULTS}/figures/training.pdf",
    log:
        f"{RESULTS}/logs/draw_training.log",
    benchmark:
        f"{RESULTS}/benchmarks/draw_training.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("report.draw_training"),
        spec=spec(
            **axes("students", "losses", "samplers"),
            rankers=[list(ranker_keys(ranker).values()) for ranker in GRID_RANKERS],
            smoothing=CONFIG["analysis"]["figures"]["smoothing"],
        ),
    shell:
        "python -m workflow_scripts.report.draw_training --log {log:q} --spec {params.spec:q} --students {input.students:q} "
        "--png {output.png:q} --pdf {output.pdf:q}"


rule draw_cost:
    input:
        cost=f"{RESULTS}/tables/cost.csv",
        effectiveness=f"{RESULTS}/tables/main.csv",
    output:
        png=f"{RESULTS}/figures/cost.png",
        pdf=f"{RESULTS}/figures/cost.pdf",
    log:
        f"{RESULTS}/logs/draw_cost.log",
    benchmark:
        f"{RESULTS}/benchmarks/draw_cost.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("report.draw_cost"),
        spec=spec(
            **axes("students", "losses", "samplers"),
            domain=DOMAINS[0]["name"],
            measure=CONFIG["evaluation"]["measures"][0],
        ),
    shell:
        "python -m workflow_scripts.report.draw_cost --log {log:q} --spec {params.spec:q} --cost {input.cost:q} "
        "--effectiveness {input.effectiveness:q} --png {output.png:q} --pdf {output.pdf:q}"


rule make_advice_table:
    input:
        metrics=f"{RESULTS}/metrics.parquet",
        main=f"{RESULTS}/tables/main.csv",
        cost=f"{RESULTS}/tables/cost.csv",
        factorial=[f"{RESULTS}/tables/factorial_cells.csv"] if "factorial" in STUDIES else [],
    output:
        csv=f"{RESULTS}/tables/advice.csv",
        md=f"{RESULTS}/tables/advice.md",
        tex=f"{RESULTS}/tables/advice.tex",
    log:
        f"{RESULTS}/logs/make_advice_table.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_advice_table.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("report.make_advice_table"),
        spec=spec(
            domains=DOMAINS,
            measure=ALL_MEASURES[0],
            rule=COMPARISON,
            **CONFIG["analysis"]["advice"],
            **GRID,
        ),
        factorial=lambda w, input: f"--factorial {input.factorial[0]}" if input.factorial else "",
    shell:
        "python -m workflow_scripts.report.make_advice_table --log {log:q} --spec {params.spec:q} --main {input.main:q} --cost {input.cost:q} "
        "--metrics {input.metrics:q} {params.factorial} "
        "--csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"
