"""When an experiment's jobs could end: the chain that bounds it whatever the machines, and a simulated run on some."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from graphlib import TopologicalSorter
from typing import NamedTuple


class Timed(NamedTuple):
    """A job's ``hours``, whether it holds a GPU, the cores it holds else, and the places of the jobs it waits for."""

    hours: float
    on_gpu: bool
    cores: int
    needs: Sequence[int]


def hours_behind(jobs: Sequence[Timed]) -> list[float]:
    """Of each job the hours from its start to the end of the longest chain of jobs that wait for it."""
    behind = [job.hours for job in jobs]
    order = TopologicalSorter({place: job.needs for place, job in enumerate(jobs)}).static_order()
    for place in reversed([*order]):
        for need in jobs[place].needs:
            behind[need] = max(behind[need], jobs[need].hours + behind[place])
    return behind


def critical_path(jobs: Sequence[Timed]) -> list[int]:
    """Places of the jobs of the longest chain, first to last; empty without jobs."""
    behind = hours_behind(jobs)
    waiting = _waiting(jobs)
    path: list[int] = []
    ready = [place for place, job in enumerate(jobs) if not job.needs]
    while ready:
        path.append(max(ready, key=behind.__getitem__))
        ready = waiting[path[-1]]
    return path


def makespan(jobs: Sequence[Timed], gpus: int, cores: int) -> float:
    """Hours until the last job ends where what is free goes to the ready job with the most hours behind it.

    A job that asks for more cores than there are gets all of them and takes as much longer. At worst this takes twice
    the time of the best order (Graham, 1966).
    """
    behind, waiting = hours_behind(jobs), _waiting(jobs)
    left = [len(job.needs) for job in jobs]
    held = [1 if job.on_gpu else min(job.cores, cores) for job in jobs]
    ready: tuple[list, list] = ([], [])  # of jobs on the CPU, on a GPU
    running: list[tuple[float, int]] = []
    free, now, startable = [cores, gpus], 0.0, [place for place, number in enumerate(left) if not number]
    while startable or running or any(ready):
        for place in startable:
            heapq.heappush(ready[jobs[place].on_gpu], (-behind[place], place))
        for kind, heap in enumerate(ready):
            while heap and held[heap[0][1]] <= free[kind]:
                place = heapq.heappop(heap)[1]
                free[kind] -= held[place]
                slower = 1 if kind else jobs[place].cores / held[place]
                heapq.heappush(running, (now + jobs[place].hours * slower, place))
        now, place = heapq.heappop(running)
        free[jobs[place].on_gpu] += held[place]
        for other in waiting[place]:
            left[other] -= 1
        startable = [other for other in waiting[place] if not left[other]]
    return now


def _waiting(jobs: Sequence[Timed]) -> list[list[int]]:
    """Of each job the places of those that wait for it."""
    waiting: list[list[int]] = [[] for _ in jobs]
    for place, job in enumerate(jobs):
        for need in job.needs:
            waiting[need].append(place)
    return waiting
