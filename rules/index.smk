"""First stages: one Lucene index per corpus, one ranking per (system, collection), by Lucene or by a bi-encoder."""


rule build_index:
    input:
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
        code=code("build_index"),
        spec=lambda w: spec(docvectors=entry("corpora", w.corpus).get("docvectors", False)),
    shell:
        "python -m workflow_scripts.build_index --log {log:q} --spec {params.spec:q} --corpus {input.corpus:q} --threads {threads} "
        "--heap-mb $(({resources.mem_mb} * 2 / 3)) --output {output:q}"


rule search_index:
    input:
        index=lambda w: manifest("index", entry("collections", w.collection)["corpus"]),
        collection=manifest("collections", "{collection}"),
    output:
        manifest("rankings", "{system}", "{collection}"),
    log:
        f"{RESULTS}/logs/search_index/{{system}}.{{collection}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/search_index/{{system}}.{{collection}}.tsv"
    wildcard_constraints:
        system=other_than([*IMPORTED, *DENSE]),
    conda:
        "../environment.yml"
    threads: needs("search", "threads")
    resources:
        mem_mb=needs("search", "mem_mb"),
        runtime=needs("search", "runtime"),
    params:
        code=code("search_index"),
        spec=lambda w: spec(
            system=w.system,
            remove_query=entry("collections", w.collection).get("remove_query", False),
            **entry("systems", w.system),
        ),
    shell:
        "python -m workflow_scripts.search_index --log {log:q} --spec {params.spec:q} --index {input.index:q} "
        "--collection {input.collection:q} --threads {threads} --heap-mb $(({resources.mem_mb} * 2 / 3)) --output {output:q}"


rule search_dense:
    input:
        model=lambda w: dense_encoder(w.system)[0],
        collection=manifest("collections", "{collection}"),
        queries=lambda w: query_tokens(dense_encoder(w.system)[1], w.collection),
        documents=lambda w: document_tokens(dense_encoder(w.system)[1], w.collection, view_of(w.collection)),
    output:
        manifest("rankings", "{system}", "{collection}"),
    log:
        f"{RESULTS}/logs/search_dense/{{system}}.{{collection}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/search_dense/{{system}}.{{collection}}.tsv"
    wildcard_constraints:
        system=one_of(DENSE),
    conda:
        "../environment.yml"
    threads: needs("rerank", "threads")
    resources:
        mem_mb=needs("rerank", "mem_mb"),
        runtime=needs("rerank", "runtime"),
        gpu=1,
    params:
        code=code("search_dense"),
        spec=lambda w: spec(
            system=w.system,
            index=entry("systems", w.system).get("index", "Flat"),
            remove_query=entry("collections", w.collection).get("remove_query", False),
            precision=TRAINING["precision"],
            max_tokens=CONFIG["lengths"],
            **picked("systems", w.system, "depth", "index_parameters"),
        ),
    shell:
        "python -m workflow_scripts.search_dense --log {log:q} --spec {params.spec:q} --model {input.model:q} "
        "--collection {input.collection:q} --queries {input.queries:q} --documents {input.documents:q} --output {output:q}"
