"""Durable background work: enqueued in the caller's own transaction, executed at least once.

A job is a name and plain JSON arguments (references, never bytes, never a secret); its row stands in
the application's own database, so it exists exactly when the caller's transaction was committed.
Executors run jobs on DBOS: a killed process's jobs run again when an executor of the same id returns,
so every job must be safe to repeat. A failed attempt is tried again later as a job of its own, which
keeps no executor waiting; after the last attempt the job stays listed by `failed_jobs`.

DBOS knows two workflows of one step each, whatever the jobs are. Their shape never changes, so a new
release of the application never strands the pending work of an old one.
"""

import fcntl
import hashlib
import os
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import structlog
from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions
from dbos._schemas.system_database import SystemSchema
from dbos._serialization import DBOSPortableJSONSerializer
from sqlalchemy import Engine, make_url, text
from sqlmodel import Session

from service.clock import CITY_TIMEZONE
from service.database import open_engine

APPLICATION = "canting"
APPLICATION_VERSION = "1"
QUEUE = "jobs"
CONCURRENCY = 4
"""Jobs that one executor runs at a time; more only queue for SQLite's one writer."""
MAX_RESTARTS = 10
"""A job that was running when its process died this many times is given up: it may be the cause."""
LONGEST_RETRY = timedelta(hours=1)
FINISHED_KEPT = timedelta(days=90)
DELETED_AT_ONCE = 500
GIVEN_UP = ["ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
"""The queue's own words for the states of a job that will not run again by itself."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """A kind of background work. `run` takes the JSON arguments it was enqueued with.

    A failed attempt is repeated after `first_retry`, then after twice that, and so on up to an hour,
    until `attempts` are spent (about four hours by default). With `cron` (five fields, city time) the
    job also runs on schedule, without arguments; a run missed while no executor was up is not made up.
    """

    name: str
    run: Callable[..., object]
    attempts: int = 12
    first_retry: timedelta = timedelta(seconds=10)
    cron: str | None = None


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job that was given up. `failure` is the error's stable code or its class, never its text."""

    id: str
    name: str
    args: tuple[Any, ...]
    attempts: int
    failure: str
    failed_at: datetime


class JobFailed(Exception):
    """The last attempt failed; the text is the failure's code alone."""


class ExecutorIdTaken(Exception):
    """Another living process executes jobs under this id, and the two would steal each other's work."""

    def __init__(self, executor_id: str) -> None:
        super().__init__(
            f"another process already executes jobs as {executor_id!r}: give this one its own "
            "CANTING_EXECUTOR_ID, or let it only enqueue with CANTING_RUNS_JOBS=false"
        )


_jobs: dict[str, Job] = {}
_executor = ExitStack()


# Enqueuing ------------------------------------------------------------------------------------


def enqueue(
    session: Session, name: str, *args: Any, key: str | None = None, delay: timedelta | None = None
) -> str:
    """Enqueue a job within the session's transaction and return its id.

    With a `key`, a job of that name and key is enqueued at most once while its row is kept (90 days after
    it was done). Needs no executor in this
    process. Raises TypeError for arguments that JSON cannot hold, LookupError for a name unknown here.
    """
    if _jobs and name not in _jobs:
        raise LookupError(f"no job is called {name!r}")
    connection = session.connection()
    options = _options(delay)
    if key is not None:
        options["workflow_id"] = f"{name}:{key}"
    handle: Any = _enqueuer(connection.engine).enqueue_in_transaction(
        connection, options, name, list(args), 1
    )
    return str(handle.get_workflow_id())


def _options(delay: timedelta | None = None) -> EnqueueOptions:
    options = EnqueueOptions(
        workflow_name="run_job",
        queue_name=QUEUE,
        app_version=APPLICATION_VERSION,
        application_name=APPLICATION,
    )
    if delay is not None:
        options["delay_seconds"] = delay.total_seconds()
    return options


def _client(engine: Engine) -> DBOSClient:
    """Return a client over the caller's engine; it connects to nothing by itself."""
    return DBOSClient(
        system_database_engine=engine,
        serializer=DBOSPortableJSONSerializer(),
        application_name=APPLICATION,
        lazy=True,
        retry_connection_errors=False,
    )


_enqueuer = lru_cache(maxsize=8)(_client)

# Executing ------------------------------------------------------------------------------------


@DBOS.workflow(name="run_job", max_recovery_attempts=MAX_RESTARTS)
def _run_job(name: str, args: list[Any], attempt: int) -> None:
    failure = DBOS.run_step({"name": name}, _try_job, name, args)
    if failure is None:
        return
    job = _jobs.get(name)
    if job is None or attempt >= job.attempts:
        raise JobFailed(failure)
    delay = min(job.first_retry * 2 ** (attempt - 1), LONGEST_RETRY)
    DBOS.enqueue_workflow_with_options(_options(delay), name, args, attempt + 1)


@DBOS.workflow(name="run_scheduled_job", max_recovery_attempts=MAX_RESTARTS)
def _run_scheduled_job(_at: datetime, name: str) -> None:
    _run_job(name, [], 1)


def _try_job(name: str, args: list[Any]) -> str | None:
    """Run one attempt; return None, or the failure's code. An error's text may quote data: it stays out."""
    job = _jobs.get(name)
    if job is None:
        log.error("job_unknown", job=name)
        return "unknown_job"
    try:
        job.run(*args)
    except Exception as error:
        failure = str(getattr(error, "code", None) or type(error).__name__)
        where = "".join(traceback.format_tb(error.__traceback__))
        log.warning("job_attempt_failed", job=name, failure=failure, where=where)
        return failure
    return None


def launch(
    database_url: str, jobs: Sequence[Job], *, executor_id: str = "local", polling_seconds: float = 1.0
) -> None:
    """Start executing jobs in this process, in threads, and pick up what `executor_id` left behind.

    Makes or updates the tables of the queue. Blocks: from a coroutine, call it in a thread. The id
    must stay the same over restarts. Raises ExecutorIdTaken, or RuntimeError if launched already.
    """
    if _jobs:
        raise RuntimeError("this process executes jobs already")
    _executor.enter_context(_hold_executor_id(database_url, executor_id))
    _jobs.update({job.name: job for job in jobs})
    _executor.callback(_jobs.clear)
    try:
        _launch_dbos(database_url, executor_id)
        DBOS.register_queue(
            QUEUE,
            worker_concurrency=CONCURRENCY,
            polling_interval_sec=polling_seconds,
            on_conflict="always_update",
        )
        _apply_schedules(jobs)
    except BaseException:
        shutdown(grace_seconds=0)
        raise


def shutdown(grace_seconds: int = 10) -> None:
    """Stop executing; running jobs get the grace to finish, then run again at the next launch."""
    DBOS.destroy(workflow_completion_timeout_sec=grace_seconds)
    _executor.close()


def _launch_dbos(database_url: str, executor_id: str) -> None:
    config: DBOSConfig = {
        "name": APPLICATION,
        "system_database_url": database_url,
        "sys_db_pool_size": CONCURRENCY + 2,
        "serializer": DBOSPortableJSONSerializer(),
        "application_version": APPLICATION_VERSION,
        "executor_id": executor_id,
        "log_level": "WARNING",
        "enable_otlp": False,
        "max_executor_threads": CONCURRENCY * 4,
    }
    DBOS(config=config)
    DBOS.launch()


def _apply_schedules(jobs: Sequence[Job]) -> None:
    """Make the stored schedules exactly those of the jobs at hand."""
    wanted = {job.name: job.cron for job in jobs if job.cron is not None}
    for schedule in DBOS.list_schedules():
        if schedule["schedule_name"] not in wanted:
            DBOS.delete_schedule(schedule["schedule_name"])
    DBOS.apply_schedules(
        [
            {
                "schedule_name": name,
                "workflow_fn": _run_scheduled_job,
                "schedule": cron,
                "context": name,
                "cron_timezone": str(CITY_TIMEZONE),
                "queue_name": QUEUE,
            }
            for name, cron in wanted.items()
        ]
    )


def _hold_executor_id(database_url: str, executor_id: str) -> ExitStack:
    """Lock the id until the process ends: in the server, or in a file beside the embedded database."""
    held = ExitStack()
    if database_url.startswith("sqlite"):
        digest = hashlib.sha256(executor_id.encode()).hexdigest()[:12]
        path = f"{make_url(database_url).database}.{digest}.lock"
        file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        held.callback(os.close, file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.close()
            raise ExecutorIdTaken(executor_id) from None
        return held
    engine = open_engine(database_url, pool_size=1)
    held.callback(engine.dispose)
    connection = held.enter_context(engine.connect().execution_options(isolation_level="AUTOCOMMIT"))
    lock = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
    if not connection.execute(lock, {"name": f"canting executor {executor_id}"}).scalar_one():
        held.close()
        raise ExecutorIdTaken(executor_id)
    return held


# The tables and operations ----------------------------------------------------------------------


def prepare_database(database_url: str) -> None:
    """Make or update the queue's tables: in the schema `dbos`, or on SQLite among the application's."""
    DBOS.migrate(database_url)


def owns_table(name: str, schema: str | None = None) -> bool:
    """Tell whether a table is the queue's own, which migrations leave alone."""
    return schema == "dbos" or name in {table.name for table in SystemSchema.metadata_obj.sorted_tables} | {
        "dbos_migrations"
    }


def failed_jobs(engine: Engine, limit: int = 100) -> list[FailedJob]:
    """List the jobs that were given up, the latest first."""
    failed = _client(engine.execution_options(reads_only=True)).list_workflows(
        status=GIVEN_UP, sort_desc=True, limit=limit
    )
    return [_as_failed_job(workflow) for workflow in failed]


def find_failed_job(engine: Engine, job_id: str) -> FailedJob | None:
    """Return the job of that id if it was given up."""
    failed = _client(engine.execution_options(reads_only=True)).list_workflows(
        workflow_ids=[job_id], status=GIVEN_UP
    )
    return _as_failed_job(failed[0]) if failed else None


def _as_failed_job(workflow: Any) -> FailedJob:
    given = workflow.input["args"]
    name, args, attempt = given if workflow.name == "run_job" else (given[1], [], 1)
    return FailedJob(
        id=workflow.workflow_id,
        name=name,
        args=tuple(args),
        attempts=attempt,
        failure=str(workflow.error) if workflow.status == "ERROR" else "process_died",
        failed_at=datetime.fromtimestamp(workflow.updated_at / 1000, UTC),
    )


def count_failed_jobs(engine: Engine) -> int:
    """Count the jobs that were given up."""
    client = _client(engine.execution_options(reads_only=True))
    return len(client.list_workflows(status=GIVEN_UP, load_input=False, load_output=False))


def forget_finished_jobs(engine: Engine, now: datetime) -> int:
    """Delete the jobs that were done or cancelled 90 days ago; return how many. Failed ones stay listed."""
    client, deleted = _client(engine), 0
    while finished := client.list_workflows(
        status=["SUCCESS", "CANCELLED"],
        completed_before=(now - FINISHED_KEPT).isoformat(),
        limit=DELETED_AT_ONCE,
        load_input=False,
        load_output=False,
    ):
        client.delete_workflows([workflow.workflow_id for workflow in finished])
        deleted += len(finished)
    return deleted


def retry_failed_job(engine: Engine, job: FailedJob) -> None:
    """Enqueue a failed job anew and take it off the list."""
    client = _client(engine)
    options = _options()
    options["workflow_id"] = f"{job.id}-again"
    client.enqueue(options, job.name, list(job.args), 1)
    client.delete_workflow(job.id)


def count_waiting_jobs(engine: Engine) -> int:
    """Count the jobs that are enqueued or running; those delayed to a later time do not count."""
    client = _client(engine.execution_options(reads_only=True))
    return len(client.list_workflows(status=["ENQUEUED", "PENDING"], load_input=False, load_output=False))
