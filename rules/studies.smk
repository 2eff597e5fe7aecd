"""Studies beside the main grid: entropy cuts, the orthogonality test, teachers, training collections."""

# What the studies' tables read; empty where the experiment has no such study.
UNCUT, CUT_ROWS, FACTORIAL, FACTORIAL_ROWS, TRAINED_ON = [], [], [], [], []
if "cuts" in STUDIES:
    UNCUT = EXPERIMENT.groups_of(dict(EXPERIMENT.studies["cuts"], samplers=STUDIES["cuts"]["samplers"]))
    CUT_ROWS = [(cut_sampler(row[0], cut), *row[1:]) for cut in STUDIES["cuts"]["cuts"] for row in UNCUT]
if "factorial" in STUDIES:
    FACTORIAL_ROWS = EXPERIMENT.groups_of(EXPERIMENT.studies["factorial"])
    # BM25 too: its risk is the baseline that a margin may be a share of.
    FACTORIAL = ["bm25", *(ranker.path for ranker in EXPERIMENT.study("factorial"))]
if "collections" in STUDIES:
    TRAINED_ON = unique(EXPERIMENT.trained_on(name) for name in EXPERIMENT.studies["collections"]["samplers"])


rule make_cuts_table:
    input:
        metrics=f"{RESULTS}/metrics.parquet",
        uncut_groups=sampled("groups", UNCUT),
        uncut_labels=sampled("labels", UNCUT),
        cut_groups=sampled("groups", CUT_ROWS),
    output:
        csv=f"{RESULTS}/tables/cuts.csv",
        md=f"{RESULTS}/tables/cuts.md",
        tex=f"{RESULTS}/tables/cuts.tex",
    log:
        f"{RESULTS}/logs/make_cuts_table.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_cuts_table.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("studies.make_cuts_table"),
        spec=lambda w: spec(
            cuts={
                cut: {sampler: cut_sampler(sampler, cut) for sampler in STUDIES["cuts"]["samplers"]}
                for cut in STUDIES["cuts"]["cuts"]
            },
            fence=STUDIES["cuts"]["fence"],
            rule=COMPARISON,
            domains=DOMAINS,
            measures=ALL_MEASURES,
            bootstrap=CONFIG["evaluation"]["bootstrap"],
            **dict(EXPERIMENT.studies["cuts"], samplers=STUDIES["cuts"]["samplers"]),
        ),
    shell:
        "python -m workflow_scripts.studies.make_cuts_table --log {log:q} --spec {params.spec:q} --metrics {input.metrics:q} "
        "--uncut-groups {input.uncut_groups:q} --uncut-labels {input.uncut_labels:q} --cut-groups {input.cut_groups:q} "
        "--csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule make_factorial_table:
    input:
        metrics=f"{RESULTS}/metrics.parquet",
        runs=lambda w: [whole_runs(ranker) for ranker in FACTORIAL],
        tests=TESTS,
        groups=sampled("groups", FACTORIAL_ROWS),
        labels=sampled("labels", FACTORIAL_ROWS),
        locality=f"{RESULTS}/tables/locality.csv",
    output:
        csv=f"{RESULTS}/tables/factorial.csv",
        md=f"{RESULTS}/tables/factorial.md",
        tex=f"{RESULTS}/tables/factorial.tex",
        cells=f"{RESULTS}/tables/factorial_cells.csv",
    log:
        f"{RESULTS}/logs/make_factorial_table.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_factorial_table.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("studies.make_factorial_table"),
        spec=lambda w: spec(
            locality=dial(CONFIG, "samplers"),
            entropy=dial(CONFIG, "losses"),
            runs=[list(ranker_keys(ranker).values()) for ranker in FACTORIAL],
            collections=EXPERIMENT.evaluated,
            rule=COMPARISON,
            domains=DOMAINS,
            measures=ALL_MEASURES,
            **EXPERIMENT.studies["factorial"],
        ),
    shell:
        "python -m workflow_scripts.studies.make_factorial_table --log {log:q} --spec {params.spec:q} --metrics {input.metrics:q} "
        "--runs {input.runs:q} --tests {input.tests:q} --groups {input.groups:q} --labels {input.labels:q} "
        "--locality {input.locality:q} --cells {output.cells:q} "
        "--csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule draw_factorial:
    input:
        cells=f"{RESULTS}/tables/factorial_cells.csv",
    output:
        png=f"{RESULTS}/figures/factorial.png",
        pdf=f"{RESULTS}/figures/factorial.pdf",
    log:
        f"{RESULTS}/logs/draw_factorial.log",
    benchmark:
        f"{RESULTS}/benchmarks/draw_factorial.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("studies.draw_factorial"),
        spec=lambda w: spec(
            domain=DOMAINS[0]["name"],
            measures=[ALL_MEASURES[0], "excess risk"],
            locality=list(dial(CONFIG, "samplers").items()),
            entropy=list(dial(CONFIG, "losses").items()),
            **{axis: EXPERIMENT.studies["factorial"][axis] for axis in ("students", "teachers")},
        ),
    shell:
        "python -m workflow_scripts.studies.draw_factorial --log {log:q} --spec {params.spec:q} --cells {input.cells:q} "
        "--png {output.png:q} --pdf {output.pdf:q}"


rule make_teacher_table:
    input:
        metrics=f"{RESULTS}/metrics.parquet",
    output:
        csv=f"{RESULTS}/tables/teachers.csv",
        md=f"{RESULTS}/tables/teachers.md",
        tex=f"{RESULTS}/tables/teachers.tex",
    log:
        f"{RESULTS}/logs/make_teacher_table.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_teacher_table.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("studies.make_teacher_table"),
        spec=lambda w: spec(
            rule=COMPARISON,
            domains=DOMAINS,
            measures=ALL_MEASURES,
            bootstrap=CONFIG["evaluation"]["bootstrap"],
            **EXPERIMENT.studies["teachers"],
        ),
    shell:
        "python -m workflow_scripts.studies.make_teacher_table --log {log:q} --spec {params.spec:q} --metrics {input.metrics:q} "
        "--csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"


rule make_training_table:
    input:
        metrics=f"{RESULTS}/metrics.parquet",
        collections=[manifest("collections", name) for name in TRAINED_ON],
    output:
        csv=f"{RESULTS}/tables/training.csv",
        md=f"{RESULTS}/tables/training.md",
        tex=f"{RESULTS}/tables/training.tex",
    log:
        f"{RESULTS}/logs/make_training_table.log",
    benchmark:
        f"{RESULTS}/benchmarks/make_training_table.tsv"
    conda:
        "../environment.yml"
    threads: needs("analyse", "threads")
    resources:
        mem_mb=needs("analyse", "mem_mb"),
        runtime=needs("analyse", "runtime"),
    params:
        code=code("studies.make_training_table"),
        spec=lambda w: spec(
            trained_on={
                name: {"collection": EXPERIMENT.trained_on(name), "function": entry("samplers", name)["function"]}
                for name in EXPERIMENT.studies["collections"]["samplers"]
            },
            collections=TRAINED_ON,
            shared={name: EXPERIMENT.tested_over(name) for name in TRAINED_ON},
            teacher_collections={
                name: EXPERIMENT.trained_on(entry("teachers", name)["sampler"])
                for name in EXPERIMENT.studies["collections"]["teachers"]
                if entry("teachers", name)["trained"]
            },
            rule=COMPARISON,
            domains=DOMAINS,
            measures=ALL_MEASURES,
            bootstrap=CONFIG["evaluation"]["bootstrap"],
            **EXPERIMENT.studies["collections"],
        ),
    shell:
        "python -m workflow_scripts.studies.make_training_table --log {log:q} --spec {params.spec:q} --metrics {input.metrics:q} "
        "--collections {input.collections:q} "
        "--csv {output.csv:q} --md {output.md:q} --tex {output.tex:q}"
