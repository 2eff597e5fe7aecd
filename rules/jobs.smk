"""A base rule for each stage, prepare_job, index_job and so on: what its jobs need to run."""

COMMAND = (
    "python -m {params.module} --log {log:q} --threads {threads} --memory-mb {resources.mem_mb} "
    "--device {resources.device} --gpu-share {resources.gpu_share} "
    f"--arithmetic {CONFIG['arithmetic']} "
    "--spec {params.spec:q} {params.options}"
)


# Of jobs that can start, those that read what others published go first, so that nothing is computed before a fault in
# it is found; then the longest of what the page waits for, lest one runs alone at the end; then those that end in a cell,
# then what many students wait for, then students.
STUDENTS_LAST, SHARED, RERANKING, MEASURING, LONG_PARTS, DATA_FIRST = range(6)
PRIORITIES = {"prepare": DATA_FIRST, "train": STUDENTS_LAST, "rerank": RERANKING, "analyse": MEASURING}


for STAGE in NEEDS:

    rule:
        """What every rule has: one script, its log, its environment."""
        name:
            f"{STAGE}_job"
        log:
            log(f"{STAGE}_job"),
        priority: PRIORITIES.get(STAGE, SHARED)
        conda:
            "../environment.yml"
        threads: threads_of(CONFIG, STAGE)
        resources:
            **resources_of(CONFIG, STAGE, GPU_PARTS, limit=minutes_allowed),
        shell:
            COMMAND
