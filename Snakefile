"""Distillery: what makes ranking distillation work, from raw collections to tables, one path per result."""

from snakemake.utils import min_version

min_version("9.20")


include: "rules/common.smk"
include: "rules/shown.smk"
include: "rules/jobs.smk"


localrules:
    all,
    downloads,
    tables,
    figures,
    report,


onstart:
    start_jobs_as_they_come(workflow)
    try:
        check_jobs_are_seen(workflow)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    if workflow.local_exec and workflow.is_main_process:
        warm_start(sum(1 for _ in workflow.dag.needrun_jobs()), CONFIG["arithmetic"])


onsuccess:
    ask_again_what_was_made_otherwise(workflow)


onerror:
    ask_again_what_was_made_otherwise(workflow)


rule all:
    """Every table, every cell and everything they were made from."""
    default_target: True
    input:
        rules_all,


rule tables:
    """The tables alone; whatever they need is made."""
    input:
        lambda wildcards: TABLES,


rule figures:
    """The figures alone; whatever they need is made."""
    input:
        lambda wildcards: FIGURES,


rule report:
    """The page alone; whatever it needs is made."""
    input:
        f"{RESULTS}/report.html",


include: "rules/collect.smk"
include: "rules/index.smk"
include: "rules/backbone.smk"
include: "rules/mine.smk"
include: "rules/teach.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/effectiveness.smk"
include: "rules/locality.smk"
include: "rules/studies.smk"
include: "rules/claims.smk"
include: "rules/report.smk"
include: "rules/export.smk"
