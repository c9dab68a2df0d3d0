"""Jobs are rows: asked for once, claimed once, started again when their worker died, named by their window."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, time, timedelta

import pytest
import time_machine
from django.db import InterfaceError
from django.db import OperationalError as DatabaseAway
from kombu.exceptions import OperationalError

from depot import clock
from depot.jobs import enqueue, job, registry, services, tasks
from depot.jobs.services import JobError, ask_for_due, run, sweep, tick
from depot.models import Alert, Job
from tests.factories import NOW, make_depot, make_person

LONG_AGO = timedelta(hours=1)


@pytest.fixture(autouse=True)
def kinds(monkeypatch):
    """Start with no kind of job at all."""
    empty: dict[str, registry.JobKind] = {}
    monkeypatch.setattr(registry, "KINDS", empty)
    monkeypatch.setattr(services, "KINDS", empty)
    return empty


@pytest.fixture(autouse=True)
def messages(monkeypatch) -> list[str]:
    """Collect the messages to workers instead of sending them."""
    sent: list[str] = []
    monkeypatch.setattr(tasks.run_job, "delay", sent.append)
    return sent


def work(name="work", result=None, **rhythm):
    """Register a kind of job; return the list of its runs."""
    runs = []

    @job(name, title="Work", **rhythm)
    def handler(row, progress):
        runs.append(row.window)
        return result() if callable(result) else result

    return runs


def row(pk) -> Job:
    return Job.objects.get(pk=pk)


def make_stale(pk) -> None:
    Job.objects.filter(pk=pk).update(heartbeat_at=clock.wall_now() - LONG_AGO)


# ---- asking


def test_the_same_work_is_asked_for_once(depot, other_depot, messages, django_capture_on_commit_callbacks):
    work()
    person = make_person(depot)
    with django_capture_on_commit_callbacks(execute=True):
        first = enqueue("work", depot, "w1", {"trigger": "by hand"}, person)
        assert enqueue("work", depot, "w1", {"trigger": "again"}) == first
        others = [
            enqueue("work", depot, "w2"),
            enqueue("work", other_depot, "w1"),
            enqueue("work", None, "w1"),
        ]
        assert enqueue("work", None, "w1") == others[2]
    assert Job.objects.count() == 4
    assert row(first.pk).payload == {"trigger": "by hand"} and row(first.pk).requested_by == person
    assert sorted(messages) == sorted(str(one.pk) for one in [first, *others])


def test_no_message_leaves_before_the_row_is_committed(depot, messages, django_capture_on_commit_callbacks):
    work()
    with django_capture_on_commit_callbacks() as callbacks:
        enqueue("work", depot, "w1")
    assert messages == [] and len(callbacks) == 1


def test_work_of_an_unknown_kind_is_refused_with_those_that_exist(depot):
    work()
    with pytest.raises(ValueError, match="no job of kind 'wrk'; known: work"):
        enqueue("wrk", depot, "w1")


def test_a_broker_that_is_away_loses_nothing(depot, monkeypatch, caplog, django_capture_on_commit_callbacks):
    runs = work()

    def away(job_id):
        raise OperationalError("no route to broker")

    monkeypatch.setattr(tasks.run_job, "delay", away)
    with caplog.at_level(logging.WARNING), django_capture_on_commit_callbacks(execute=True):
        waiting = enqueue("work", depot, "w1")
    assert "the sweeper sends it again" in caplog.text
    sent: list[str] = []
    monkeypatch.setattr(tasks.run_job, "delay", sent.append)
    make_stale(waiting.pk)
    assert sweep() == 1 and sent == [str(waiting.pk)]
    assert run(sent[0], beat=False) and runs == ["w1"]


@pytest.mark.parametrize(
    "rhythm",
    [
        {"every": timedelta(seconds=30)},
        {"every": timedelta(seconds=90)},
        {"every": timedelta(minutes=5), "local_at": time(1)},
    ],
)
def test_a_rhythm_that_cannot_be_kept_is_refused(rhythm):
    with pytest.raises(ValueError, match="Job work"):
        work(**rhythm)


# ---- running


def test_a_job_is_run_once_and_keeps_its_result(depot):
    runs = work(result={"blocks": 3})
    asked = enqueue("work", depot, "w1")
    assert run(asked.pk, beat=False) and not run(asked.pk, beat=False) and not run(str(asked.pk), beat=False)
    done = row(asked.pk)
    assert runs == ["w1"]
    assert (done.state, done.result, done.progress, done.attempts) == ("done", {"blocks": 3}, 1.0, 1)
    assert done.started_at and done.finished_at


def test_two_workers_with_one_message_do_it_once(depot):
    asked = []

    def second_worker():
        assert not run(asked[0].pk, beat=False), "the first one holds it"

    runs = work(result=second_worker)
    asked.append(enqueue("work", depot, "w1"))
    assert run(asked[0].pk, beat=False)
    assert runs == ["w1"]


def test_progress_is_seen_while_it_runs(depot):
    seen = []

    @job("work", title="Work")
    def handler(one, progress):
        progress(0.4, "Reading meters " * 30)
        now = row(one.pk)
        seen.append((now.state, now.progress, len(now.step)))

    run(enqueue("work", depot, "w1").pk, beat=False)
    assert seen == [("running", 0.4, 200)]


def test_a_reason_that_people_can_act_on_is_shown_as_it_is(depot):
    def fail():
        raise JobError("No tariff is valid today. Enter it in the set-up.")

    work(result=fail)
    asked = enqueue("work", depot, "w1")
    run(asked.pk, beat=False)
    assert (row(asked.pk).state, row(asked.pk).error) == (
        "failed",
        "No tariff is valid today. Enter it in the set-up.",
    )


def test_a_fault_of_the_program_shows_no_internals_but_is_logged(depot, caplog):
    def fail():
        raise RuntimeError("secret=hunter2")

    work(result=fail)
    asked = enqueue("work", depot, "w1")
    with caplog.at_level(logging.ERROR):
        run(asked.pk, beat=False)
    failed = row(asked.pk)
    assert failed.state == "failed" and "hunter2" not in failed.error and "log" in failed.error
    assert "hunter2" in caplog.text


def test_work_whose_kind_is_gone_fails_and_does_not_wait_for_ever(depot, kinds):
    work()
    asked = enqueue("work", depot, "w1")
    kinds.clear()
    assert run(asked.pk, beat=False)
    assert row(asked.pk).state == "failed"


# ---- dying


def test_a_dead_workers_job_is_started_again(depot, messages):
    runs = work()
    asked = enqueue("work", depot, "w1")
    Job.objects.filter(pk=asked.pk).update(state="running", attempts=1, progress=0.3)
    make_stale(asked.pk)
    assert sweep() == 1 and messages == [str(asked.pk)]
    assert row(asked.pk).state == "queued"
    assert run(messages[0], beat=False)
    assert (runs, row(asked.pk).state, row(asked.pk).attempts) == (["w1"], "done", 2)


def test_a_living_workers_job_is_left_alone(depot, messages):
    work()
    asked = enqueue("work", depot, "w1")
    Job.objects.filter(pk=asked.pk).update(state="running", heartbeat_at=clock.wall_now())
    assert sweep() == 0 and messages == []
    assert row(asked.pk).state == "running"


def test_a_worker_that_was_only_thought_dead_writes_nothing_any_more(depot):
    """The slow first attempt ends after the second one: the second one's result stays."""
    asked = []
    attempts = []

    @job("work", title="Work")
    def handler(one, progress):
        attempts.append(one.attempts)
        if len(attempts) == 1:
            make_stale(one.pk)
            sweep()
            assert run(one.pk, beat=False)
            progress(0.1, "still at it")
            return {"by": "first"}
        return {"by": "second"}

    asked.append(enqueue("work", depot, "w1"))
    run(asked[0].pk, beat=False)
    done = row(asked[0].pk)
    assert (attempts, done.state, done.result, done.progress) == ([1, 2], "done", {"by": "second"}, 1.0)


def test_what_kills_its_worker_every_time_is_given_up(depot, messages):
    work()
    asked = enqueue("work", depot, "w1")
    for _ in range(3):
        Job.objects.filter(pk=asked.pk).update(state="running", attempts=services.F("attempts") + 1)
        make_stale(asked.pk)
        sweep()
    failed = row(asked.pk)
    assert (failed.state, failed.attempts, len(messages)) == ("failed", 3, 2)
    assert failed.error.startswith("Its worker died 3 times.")
    assert Alert.objects.get().key == "job.work"


@pytest.mark.django_db(transaction=True)
def test_a_running_job_shows_that_it_lives(settings, tmp_path):
    """The heartbeat comes from a thread of its own, while the handler is busy."""
    from time import monotonic, sleep

    settings.JOB_HEARTBEAT_SECONDS = 0.02
    depot = make_depot()
    moved = []

    @job("work", title="Work")
    def handler(one, progress):
        first, until = row(one.pk).heartbeat_at, monotonic() + 20
        while row(one.pk).heartbeat_at == first and monotonic() < until:
            sleep(0.02)
        moved.append(row(one.pk).heartbeat_at > first)

    run(enqueue("work", depot, "w1").pk)
    assert moved == [True]


def test_a_database_that_is_away_for_a_moment_loses_no_window(depot, messages):
    """A nightly job must not be lost for its day because the database was locked once."""
    outcomes = [DatabaseAway("database is locked"), DatabaseAway("database is locked"), None]

    def once_more():
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome
        return {}

    runs = work("health", result=once_more, local_at=time(1, 30))
    assert ask_for_due(NOW) == 1
    asked = Job.objects.get()
    for attempt in (1, 2):
        assert run(asked.pk, beat=False)
        assert (row(asked.pk).state, row(asked.pk).attempts) == ("queued", attempt)
        make_stale(asked.pk)
        assert sweep() == 1
    assert run(asked.pk, beat=False)
    assert (row(asked.pk).state, len(runs), messages) == ("done", 3, [str(asked.pk)] * 2)
    assert not Alert.objects.exists()


@pytest.mark.parametrize(("worked_s", "sent_after_s"), [(0, 6), (4, 2), (300, 0)])
def test_what_the_database_interrupted_goes_on_once_it_is_back(depot, messages, worked_s, sent_after_s):
    """How long it had worked, or waited for the database, is no reason to let it wait as long again."""
    with time_machine.travel(NOW, tick=False) as wall:

        @job("work", title="Work")
        def handler(one, progress):
            wall.shift(worked_s)
            raise DatabaseAway("the server closed the connection unexpectedly")

        asked = enqueue("work", depot, "w1")
        assert run(asked.pk, beat=False) and row(asked.pk).state == "queued"
        wall.shift(sent_after_s - 0.01)
        assert sweep() == (worked_s == 300)
        wall.shift(0.02)
        sweep()
        assert messages == [str(asked.pk)], "sent once, and in time"


def test_a_database_that_stays_away_ends_the_tries_and_raises_an_alert(depot):
    def away():
        raise InterfaceError("connection already closed")

    work("health", result=away)
    asked = enqueue("health", depot, "w1")
    for _ in range(3):
        assert run(asked.pk, beat=False)
    failed = row(asked.pk)
    assert (failed.state, failed.attempts) == ("failed", 3)
    assert failed.error == "The database did not answer 3 times. The log has the details."
    assert Alert.objects.get().detail == failed.error


def test_failed_work_is_an_alert_until_work_of_its_kind_succeeds(depot):
    outcomes = [JobError("No tariff is valid today."), None]

    def next_one():
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome

    work("bill", result=next_one)
    run(enqueue("bill", depot, "w1").pk, beat=False)
    alert = Alert.objects.get(cleared_at__isnull=True)
    assert (alert.key, alert.title, alert.detail) == (
        "job.bill",
        "Background work failed: Work",
        "No tariff is valid today.",
    )
    run(enqueue("bill", depot, "w2").pk, beat=False)
    assert not Alert.objects.filter(cleared_at__isnull=True).exists()


def test_what_nobody_heard_of_is_sent_again_less_and_less_often(depot, messages):
    """A busy worker is not slow because its queue fills with copies of one message."""
    work()
    waiting = enqueue("work", depot, "w1")
    asked_at = row(waiting.pk).created_at
    for second in range(20, 1200, 5):
        with time_machine.travel(asked_at + timedelta(seconds=second, milliseconds=1), tick=False):
            sweep()
    # At 20, 40, 80, 160, 320 s, then every 5 minutes.
    assert messages == [str(waiting.pk)] * 7


# ---- recurring


@time_machine.travel(NOW, tick=False)
def test_two_beats_ask_for_each_window_once(depot, other_depot):
    work("plan", every=timedelta(minutes=15))
    work("health", local_at=time(1, 30))
    work("upload")
    assert tick(NOW) == 4
    assert tick(NOW) == 0, "a second beat finds all of it asked for"
    assert ask_for_due(NOW + timedelta(seconds=5)) == 0
    assert {(one.kind, one.depot, one.window) for one in Job.objects.all()} == {
        (kind, site, window)
        for site in (depot, other_depot)
        for kind, window in (("plan", "2026-03-10T15:00:00+00:00"), ("health", "2026-03-10"))
    }


def test_the_next_window_waits_for_the_one_before(depot):
    runs = work("plan", every=timedelta(minutes=15))
    assert ask_for_due(NOW) == 1
    assert ask_for_due(NOW + timedelta(minutes=15)) == 0, "the first one has not run yet"
    run(Job.objects.get().pk, beat=False)
    assert ask_for_due(NOW + timedelta(minutes=15)) == 1
    assert runs == ["2026-03-10T15:00:00+00:00"]


def test_asking_takes_the_same_queries_for_many_depots(depot, django_assert_num_queries):
    work("plan", every=timedelta(minutes=15))
    ask_for_due(NOW)
    for number in range(4):
        make_depot(f"Depot {number}")
    ask_for_due(NOW)
    with django_assert_num_queries(3):
        assert ask_for_due(NOW) == 0


@pytest.mark.parametrize(
    ("at", "window"),
    [
        ("2026-03-08T05:30Z", "2026-03-07"),  # 00:30 EST
        ("2026-03-08T06:59Z", "2026-03-07"),  # 01:59 EST, then 02:30 does not exist on this day
        ("2026-03-08T07:00Z", "2026-03-08"),  # 03:00 EDT: due at once
        ("2026-11-01T05:40Z", "2026-10-31"),  # 01:40 EDT
        ("2026-11-01T06:40Z", "2026-10-31"),  # 01:40 EST, the second time
        ("2026-11-01T07:30Z", "2026-11-01"),  # 02:30 EST
    ],
)
def test_a_daily_window_is_named_by_the_depots_day_also_when_clocks_change(depot, at, window):
    work("health", local_at=time(2, 30))
    assert services.KINDS["health"].window(depot, datetime.fromisoformat(at)) == window


def test_an_hour_that_comes_twice_gives_one_daily_job(depot):
    work("health", local_at=time(1, 30))
    at, asked = datetime(2026, 11, 1, 4, 0, tzinfo=UTC), 0
    while at < datetime(2026, 11, 1, 12, 0, tzinfo=UTC):
        asked += ask_for_due(at)
        Job.objects.update(state="done", finished_at=clock.wall_now())
        at += timedelta(minutes=10)
    assert sorted(Job.objects.values_list("window", flat=True)) == ["2026-10-31", "2026-11-01"]
    assert asked == 2


def test_quarters_are_counted_in_utc_so_that_a_doubled_hour_has_eight(depot):
    work("plan", every=timedelta(minutes=15))
    start = datetime(2026, 11, 1, 5, 0, tzinfo=UTC)
    names = {services.KINDS["plan"].window(depot, start + timedelta(minutes=minute)) for minute in range(120)}
    assert len(names) == 8


def test_old_jobs_are_forgotten_and_others_kept(depot):
    work()
    old, fresh, waiting = (enqueue("work", depot, name) for name in ("old", "fresh", "waiting"))
    wall = clock.wall_now()
    Job.objects.filter(pk=old.pk).update(state="done", finished_at=wall - timedelta(days=15))
    Job.objects.filter(pk=fresh.pk).update(state="failed", finished_at=wall - timedelta(days=13))
    Job.objects.filter(pk=waiting.pk).update(created_at=wall - timedelta(days=99))
    sweep()
    assert set(Job.objects.values_list("window", flat=True)) == {"fresh", "waiting"}


def test_the_messages_do_no_more_than_pass_on(depot, monkeypatch):
    runs = work("plan", every=timedelta(minutes=15))
    with time_machine.travel(NOW, tick=False):
        tasks.tick()
    monkeypatch.setattr(tasks.services, "_heartbeat", lambda job, claim: services.nullcontext())
    tasks.run_job(str(Job.objects.get().pk))
    assert runs == ["2026-03-10T15:00:00+00:00"]


def test_what_was_cancelled_is_done_when_it_is_asked_for_again(depot, messages):
    """The same question on one day is one job: a person who cancelled it may still want the answer later."""
    runs = work(result={"found": 1})
    first = enqueue("work", depot, "today", {"keys": [1]})
    assert services.cancel(first) and not run(first.pk)
    again = enqueue("work", depot, "today", {"keys": [1]})
    assert again.pk == first.pk and again.state == Job.State.QUEUED
    assert run(again.pk) and runs == ["today"]
    done = row(first.pk)
    assert (done.state, done.attempts, done.result) == (Job.State.DONE, 1, {"found": 1})
    assert enqueue("work", depot, "today").state == Job.State.DONE and not run(first.pk)


@pytest.mark.django_db(transaction=True)
def test_how_a_job_ended_is_written_though_the_database_is_away_for_a_moment(monkeypatch):
    monkeypatch.setattr(services, "PAUSE_S", 0.0)
    outcomes = [DatabaseAway("terminating connection"), InterfaceError("the connection is closed"), 1]

    def write():
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert services._patiently(write) == 1
    monkeypatch.setattr(services, "PATIENCE_S", -1.0)
    outcomes.append(DatabaseAway("still away"))
    with pytest.raises(DatabaseAway, match="still away"):
        services._patiently(write)
