"""The loop below benchmarks, studies and exports: each item ends once, whatever its worker does; and so does the parent."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace

import psutil
import pytest
from mlflow import MlflowClient

from harness.errors import Stopped
from harness.execution import driving
from harness.execution.attempt import Attempted
from harness.execution.driving import RETRIES, Round, Work, drive, parent_at_work
from harness.execution.isolation import WorkerLost
from harness.outcome import Outcome
from harness.run import Stop
from harness.tracking.claims import close_left_behind
from harness.tracking.liveness import this_process
from harness.tracking.parent import child_tags, leave_parent, open_parent
from tests.support import all_runs, gone
from tests.tracking.test_liveness import start_of


@dataclass(frozen=True)
class Item:
    fingerprint: str


How = Callable[[Item, Future[Attempted]], None]


class Bench:
    """Items, and workers that do with each attempt what ``how`` says; keeps what was asked of them."""

    def __init__(self, count: int, how: How) -> None:
        self.waiting = deque(Item(str(number)) for number in range(count))
        self.how, self.tried, self.closed = how, Counter[str](), list[str]()
        self.stop, self.rounds, self.at_work, self.most = Stop(), list[Round[Item, Attempted]](), 0, 0

    def submit(self, item: Item) -> Future[Attempted]:
        self.tried[item.fingerprint] += 1
        future: Future[Attempted] = Future()
        future.add_done_callback(self._over)
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        self.how(item, future)
        return future

    def _over(self, future: Future[Attempted]) -> None:
        self.at_work -= 1

    def close_lost(self, outcome: Outcome, reason: str, fingerprint: str) -> str:
        self.closed.append(fingerprint)
        return "closed"

    def drive(self, window: int = 2, more: Callable[[], bool] = lambda: False) -> list[tuple[str, Outcome | None]]:
        work = Work(
            lambda: self.waiting.popleft() if self.waiting else None,
            self.waiting.append,
            self.submit,
            lambda item, outcome, reason, run_id: Attempted(item.fingerprint, outcome, run_id, reason),
            self.close_lost,
            str,
            more,
        )
        for each in drive(work, window, self.stop):
            self.rounds.append(each)
        return [(item.fingerprint, ended.outcome) for each in self.rounds for item, ended in each.ended]


def came(item: Item, outcome: Outcome = Outcome.COMPLETED) -> Attempted:
    return Attempted(item.fingerprint, outcome, "r")


@pytest.fixture(autouse=True)
def in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driving, "POLL_S", 0.02)


def test_no_more_are_submitted_at_a_time_than_the_window_holds() -> None:
    open_ones: list[tuple[Item, Future[Attempted]]] = []

    def how(item: Item, future: Future[Attempted]) -> None:
        open_ones.append((item, future))
        if len(open_ones) == 3 or not bench.waiting:
            while open_ones:
                each, of = open_ones.pop(0)
                of.set_result(came(each))

    bench = Bench(7, how)
    assert sorted(bench.drive(3)) == [(str(number), Outcome.COMPLETED) for number in range(7)]
    assert bench.most == 3


def test_what_the_executor_gives_up_is_a_lost_worker() -> None:
    def how(item: Item, future: Future[Attempted]) -> None:
        future.cancel()
        future.set_running_or_notify_cancel()  # as Dask does when it has lost its scheduler

    bench = Bench(2, how)
    assert sorted(bench.drive()) == [("0", Outcome.ERROR), ("1", Outcome.ERROR)]
    assert bench.tried == {"0": RETRIES + 1, "1": RETRIES + 1}
    assert Counter(bench.closed) == bench.tried


def test_an_item_that_is_interrupted_time_and_again_ends_as_that() -> None:
    bench = Bench(1, lambda item, future: future.set_result(came(item, Outcome.INTERRUPTED)))
    assert bench.drive() == [("0", Outcome.INTERRUPTED)]
    assert bench.tried == {"0": RETRIES + 1}


def test_it_waits_while_something_may_still_come() -> None:
    bench = Bench(0, lambda item, future: future.set_result(came(item)))

    def more() -> bool:
        if len(bench.rounds) == 2:
            bench.waiting.append(Item("late"))
        return len(bench.rounds) < 3

    assert bench.drive(more=more) == [("late", Outcome.COMPLETED)]


def test_after_a_stop_nothing_begins_and_what_ends_in_time_is_told_apart_from_what_is_left() -> None:
    def how(item: Item, future: Future[Attempted]) -> None:
        futures.append(future)
        if len(futures) == 4:
            bench.stop.reason = "Stopped by SIGTERM"
            futures[1].set_running_or_notify_cancel()

    futures: list[Future[Attempted]] = []
    bench = Bench(6, how)
    asked: list[str] = []

    def stop_at_work(of: dict[Future[Attempted], Item]) -> set[Future[Attempted]]:
        items = list(of)
        items[0].set_result(came(of[items[0]]))
        items[1].set_result(came(of[items[1]], Outcome.INTERRUPTED))
        items[2].set_exception(WorkerLost("gone"))
        items[3].cancel()
        asked.extend(item.fingerprint for item in of.values())
        return set(items)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driving, "stop_at_work", stop_at_work)
        assert bench.drive(4) == [("0", Outcome.COMPLETED)]
    assert [item.fingerprint for item, _ in bench.rounds[-1].interrupted] == ["1"]
    assert asked == ["0", "1", "2", "3"]
    assert len(bench.waiting) == 2


@pytest.mark.parametrize(
    ("error", "status", "outcome", "reason"),
    [
        (ZeroDivisionError("by zero"), "FAILED", "error", "The benchmark ended by ZeroDivisionError: by zero"),
        (KeyboardInterrupt(), "KILLED", "interrupted", "Stopped by SIGINT"),
        (Stopped("Stopped by SIGHUP"), "KILLED", "interrupted", "Stopped by SIGHUP"),
    ],
)
def test_a_parent_that_is_left_by_an_exception_is_ended_with_its_reason_and_so_is_what_workers_left(
    error: BaseException, status: str, outcome: str, reason: str, store: MlflowClient
) -> None:
    def work() -> None:
        with parent_at_work(store, "0", "b-1", {"benchmark": "b-1"}, what="benchmark") as parent:
            tags = {**child_tags(parent.info.run_id), "owner": child_tags("")["driver"], "fingerprint": "f"}
            store.create_run("0", tags=tags)
            raise error

    with pytest.raises(type(error)):
        work()
    found = {run.info.run_name: run for run in all_runs(store)}
    assert {run.info.status for run in found.values()} == {status}
    assert {run.data.tags["outcome"] for run in found.values()} == {outcome}
    assert found["b-1"].data.tags["outcome.reason"] == reason


@pytest.fixture
def other() -> str:
    """The owner tag of another driver of this machine, a process that is at work: whoever started the tests."""
    above = psutil.Process().parent()
    assert above is not None
    return str(replace(this_process(), pid=above.pid, start=start_of(above.pid)))


def crash(store: MlflowClient, child: dict[str, str], parent_owner: str | None = None) -> str:
    """A driver that fails while its parent has a child at work, and maybe an owner that wrote last; gives the parent."""
    run_id = ""
    work = parent_at_work(store, "0", "b-1", {"benchmark": "b-1"}, what="benchmark")
    with suppress(ZeroDivisionError), work as parent:
        run_id = str(parent.info.run_id)
        store.create_run("0", run_name="child", tags=child_tags(run_id) | {"fingerprint": "f"} | child)
        if parent_owner is not None:
            store.set_tag(run_id, "owner", parent_owner)
        raise ZeroDivisionError
    return run_id


def test_a_parent_that_another_driver_is_at_work_on_is_left_to_it(store: MlflowClient, other: str) -> None:
    parent = store.get_run(crash(store, {"driver": other, "owner": other}))
    assert parent.info.status == "RUNNING"
    assert "outcome" not in parent.data.tags
    assert parent.data.tags["owner"] == other, "or the next process takes it for left behind"
    assert close_left_behind(store) == 0


def test_a_parent_that_another_driver_wrote_last_is_left_to_it(store: MlflowClient, other: str) -> None:
    ours = {"owner": child_tags("")["driver"]}
    assert store.get_run(crash(store, ours, parent_owner=other)).info.status == "RUNNING"
    child = next(run for run in all_runs(store) if run.info.run_name == "child")
    assert child.info.status == "FAILED", "it is ours"


def test_a_driver_elsewhere_may_be_at_work(store: MlflowClient, other: str) -> None:
    elsewhere = other.replace("harness/", "harness/elsewhere-", 1)
    parent = store.get_run(crash(store, {"driver": elsewhere, "owner": elsewhere}))
    assert (parent.info.status, parent.data.tags["owner"]) == ("RUNNING", elsewhere)


def test_a_driver_that_is_gone_or_at_work_on_another_parent_keeps_none_open(store: MlflowClient, other: str) -> None:
    dead = str(gone())
    assert store.get_run(crash(store, {"driver": dead, "owner": other}, parent_owner=dead)).info.status == "FAILED"
    of_another = {"driver": other, "owner": other, **child_tags("another"), "benchmark": "b-2"}
    assert store.get_run(crash(store, of_another | {"driver": other})).info.status == "FAILED"


def test_a_driver_that_is_asked_to_stop_leaves_the_parent_too(store: MlflowClient, other: str) -> None:
    run_id = str(open_parent(store, "0", "b-1", {"benchmark": "b-1"}).info.run_id)
    store.create_run("0", tags=child_tags(run_id) | {"fingerprint": "f", "driver": other, "owner": other})
    leave_parent(store, run_id, Outcome.INTERRUPTED, "Stopped by SIGTERM")
    assert store.get_run(run_id).info.status == "RUNNING"
