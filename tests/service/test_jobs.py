"""Durable jobs on SQLite and PostgreSQL, with real processes that are really killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect
from sqlmodel import Session

from service import jobs
from service.database import open_engine, transaction
from service.jobs import Job

POLLING_SECONDS = 0.05


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    return new_database()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    jobs.shutdown(grace_seconds=0)
    engine.dispose()


@pytest.fixture
def launch(database_url: str, engine: Engine) -> Callable[..., None]:
    def launch(*work: Job, executor_id: str = "local") -> None:
        jobs.launch(database_url, work, executor_id=executor_id, polling_seconds=POLLING_SECONDS)

    return launch


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the jobs did not finish in time"
        time.sleep(0.02)


def wait_until_idle(engine: Engine) -> None:
    wait_until(lambda: jobs.count_waiting_jobs(engine) == 0)


def test_a_committed_job_runs_once_with_its_arguments(engine: Engine, launch: Callable[..., None]) -> None:
    calls: list[tuple[object, ...]] = []
    with transaction(engine) as session:
        jobs.enqueue(session, "note", "permit-1", {"pages": 2})
    launch(Job("note", lambda *args: calls.append(args)))
    wait_until_idle(engine)
    time.sleep(4 * POLLING_SECONDS)
    assert calls == [("permit-1", {"pages": 2})]


def test_a_rolled_back_job_never_runs(engine: Engine, launch: Callable[..., None]) -> None:
    calls: list[str] = []
    launch(Job("note", calls.append))
    with Session(engine) as session:
        jobs.enqueue(session, "note", "rolled back")
        session.rollback()
    with transaction(engine) as session:
        jobs.enqueue(session, "note", "committed")
    wait_until(lambda: "committed" in calls)
    time.sleep(4 * POLLING_SECONDS)
    assert calls == ["committed"]


def test_a_key_admits_a_job_once(engine: Engine, launch: Callable[..., None]) -> None:
    calls: list[str] = []
    launch(Job("note", calls.append))
    for _ in range(2):
        with transaction(engine) as session:
            jobs.enqueue(session, "note", "once", key="permit-1")
        wait_until_idle(engine)
    assert calls == ["once"]


def test_a_delayed_job_waits(engine: Engine, launch: Callable[..., None]) -> None:
    ran_at: list[float] = []
    launch(Job("note", lambda: ran_at.append(time.monotonic())))
    with transaction(engine) as session:
        jobs.enqueue(session, "note", delay=timedelta(seconds=1))
    enqueued_at = time.monotonic()
    wait_until(lambda: bool(ran_at))
    assert ran_at[0] - enqueued_at > 0.8


def test_a_failed_attempt_is_repeated(engine: Engine, launch: Callable[..., None]) -> None:
    outcomes = [OSError("first"), OSError("second"), None]
    calls: list[str] = []

    def note(reference: str) -> None:
        calls.append(reference)
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome

    launch(Job("note", note, first_retry=timedelta(milliseconds=10)))
    with transaction(engine) as session:
        jobs.enqueue(session, "note", "permit-1")
    wait_until(lambda: not outcomes)
    wait_until_idle(engine)
    assert calls == ["permit-1"] * 3
    assert jobs.failed_jobs(engine) == []


def test_a_job_given_up_is_listed_without_the_errors_text_and_can_be_retried(
    engine: Engine, launch: Callable[..., None]
) -> None:
    broken = threading.Event()
    broken.set()
    calls: list[str] = []

    def note(reference: str) -> None:
        if broken.is_set():
            raise OSError("CANARY")
        calls.append(reference)

    launch(Job("note", note, attempts=2, first_retry=timedelta(milliseconds=10)))
    with transaction(engine) as session:
        jobs.enqueue(session, "note", "permit-1")
    wait_until(lambda: bool(jobs.failed_jobs(engine)))
    [failed] = jobs.failed_jobs(engine)
    assert (failed.name, failed.args, failed.attempts, failed.failure) == (
        "note",
        ("permit-1",),
        2,
        "OSError",
    )
    assert "CANARY" not in _everything_stored(engine)

    broken.clear()
    jobs.retry_failed_job(engine, failed)
    wait_until(lambda: calls == ["permit-1"])
    assert jobs.failed_jobs(engine) == []


def _everything_stored(engine: Engine) -> str:
    schema = "dbos" if engine.dialect.name == "postgresql" else None
    with engine.connect() as connection:
        rows = [
            connection.exec_driver_sql(f'SELECT * FROM {schema + "." if schema else ""}"{table}"').all()
            for table in inspect(engine).get_table_names(schema=schema)
        ]
    assert "permit-1" in str(rows)
    return str(rows)


def test_an_unknown_name_is_refused_when_enqueued_and_recorded_when_executed(
    engine: Engine, launch: Callable[..., None]
) -> None:
    with transaction(engine) as session:
        jobs.enqueue(session, "no_such_job")
    launch(Job("note", print))
    wait_until(lambda: bool(jobs.failed_jobs(engine)))
    assert jobs.failed_jobs(engine)[0].failure == "unknown_job"
    with pytest.raises(LookupError), transaction(engine) as session:
        jobs.enqueue(session, "no_such_job")


def test_a_scheduled_job_runs_until_it_is_scheduled_no_more(
    engine: Engine, launch: Callable[..., None]
) -> None:
    calls: list[float] = []
    tick = Job("tick", lambda: calls.append(time.monotonic()), cron="* * * * * *")
    launch(tick)
    wait_until(lambda: bool(calls))
    jobs.shutdown(grace_seconds=0)
    launch(Job("tick", tick.run))
    time.sleep(2)
    calls.clear()
    time.sleep(2)
    assert calls == []


def test_writers_and_executor_share_the_database(engine: Engine, launch: Callable[..., None]) -> None:
    """Four writers enqueue while the jobs themselves write in transactions of their own."""
    calls: list[str] = []

    def note(reference: str) -> None:
        with transaction(engine) as session:
            if "/" not in reference:
                jobs.enqueue(session, "note", f"{reference}/child")
            calls.append(reference)

    launch(Job("note", note))

    def write(writer: int) -> None:
        for item in range(5):
            with transaction(engine) as session:
                jobs.enqueue(session, "note", f"{writer}-{item}")

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    wait_until_idle(engine)
    references = [f"{writer}-{item}" for writer in range(4) for item in range(5)]
    assert sorted(calls) == sorted(references + [f"{reference}/child" for reference in references])


def test_finished_jobs_are_forgotten_after_90_days_and_failed_ones_are_not(
    engine: Engine, launch: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "DELETED_AT_ONCE", 2)
    with transaction(engine) as session:
        for number in range(3):
            jobs.enqueue(session, "note", number)
        jobs.enqueue(session, "no_such_job")
    deleted: list[int] = []

    def forget(days: int) -> None:
        deleted.append(jobs.forget_finished_jobs(engine, datetime.now(UTC) + timedelta(days=days)))

    launch(Job("note", print), Job("forget", forget, attempts=1))
    wait_until_idle(engine)
    for days in (89, 91):
        with transaction(engine) as session:
            jobs.enqueue(session, "forget", days)
        wait_until_idle(engine)
    assert deleted == [0, 3 + 1]
    assert jobs.count_failed_jobs(engine) == len(jobs.failed_jobs(engine)) == 1


# Processes ------------------------------------------------------------------------------------

EXECUTOR = """
import sys, time
from pathlib import Path
from service import jobs

url, executor_id, seconds, folder = sys.argv[1:]

def note(reference):
    with Path(folder, f"{executor_id}.txt").open("a") as file:
        file.write(reference + "\\n")
    time.sleep(float(seconds))

jobs.launch(url, [jobs.Job("note", note)], executor_id=executor_id, polling_seconds=0.05)
Path(folder, f"{executor_id}.launched").touch()
time.sleep(60)
"""


@pytest.fixture
def start_executor(database_url: str, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(executor_id: str, seconds: float) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", EXECUTOR, database_url, executor_id, str(seconds), str(tmp_path)]
        started.append(subprocess.Popen(command, cwd=Path(jobs.__file__).parent.parent))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def _noted(folder: Path) -> list[str]:
    return [line for path in folder.glob("*.txt") for line in path.read_text().splitlines()]


def test_a_killed_processes_job_runs_when_its_executor_returns(
    engine: Engine,
    launch: Callable[..., None],
    start_executor: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    with transaction(engine) as session:
        jobs.enqueue(session, "note", "permit-1")
    killed = start_executor("worker-1", 60)
    wait_until(lambda: _noted(tmp_path) == ["permit-1"])
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()

    calls: list[str] = []
    note = Job("note", calls.append)
    launch(note, executor_id="worker-2")
    time.sleep(10 * POLLING_SECONDS)
    assert calls == [], "an executor must not take what belongs to another id"
    jobs.shutdown(grace_seconds=0)
    launch(note, executor_id="worker-1")
    wait_until(lambda: calls == ["permit-1"])
    wait_until_idle(engine)


def test_two_executors_share_the_work_and_one_id_serves_one_process(
    engine: Engine,
    launch: Callable[..., None],
    start_executor: Callable[..., subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    for executor_id in ("worker-1", "worker-2"):
        start_executor(executor_id, 0.2)
    wait_until(lambda: len(list(tmp_path.glob("*.launched"))) == 2)
    with pytest.raises(jobs.ExecutorIdTaken):
        launch(Job("note", print), executor_id="worker-1")

    references: list[str] = []

    def both_worked_on_what_keeps_coming() -> bool:
        references.append(f"permit-{len(references)}")
        with transaction(engine) as session:
            jobs.enqueue(session, "note", references[-1])
        return len(list(tmp_path.glob("*.txt"))) == 2

    wait_until(both_worked_on_what_keeps_coming)
    wait_until_idle(engine)
    assert sorted(_noted(tmp_path)) == sorted(references)


def test_every_table_of_the_queue_is_known_to_migrations(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'queue.sqlite3'}"
    jobs.prepare_database(url)
    engine = open_engine(url)
    tables = inspect(engine).get_table_names()
    engine.dispose()
    assert "workflow_status" in tables
    assert [name for name in tables if not jobs.owns_table(name)] == []
    assert not jobs.owns_table("permit")
