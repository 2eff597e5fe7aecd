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
            lambda w: dict(entry("systems", w.system), system=w.system, remove_query=removes_query(w.collection)),
        ),


SEARCHED = dict(
    model=lambda w: manifest(RANKERS.dense_encoder(w.system)[0]),
    collection=manifest("collections", "{collection}"),
    queries=lambda w: query_tokens(RANKERS.dense_encoder(w.system)[1], w.collection),
    documents=lambda w: document_tokens(
        RANKERS.dense_encoder(w.system)[1], w.collection, EXPERIMENT.view(w.collection)
    ),
)
# An approximate index is of the whole corpus: it is searched by one job.
SCATTERED_SEARCHES = [name for name in DENSE if SCATTERED and entry("systems", name).get("index", "Flat") == "Flat"]


use rule rerank_job as search_dense with:
    input:
        **reads(**SEARCHED),
    output:
        artifact("rankings", "{system}", "{collection}"),
    log:
        log("search_dense/{system}.{collection}"),
    wildcard_constraints:
        system=one_of(name for name in DENSE if name not in SCATTERED_SEARCHES),
    params:
        **job("index.search_dense", dense_search),


use rule rerank_job as search_shard with:
    input:
        **reads(**SEARCHED),
    output:
        artifact("shards", "rankings", "{system}", "{collection}", "{shard}"),
    log:
        log("search_shard/{system}.{collection}.{shard}"),
    wildcard_constraints:
        system=one_of(SCATTERED_SEARCHES),
    params:
        **job("index.search_shard", lambda w: dict(shard=w.shard, **dense_search(w))),


use rule mine_job as merge_search with:
    input:
        **reads(
            **SEARCHED,
            shards=lambda w: [manifest("shards", "rankings", w.system, w.collection, shard) for shard in SHARDS],
        ),
    output:
        artifact("rankings", "{system}", "{collection}"),
    log:
        log("merge_search/{system}.{collection}"),
    wildcard_constraints:
        system=one_of(SCATTERED_SEARCHES),
    params:
        **job("index.merge_search", dense_search),


use rule mine_job as import_rankings with:
    input:
        **reads(
            file=manifest("downloads", "{system}"),
            corpus=lambda w: corpus_of(w.collection),
            collection=manifest("collections", "{collection}"),
        ),
    output:
        artifact("rankings", "{system}", "{collection}"),
    log:
        log("import_rankings/{system}.{collection}"),
    wildcard_constraints:
        system=one_of(IMPORTED),
    params:
        **job("index.import_rankings", lambda w: subset("systems", w.system, "systems", "depth")),
