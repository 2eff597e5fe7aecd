"""The base rule, and one for each stage: what its jobs need to run."""

COMMAND = (
    "python -m {params.module} --log {log:q} --threads {threads} --memory-mb {resources.mem_mb} "
    "--device {resources.device} --gpu-share {resources.gpu_share} "
    f"--arithmetic {CONFIG['arithmetic']} "
    "--spec {params.spec:q} {params.options}"
)


# Of jobs that can start, those that read what others published go first, so that nothing is computed before a fault in
# it is found; then those that end in a cell, then what many students wait for, then students.
STUDENTS_LAST, SHARED, RERANKING, MEASURING, DATA_FIRST = range(5)


rule python_job:
    """What every rule has: one script, its log, its environment."""
    log:
        log("python_job"),
    priority: SHARED
    conda:
        "../environment.yml"
    shell:
        COMMAND


use rule python_job as prepare_job with:
    priority: DATA_FIRST
    threads: threads_of(CONFIG, "prepare")
    resources:
        **resources_of(CONFIG, "prepare"),


use rule python_job as index_job with:
    threads: threads_of(CONFIG, "index")
    resources:
        **resources_of(CONFIG, "index"),


use rule python_job as tokenise_job with:
    threads: threads_of(CONFIG, "tokenise")
    resources:
        **resources_of(CONFIG, "tokenise"),


use rule python_job as search_job with:
    threads: threads_of(CONFIG, "search")
    resources:
        **resources_of(CONFIG, "search"),


use rule python_job as pretrain_job with:
    threads: threads_of(CONFIG, "pretrain")
    resources:
        **resources_of(CONFIG, "pretrain"),


use rule python_job as mine_job with:
    threads: threads_of(CONFIG, "mine")
    resources:
        **resources_of(CONFIG, "mine"),


use rule python_job as score_job with:
    threads: threads_of(CONFIG, "score")
    resources:
        **resources_of(CONFIG, "score", GPU_PARTS),


use rule python_job as train_job with:
    priority: STUDENTS_LAST
    threads: threads_of(CONFIG, "train")
    resources:
        **resources_of(CONFIG, "train", GPU_PARTS),


use rule python_job as rerank_job with:
    priority: RERANKING
    threads: threads_of(CONFIG, "rerank")
    resources:
        **resources_of(CONFIG, "rerank", GPU_PARTS),


use rule python_job as analyse_job with:
    priority: MEASURING
    threads: threads_of(CONFIG, "analyse")
    resources:
        **resources_of(CONFIG, "analyse"),
