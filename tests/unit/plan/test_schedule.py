"""Jobs of a dry run, and when they could end."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from workflow_scripts.plan.jobs import Job, read_jobs
from workflow_scripts.plan.schedule import Schedule


def schedule(*jobs: tuple[float, bool, int, list[int]]) -> Schedule:
    return Schedule(pd.DataFrame(jobs, columns=["hours", "on_gpu", "threads", "needs"]))


def test_a_schedule_keeps_to_its_machines_and_its_chain() -> None:
    draw = np.random.default_rng(0)
    jobs = [
        (float(draw.integers(1, 9)), bool(place % 2), int(draw.integers(1, 5)), needs)
        for place in range(60)
        for needs in [sorted({int(one) for one in draw.integers(0, place, 2)} if place else [])]
    ]

    # Second implementation: the longest chain by trying what each job waits for.
    def chain(place: int) -> float:
        return jobs[place][0] + max(map(chain, jobs[place][3]), default=0.0)

    drawn = schedule(*jobs)
    path = drawn.longest_chain()
    longest = sum(jobs[place][0] for place in path)
    assert longest == max(map(chain, range(60)))
    assert all(before in jobs[after][3] for before, after in itertools.pairwise(path))
    assert drawn.makespan(60, 600) == longest
    for gpus, cores in ((1, 4), (2, 4), (1, 8)):
        on_gpu = sum(hours for hours, gpu, _, _ in jobs if gpu) / gpus
        on_cpu = sum(hours * threads for hours, gpu, threads, _ in jobs if not gpu) / cores
        assert max(longest, on_gpu, on_cpu) <= drawn.makespan(gpus, cores) <= longest + on_gpu + 4 * on_cpu
    # By hand: one after the other on one GPU; a job of four cores takes twice as long on two.
    two = schedule((3, True, 1, []), (2, True, 1, []), (1, False, 4, [1]))
    assert [two.makespan(1, 4), two.makespan(2, 4), two.makespan(2, 2)] == [6, 3, 4]
    assert schedule().makespan(1, 1) == 0 and schedule().longest_chain() == []


DRY_RUN = """Building DAG of jobs...
Job stats:
job                     count
--------------------  -------
all                         1
measure_students_a_b        1
train_student               1
total                       3

[Sat Nov 21 01:07:33 2026]
rule train_student:
    input: a, b
    output: c/manifest.json (update)
    wildcards: ranker=ce/kl.bm25.base/seed0
    threads: 4
    resources: tmpdir=/tmp, runtime=60, mem_mb=2000, mem=2 GB
rule measure_students_a_b:
    input: b, c/manifest.json
    output: m, n
    wildcards: student=ce, point=kl.bm25.base, seed=0
localrule all:
    input: n, c/manifest.json
"""


def test_jobs_wait_for_those_that_make_what_they_read() -> None:
    assert read_jobs(DRY_RUN) == [
        Job("measure_runs", {"ranker": "ce/kl.bm25.base/seed0", "set": "a-b"}, 1, (1,)),
        Job("train_student", {"ranker": "ce/kl.bm25.base/seed0"}, 4, (), 60, 2000),
    ]
