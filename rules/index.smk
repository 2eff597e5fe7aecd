"""First stages: indexes and rankings, by Lucene, by a bi-encoder, or from a published file."""


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
        code=code("index.build_index"),
        spec=lambda w: spec(docvectors=entry("corpora", w.corpus).get("docvectors", False)),
    shell:
        "python -m workflow_scripts.index.build_index --log {log:q} --spec {params.spec:q} --corpus {input.corpus:q} --threads {threads} "
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
        code=code("index.search_index"),
        spec=lambda w: spec(
            system=w.system,
            remove_query=entry("collections", w.collection).get("remove_query", False),
            **entry("systems", w.system),
        ),
    shell:
        "python -m workflow_scripts.index.search_index --log {log:q} --spec {params.spec:q} --index {input.index:q} "
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
        code=code("index.search_dense"),
        spec=lambda w: spec(
            system=w.system,
            index=entry("systems", w.system).get("index", "Flat"),
            remove_query=entry("collections", w.collection).get("remove_query", False),
            precision=TRAINING["precision"],
            max_tokens=CONFIG["lengths"],
            **picked("systems", w.system, "depth", "index_parameters"),
        ),
    shell:
        "python -m workflow_scripts.index.search_dense --log {log:q} --spec {params.spec:q} --model {input.model:q} "
        "--collection {input.collection:q} --queries {input.queries:q} --documents {input.documents:q} --output {output:q}"


rule download_file:
    output:
        manifest("downloads", "{system}"),
    log:
        f"{RESULTS}/logs/download_file/{{system}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/download_file/{{system}}.tsv"
    wildcard_constraints:
        system=one_of(IMPORTED),
    conda:
        "../environment.yml"
    threads: needs("prepare", "threads")
    resources:
        mem_mb=needs("prepare", "mem_mb"),
        runtime=needs("prepare", "runtime"),
    params:
        code=code("index.download_file"),
        spec=lambda w: spec(**picked("systems", w.system, "url", "sha256")),
    shell:
        "python -m workflow_scripts.index.download_file --log {log:q} --spec {params.spec:q} --output {output:q}"


rule import_rankings:
    input:
        file=manifest("downloads", "{system}"),
        collection=manifest("collections", "{collection}"),
    output:
        manifest("rankings", "{system}", "{collection}"),
    log:
        f"{RESULTS}/logs/import_rankings/{{system}}.{{collection}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/import_rankings/{{system}}.{{collection}}.tsv"
    wildcard_constraints:
        system=one_of(IMPORTED),
    conda:
        "../environment.yml"
    threads: needs("mine", "threads")
    resources:
        mem_mb=needs("mine", "mem_mb"),
        runtime=needs("mine", "runtime"),
    params:
        code=code("index.import_rankings"),
        spec=lambda w: spec(**picked("systems", w.system, "systems", "depth")),
    shell:
        "python -m workflow_scripts.index.import_rankings --log {log:q} --spec {params.spec:q} --file {input.file:q} "
        "--collection {input.collection:q} --output {output:q}"
