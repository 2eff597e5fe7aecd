"""First stages: indexes and rankings, by Lucene, by a bi-encoder, or from a published file."""


use rule index_job as build_index with:
    input:
        **reads(corpus=manifest("corpora", "{corpus}")),
    output:
        artifact("index", "{corpus}"),
    log:
        log("build_index/{corpus}"),
    params:
        **job("index.build_index", lambda w: dict(docvectors=entry("corpora", w.corpus).get("docvectors", False))),


use rule search_job as search_index with:
    input:
        **reads(
            index=lambda w: manifest("index", entry("collections", w.collection)["corpus"]),
            collection=manifest("collections", "{collection}"),
        ),
    output:
        artifact("rankings", "{system}", "{collection}"),
    log:
        log("search_index/{system}.{collection}"),
    wildcard_constraints:
        system=other_than([*IMPORTED, *DENSE]),
    params:
        **job(
            "index.search_index",
            lambda w: dict(
                system=w.system,
                remove_query=entry("collections", w.collection).get("remove_query", False),
                **entry("systems", w.system),
            ),
        ),


use rule rerank_job as search_dense with:
    input:
        **reads(
            model=lambda w: manifest(RANKERS.dense_encoder(w.system)[0]),
            collection=manifest("collections", "{collection}"),
            queries=lambda w: query_tokens(RANKERS.dense_encoder(w.system)[1], w.collection),
            documents=lambda w: document_tokens(
                RANKERS.dense_encoder(w.system)[1], w.collection, EXPERIMENT.view(w.collection)
            ),
        ),
    output:
        artifact("rankings", "{system}", "{collection}"),
    log:
        log("search_dense/{system}.{collection}"),
    wildcard_constraints:
        system=one_of(DENSE),
    params:
        **job(
            "index.search_dense",
            lambda w: dict(
                system=w.system,
                index=entry("systems", w.system).get("index", "Flat"),
                remove_query=entry("collections", w.collection).get("remove_query", False),
                **NUMBERS,
                max_tokens=CONFIG["lengths"],
                **subset("systems", w.system, "depth", "index_parameters", "pooling", "similarity"),
            ),
        ),


use rule mine_job as import_rankings with:
    input:
        **reads(file=manifest("downloads", "{system}"), collection=manifest("collections", "{collection}")),
    output:
        artifact("rankings", "{system}", "{collection}"),
    log:
        log("import_rankings/{system}.{collection}"),
    wildcard_constraints:
        system=one_of(IMPORTED),
    params:
        **job("index.import_rankings", lambda w: subset("systems", w.system, "systems", "depth")),
