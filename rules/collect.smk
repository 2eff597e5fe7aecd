"""Raw collections: documents, queries, judgements, training pairs."""


use rule prepare_job as prepare_corpus with:
    input:
        **reads(documents=lambda w: EXPERIMENT.own_files("corpora", w.corpus, "documents")),
    output:
        artifact("corpora", "{corpus}"),
    log:
        log("prepare_corpus/{corpus}"),
    params:
        **job("collect.prepare_corpus", lambda w: EXPERIMENT.without_files("corpora", w.corpus, "docvectors")),


use rule prepare_job as prepare_collection with:
    input:
        **reads(
            corpus=lambda w: manifest("corpora", entry("collections", w.collection)["corpus"]),
            queries=lambda w: EXPERIMENT.own_files("collections", w.collection, "queries"),
            qrels=lambda w: EXPERIMENT.own_files("collections", w.collection, "qrels"),
        ),
    output:
        artifact("collections", "{collection}"),
    log:
        log("prepare_collection/{collection}"),
    params:
        **job(
            "collect.prepare_collection",
            lambda w: EXPERIMENT.without_files("collections", w.collection, "corpus", "remove_query"),
        ),
