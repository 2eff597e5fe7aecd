"""What a long job says of itself, by a clock that the test moves."""

from __future__ import annotations

import pytest

from workflow_scripts.storage import progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_every_ten_seconds_and_one_at_the_end(clock: list[float], capsys: pytest.CaptureFixture) -> None:
    job = progress.Progress(4000, "queries")
    for seconds, done in ((5, 500), (6, 500), (9, 1000), (20, 2000)):
        clock[0] += seconds
        job.add(done, f"{done} more")
    job.add(10)  # beyond a total that was estimated: said once
    assert capsys.readouterr().err.splitlines() == [
        "1,000 of 4,000 queries, 91 a second, 33 s to go, 500 more",
        "4,000 of 4,000 queries, 100 a second, 2000 more",
    ]


def test_without_a_total_nothing_is_left_to_go(clock: list[float], capsys: pytest.CaptureFixture) -> None:
    job = progress.Progress(None, "lines read")
    clock[0] += 11
    job.add(22)
    assert capsys.readouterr().err == "22 lines read, 2 a second\n"


def test_a_terminal_gets_a_bar(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    job = progress.Progress(2, "queries")
    job.add(1)
    job.add(1)
    assert "100%" in capsys.readouterr().err
