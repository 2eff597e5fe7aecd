"""Doors out: a cell's training data, runs and model as other tools read them. No table needs them: each is asked for by its path."""

# A student's cell, or teacher.{teacher}, or bm25.
EXPORTED = rf"bm25|teacher\.{ANY_ID}|({ANY_ID}\.){{4}}seed\d+"


def exported(wildcards):
    """Path of the ranker that is exported; teachers that were not trained here are their makers' to give away."""
    name = wildcards.exported
    return name if name == "bm25" else name.replace(".", "/") if name.count(".") == 1 else EXPERIMENT.ranker(name).path


def exported_model(wildcards):
    """Manifest of a trained model; :class:`InputError` where there is none."""
    ranker = exported(wildcards)
    name = ranker.removeprefix("teacher/")
    if ranker == "bm25" or (name != ranker and not entry("teachers", name)["trained"]):
        raise InputError(f"{wildcards.exported} was not trained here: there is no model to export")
    return manifest(RANKERS.model(ranker))


def data_behind(collection):
    """A collection and its corpus, as :func:`made_from` lists them."""
    of = entry("collections", collection)
    return [("corpus", of["corpus"], entry("corpora", of["corpus"])), ("collection", collection, of)]


def backbone_behind(name):
    """A backbone and the corpora that it was pretrained on."""
    of = entry("backbones", name)
    corpora = [("corpus", corpus, entry("corpora", corpus)) for corpus in of.get("corpora") or []]
    return [*corpora, ("backbone", name, of)]


def sampler_behind(name):
    """A sampler and the systems whose rankings it draws from."""
    of = entry("samplers", name)
    systems = [("system", system, entry("systems", system)) for system in of["systems"]]
    return [*data_behind(EXPERIMENT.training_collection_of(name)), *systems, ("sampler", name, of)]


def teacher_behind(name):
    """A teacher, what it was trained on, and its backbone."""
    if name not in CONFIG["teachers"]:
        return []
    of = entry("teachers", name)
    drawn = sampler_behind(of["sampler"]) if of["trained"] else []
    return [*drawn, *backbone_behind(of["backbone"]), ("teacher", name, of)]


def groups_behind(cell):
    """What a student's groups and their scores are made from: [what, id, entry of the config], each once."""
    student = EXPERIMENT.ranker(cell)
    return [*sampler_behind(student.sampler), *teacher_behind(student.teacher)]


def made_from(ranker):
    """What a ranker is made from and measured on, as :func:`groups_behind`."""
    if ranker.startswith("teacher/"):
        found = teacher_behind(ranker.removeprefix("teacher/"))
    else:
        student = EXPERIMENT.ranker(ranker)
        of = entry("students", student.student)
        found = groups_behind(ranker) + [("loss", student.loss, entry("losses", student.loss))]
        found += [*backbone_behind(of["backbone"]), ("student", student.student, of)]
    return found + list(itertools.chain(*map(data_behind, EXPERIMENT.test_collections)))


def card(wildcards, name, parts, teacher):
    """Facts of a card that the experiment knows."""
    once = {(what, id): [what, id, of] for what, id, of in parts}
    path = f"{RESULTS}/exports/{name}/{wildcards.get('format', 'model')}/manifest.json"
    files = [shlex.quote(os.path.relpath(file)) for file in workflow.configfiles]
    return {
        "name": name,
        "experiment": EXPERIMENT.name,
        "teacher": teacher if teacher in CONFIG["teachers"] else None,
        "made_from": list(once.values()),
        "rebuild": f"snakemake --configfile {' '.join(files)} --cores 2 -- {path}",
    }


def training_export(wildcards):
    """Spec of a cell's training data in some format."""
    student, trained = EXPERIMENT.ranker(wildcards.cell), RANKERS.student_spec(wildcards.cell)
    facts = card(wildcards, student.cell, groups_behind(wildcards.cell), student.teacher)
    return {
        "format": wildcards.format,
        "view": TRAINING["view"],
        "group_size": trained["group_size"],
        "cut": trained.get("cut"),
        "card": facts | {"sampler": student.sampler},
    }


def systems_beside(wildcards):
    """Names and paths of the rankers on a model's card: its own, BM25, and its teacher."""
    ranker = exported(wildcards)
    teacher = "none" if ranker.startswith("teacher/") else EXPERIMENT.ranker(ranker).teacher
    beside = {f"teacher {teacher}": f"teacher/{teacher}"} if teacher in CONFIG["teachers"] else {}
    return {"this model": ranker, "BM25": "bm25", **beside}


def model_export(wildcards):
    """Spec of a model's export."""
    ranker = exported(wildcards)
    student = None if ranker.startswith("teacher/") else EXPERIMENT.ranker(ranker)
    teacher = student.teacher if student and entry("losses", student.loss)["reads_teacher"] else None
    return {
        "systems": list(systems_beside(wildcards)),
        "domains": DOMAINS,
        "bootstrap": CONFIG["evaluation"]["bootstrap"],
        "card": card(wildcards, wildcards.exported, made_from(ranker), teacher)
        | {"depth": CONFIG["first_stage"]["depth"]},
    }


use rule prepare_job as export_training with:
    input:
        **reads(
            groups=lambda w: manifest(RANKERS.groups(w.cell)),
            labels=lambda w: list(map(manifest, RANKERS.labels(w.cell))),
            collection=lambda w: manifest("collections", RANKERS.collection(w.cell)),
            corpus=lambda w: manifest("corpora", entry("collections", RANKERS.collection(w.cell))["corpus"]),
        ),
        card=in_project("workflow_scripts/export/data_card.md"),
    output:
        artifact("exports", "{cell}", "{format}"),
    log:
        log("export_training/{cell}.{format}"),
    wildcard_constraints:
        format=other_than(["trec", "model", "onnx"]),
    params:
        **job("export.export_training", training_export),


use rule prepare_job as export_runs with:
    input:
        **reads(evaluation=lambda w: [EVALUATION.format(set=name) for name in EXPERIMENT.sets_of(exported(w))]),
        runs=lambda w: all_runs([exported(w)]),
    output:
        artifact("exports", "{exported}", "trec"),
    log:
        log("export_runs/{exported}"),
    wildcard_constraints:
        exported=EXPORTED,
    params:
        **job(
            "export.export_runs",
            lambda w: {"tag": RANKERS.tag(exported(w))},
            {"collections": EXPERIMENT.test_collections},
        ),


use rule prepare_job as export_model with:
    input:
        **reads(
            model=exported_model,
            metrics=lambda w: PLACES.by_set("metrics", systems_beside(w).values()),
        ),
        card=in_project("workflow_scripts/export/model_card.md"),
    output:
        artifact("exports", "{exported}", "model"),
    log:
        log("export_model/{exported}"),
    wildcard_constraints:
        exported=EXPORTED,
    params:
        **job("export.export_model", model_export),


use rule prepare_job as export_onnx with:
    input:
        **reads(model=exported_model),
    output:
        artifact("exports", "{exported}", "onnx"),
    log:
        log("export_onnx/{exported}"),
    wildcard_constraints:
        exported=EXPORTED,
    params:
        **job("export.export_onnx", lambda w: {"architecture": RANKERS.architecture(exported(w))[0]}),
