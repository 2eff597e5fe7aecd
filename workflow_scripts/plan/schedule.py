"""When an experiment's jobs could end: the chain that bounds it whatever the machines, and a simulated run on some."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from graphlib import TopologicalSorter

import pandas as pd


class Schedule:
    """Jobs by their place in a table of ``hours``, ``on_gpu``, ``threads``, and ``needs``: places of others."""

    def __init__(self, jobs: pd.DataFrame) -> None:
        columns = ("hours", "on_gpu", "threads", "needs")
        self.hours, self.on_gpu, self.threads, self.needs = (jobs[column].tolist() for column in columns)
        self.waiting: list[list[int]] = [[] for _ in self.needs]
        """Of each job the places of those that wait for it."""
        for place, needs in enumerate(self.needs):
            for need in needs:
                self.waiting[need].append(place)
        self.behind = self.hours.copy()
        """Of each job the hours from its start to the end of the longest chain of jobs that wait for it."""
        for place in TopologicalSorter(dict(enumerate(self.waiting))).static_order():
            self.behind[place] += max((self.behind[other] for other in self.waiting[place]), default=0)

    def longest_chain(self) -> list[int]:
        """Places of the jobs of the longest chain, first to last; empty without jobs."""
        chain: list[int] = []
        ready: Sequence[int] = range(len(self.hours))
        while ready:
            chain.append(max(ready, key=self.behind.__getitem__))
            ready = self.waiting[chain[-1]]
        return chain

    def makespan(self, gpus: int, cores: int) -> float:
        """Hours until the last job ends where what is free goes to the ready job with the most hours behind it.

        A job that asks for more cores than there are gets all of them and takes as much longer. At worst this takes
        twice the time of the best order (Graham, 1966).
        """
        left = list(map(len, self.needs))
        held = [1 if gpu else min(threads, cores) for gpu, threads in zip(self.on_gpu, self.threads, strict=True)]
        free, now, running = [cores, gpus], 0.0, []
        ready: tuple[list, list] = ([], [])  # of jobs on the CPU, on a GPU
        startable = [place for place, number in enumerate(left) if not number]
        while True:
            for place in startable:
                heapq.heappush(ready[self.on_gpu[place]], (-self.behind[place], place))
            for kind, heap in enumerate(ready):
                while heap and held[heap[0][1]] <= free[kind]:
                    place = heapq.heappop(heap)[1]
                    free[kind] -= held[place]
                    slower = 1 if kind else self.threads[place] / held[place]
                    heapq.heappush(running, (now + self.hours[place] * slower, place))
            if not running:
                return now
            now, place = heapq.heappop(running)
            free[self.on_gpu[place]] += held[place]
            for other in self.waiting[place]:
                left[other] -= 1
            startable = [other for other in self.waiting[place] if not left[other]]
