"""Pretrained encoders, and every text tokenised once per vocabulary."""

LONGEST = dict(query_tokens=CONFIG["lengths"]["query"], document_tokens=CONFIG["lengths"]["document"])


use rule prepare_job as fetch_backbone with:
    input:
        **reads(files=lambda w: local_files(entry("backbones", w.backbone)["source"]), first=other_of_vocabulary),
    output:
        artifact("backbones", "{backbone}"),
    log:
        log("fetch_backbone/{backbone}"),
    wildcard_constraints:
        backbone=other_than(SCRATCH),
    params:
        **job(
            "backbone.fetch_backbone",
            lambda w: subset("backbones", w.backbone, "source", "revision") | asked_of(CONFIG, w.backbone),
            own=lambda w: local_files(entry("backbones", w.backbone)["source"]),
        ),


use rule pretrain_job as pretrain_backbone with:
    input:
        **reads(
            corpora=lambda w: manifests("corpora", entry("backbones", w.backbone)["corpora"]),
            first=other_of_vocabulary,
        ),
    output:
        artifact("backbones", "{backbone}"),
    log:
        log("pretrain_backbone/{backbone}"),
    wildcard_constraints:
        backbone=one_of(SCRATCH),
    params:
        **job(
            "backbone.pretrain_backbone",
            lambda w: subset("backbones", w.backbone, "tokenizer", "architecture", "pretraining", "seed"),
            order=lambda w: entry("backbones", w.backbone)["corpora"],
            arithmetic=CONFIG["arithmetic"],
        ),


use rule tokenise_job as tokenise_corpus with:
    input:
        **reads(backbone=first_of_vocabulary, corpus=manifest("corpora", "{corpus}")),
    output:
        artifact("tokens", "{vocabulary}", "{corpus}.{view}"),
    log:
        log("tokenise_corpus/{vocabulary}.{corpus}.{view}"),
    params:
        **job("backbone.tokenise_corpus", lambda w: dict(view=w.view, max_tokens=CONFIG["lengths"]["document"])),


use rule tokenise_job as tokenise_queries with:
    input:
        **reads(backbone=first_of_vocabulary, collection=manifest("collections", "{collection}")),
    output:
        artifact("tokens", "{vocabulary}", "{collection}.queries"),
    log:
        log("tokenise_queries/{vocabulary}.{collection}"),
    params:
        **job("backbone.tokenise_queries", max_tokens=CONFIG["lengths"]["query"]),


use rule tokenise_job as tokenise_evaluation with:
    input:
        **reads(
            backbone=first_of_vocabulary,
            evaluation=EVALUATION,
            tests=lambda w: manifests("collections", tested_in(w)),
            corpora=lambda w: list(map(corpus_of, tested_in(w))),
        ),
    output:
        artifact("tokens", "{vocabulary}", "evaluation", "{set}"),
    log:
        log("tokenise_evaluation/{vocabulary}.{set}"),
    params:
        **job("backbone.tokenise_evaluation", ids=ids_of(tested_in), **LONGEST),
