"""Lucene: one index per corpus, one ranking per (system, collection)."""


rule build_index:
    input:
        code=code("build_index"),
        corpus=manifest("corpora", "{corpus}"),
    output:
        manifest("index", "{corpus}"),
    log:
        f"{RESULTS}/logs/build_index/{{corpus}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/build_index/{{corpus}}.tsv"
    conda:
        "../environment.yml"
    threads: needs("index", "threads")
    resources:
        mem_mb=needs("index", "mem_mb"),
        runtime=needs("index", "runtime"),
    params:
        spec=lambda w: spec(docvectors=entry("corpora", w.corpus).get("docvectors", False)),
    shell:
        "python -m workflow_scripts.build_index --log {log:q} --spec {params.spec:q} --corpus {input.corpus:q} --threads {threads} "
        "--heap-mb $(({resources.mem_mb} * 2 / 3)) --output {output:q}"


rule search_index:
    input:
        code=code("search_index"),
        index=lambda w: manifest("index", entry("collections", w.collection)["corpus"]),
        collection=manifest("collections", "{collection}"),
    output:
        manifest("rankings", "{system}", "{collection}"),
    log:
        f"{RESULTS}/logs/search_index/{{system}}.{{collection}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/search_index/{{system}}.{{collection}}.tsv"
    wildcard_constraints:
        system=other_than(IMPORTED),
    conda:
        "../environment.yml"
    threads: needs("search", "threads")
    resources:
        mem_mb=needs("search", "mem_mb"),
        runtime=needs("search", "runtime"),
    params:
        spec=lambda w: spec(
            system=w.system,
            remove_query=entry("collections", w.collection).get("remove_query", False),
            **entry("systems", w.system),
        ),
    shell:
        "python -m workflow_scripts.search_index --log {log:q} --spec {params.spec:q} --index {input.index:q} "
        "--collection {input.collection:q} --threads {threads} --heap-mb $(({resources.mem_mb} * 2 / 3)) --output {output:q}"
