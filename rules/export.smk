"""Doors out: training data, runs and models as other tools read them, each asked for by its path; no table needs them."""

EXPORTS = Exports(RANKERS, snakemake_command(CONFIG_FILES, config=GIVEN))
EXPORTED = rf"bm25|teacher\.{ANY_ID}|({ANY_ID}\.){{4}}seed\d+"


use rule prepare_job as export_training with:
    input:
        **reads(
            groups=lambda w: manifest(RANKERS.groups(w.cell)),
            labels=lambda w: list(map(manifest, RANKERS.labels(w.cell))),
            collection=lambda w: manifest("collections", RANKERS.collection(w.cell)),
            corpus=lambda w: corpus_of(RANKERS.collection(w.cell)),
        ),
        card=in_project("workflow_scripts/export/data_card.md"),
    output:
        artifact("exports", "{cell}", "{format}"),
    log:
        log("export_training/{cell}.{format}"),
    wildcard_constraints:
        format=other_than(["trec", "model", "onnx"]),
    params:
        **job("export.export_training", lambda w: EXPORTS.training_spec(w.cell, w.format)),


use rule prepare_job as export_runs with:
    input:
        **reads(
            evaluation=lambda w: [
                EVALUATION.format(set=name) for name in EXPERIMENT.sets_of(EXPORTS.ranker(w.exported))
            ]
        ),
        runs=lambda w: all_runs([EXPORTS.ranker(w.exported)]),
    output:
        artifact("exports", "{exported}", "trec"),
    log:
        log("export_runs/{exported}"),
    wildcard_constraints:
        exported=rf"(retrieved\.)?({EXPORTED})",
    params:
        **job(
            "export.export_runs",
            lambda w: {"tag": RANKERS.tag(EXPORTS.ranker(w.exported))},
            lambda w: {"collections": [*itertools.chain(*EXPERIMENT.sets_of(EXPORTS.ranker(w.exported)).values())]},
        ),


use rule prepare_job as export_model with:
    input:
        **reads(
            model=lambda w: manifest(EXPORTS.model(w.exported)),
            metrics=lambda w: PLACES.by_set("metrics", EXPORTS.systems(w.exported).values()),
        ),
        card=in_project("workflow_scripts/export/model_card.md"),
    output:
        artifact("exports", "{exported}", "model"),
    log:
        log("export_model/{exported}"),
    wildcard_constraints:
        exported=EXPORTED,
    params:
        **job("export.export_model", lambda w: EXPORTS.model_spec(w.exported), domains=DOMAINS),


use rule prepare_job as export_onnx with:
    input:
        **reads(
            model=lambda w: manifest(EXPORTS.model(w.exported)),
            metrics=lambda w: PLACES.by_set("metrics", EXPORTS.systems(w.exported).values()),
        ),
        card=in_project("workflow_scripts/export/model_card.md"),
    output:
        artifact("exports", "{exported}", "onnx"),
    log:
        log("export_onnx/{exported}"),
    wildcard_constraints:
        exported=EXPORTED,
    params:
        **job("export.export_onnx", lambda w: EXPORTS.model_spec(w.exported, "onnx"), domains=DOMAINS),
