"""Raw collections: documents, queries, qrels, training pairs."""


rule prepare_corpus:
    input:
        documents=lambda w: [path for path in [entry("corpora", w.corpus).get("documents")] if isinstance(path, str)],
    output:
        manifest("corpora", "{corpus}"),
    log:
        f"{RESULTS}/logs/prepare_corpus/{{corpus}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare_corpus/{{corpus}}.tsv"
    conda:
        "../environment.yml"
    threads: needs("prepare", "threads")
    resources:
        mem_mb=needs("prepare", "mem_mb"),
        runtime=needs("prepare", "runtime"),
    params:
        code=code("collect.prepare_corpus"),
        spec=lambda w: spec(
            **{
                key: value
                for key, value in entry("corpora", w.corpus).items()
                if key != "docvectors" and not (key == "documents" and isinstance(value, str))
            }
        ),
        documents=lambda w, input: f"--documents {shlex.quote(input.documents[0])}" if input.documents else "",
    shell:
        "python -m workflow_scripts.collect.prepare_corpus --log {log:q} --spec {params.spec:q} {params.documents} --output {output:q}"


rule prepare_collection:
    input:
        corpus=lambda w: manifest("corpora", entry("collections", w.collection)["corpus"]),
        files=lambda w: [
            path
            for key in ("queries", "qrels")
            if isinstance(path := entry("collections", w.collection).get(key), str)
        ],
    output:
        manifest("collections", "{collection}"),
    log:
        f"{RESULTS}/logs/prepare_collection/{{collection}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/prepare_collection/{{collection}}.tsv"
    conda:
        "../environment.yml"
    threads: needs("prepare", "threads")
    resources:
        mem_mb=needs("prepare", "mem_mb"),
        runtime=needs("prepare", "runtime"),
    params:
        code=code("collect.prepare_collection"),
        spec=lambda w: spec(
            **{
                key: value
                for key, value in entry("collections", w.collection).items()
                if key not in ("corpus", "remove_query", "qrels") and not (key == "queries" and isinstance(value, str))
            }
        ),
        files=lambda w: " ".join(
            f"--{key} {shlex.quote(path)}"
            for key in ("queries", "qrels")
            if isinstance(path := entry("collections", w.collection).get(key), str)
        ),
    shell:
        "python -m workflow_scripts.collect.prepare_collection --log {log:q} --spec {params.spec:q} --corpus {input.corpus:q} {params.files} "
        "--output {output:q}"
