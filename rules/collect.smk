"""Raw collections: documents, queries, judgements, training pairs; what is downloaded for them."""

ARCHIVES = families(CONFIG)


rule downloads:
    """All that the experiment fetches over the network, for a machine that has one: archives, models, published files."""
    input:
        manifests("archives", ARCHIVES),
        manifests("backbones", (name for name in CONFIG["backbones"] if name not in SCRATCH)),
        manifests("downloads", IMPORTED),


use rule prepare_job as fetch_archives with:
    output:
        artifact("archives", "{family}"),
    log:
        log("fetch_archives/{family}"),
    wildcard_constraints:
        family=one_of(ARCHIVES),
    params:
        **job("collect.fetch_archives", lambda w: dict(datasets=ARCHIVES[w.family]), mirrors=CONFIG["mirrors"]),


use rule prepare_job as download_file with:
    input:
        **reads(source=lambda w: EXPERIMENT.own_files("systems", w.system, "url")),
    output:
        artifact("downloads", "{system}"),
    log:
        log("download_file/{system}"),
    wildcard_constraints:
        system=one_of(IMPORTED),
    params:
        **job(
            "collect.download_file",
            lambda w: subset("systems", w.system, "url", "sha256"),
            own=lambda w: EXPERIMENT.own_files("systems", w.system, "url"),
            mirrors=CONFIG["mirrors"],
        ),


use rule prepare_job as prepare_corpus with:
    input:
        **reads(documents=lambda w: EXPERIMENT.own_files("corpora", w.corpus, "documents")),
        archives=lambda w: archives_of("corpora", w.corpus),
    output:
        artifact("corpora", "{corpus}"),
    log:
        log("prepare_corpus/{corpus}"),
    params:
        **job(
            "collect.prepare_corpus",
            lambda w: EXPERIMENT.without_files("corpora", w.corpus, "docvectors"),
            own=lambda w: EXPERIMENT.own_files("corpora", w.corpus, "documents"),
        ),


use rule prepare_job as prepare_collection with:
    input:
        **reads(
            corpus=lambda w: corpus_of(w.collection),
            queries=lambda w: EXPERIMENT.own_files("collections", w.collection, "queries"),
            qrels=lambda w: EXPERIMENT.own_files("collections", w.collection, "qrels"),
        ),
        archives=lambda w: archives_of("collections", w.collection),
    output:
        artifact("collections", "{collection}"),
    log:
        log("prepare_collection/{collection}"),
    params:
        **job(
            "collect.prepare_collection",
            lambda w: EXPERIMENT.without_files("collections", w.collection, "corpus", "remove_query"),
            own=lambda w: EXPERIMENT.own_files("collections", w.collection, "queries", "qrels"),
        ),
