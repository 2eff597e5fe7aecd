"""Raw collections: documents, queries, judgements, training pairs."""


def own_files(axis, name, key):
    """The user's file that an entry names under ``key``: one or none. Where texts are generated, it is a number."""
    value = entry(axis, name).get(key)
    return [value] if isinstance(value, str) else []


def without_files(axis, name, *others):
    """An entry without the user's files and without the keys ``others``."""
    values = entry(axis, name)
    files = [key for key in ("documents", "queries", "qrels") if own_files(axis, name, key)]
    return {key: value for key, value in values.items() if key not in (*files, *others)}


use rule prepare_job as prepare_corpus with:
    input:
        **reads(documents=lambda w: own_files("corpora", w.corpus, "documents")),
    output:
        artifact("corpora", "{corpus}"),
    log:
        log("prepare_corpus/{corpus}"),
    params:
        **job("collect.prepare_corpus", lambda w: without_files("corpora", w.corpus, "docvectors")),


use rule prepare_job as prepare_collection with:
    input:
        **reads(
            corpus=lambda w: manifest("corpora", entry("collections", w.collection)["corpus"]),
            queries=lambda w: own_files("collections", w.collection, "queries"),
            qrels=lambda w: own_files("collections", w.collection, "qrels"),
        ),
    output:
        artifact("collections", "{collection}"),
    log:
        log("prepare_collection/{collection}"),
    params:
        **job(
            "collect.prepare_collection",
            lambda w: without_files("collections", w.collection, "corpus", "remove_query"),
        ),
