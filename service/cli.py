"""The `canting` command: what an operator does beside the pages. Settings come from `CANTING_…`.

Passphrases and passwords are typed without echo, or come from a file descriptor (`--secret-fd`, 0 for
standard input); never from an argument or the environment, where other processes could read them.
A refusal is one sentence in Indonesian and in English, and exit status 1.

The application is imported by the commands that serve it alone: it takes as long as all other
commands together.
"""

import asyncio
import resource
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError

import service.ceremony_commands
import service.outside_commands  # noqa: F401 (both add their commands to keys_app)
from keys.errors import KeysError
from service import clock, jobs
from service.accounts.access import SERVICE
from service.accounts.officers import create_administrator
from service.audit import AuditChainBroken, verify_chain
from service.catalogue.load import DATA_FOLDER, check_command, load_command
from service.console import (
    Refused,
    opened,
    read_key_settings,
    read_secret,
    read_settings,
    require_free_port,
    require_schema,
    require_storage,
    say,
    sentences_of,
)
from service.database import reading, transaction, upgrade_database
from service.errors import ServiceError
from service.key_commands import Email, SecretFd, keys_app
from service.log_commands import log_app
from service.permit_commands import permits_app
from service.permits.mandates import MandateDetails, grant_mandate, printed_capacity
from service.permits.models import Capacity
from service.pki.enrol import find_signer
from service.verify_command import verify as verify_documents

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run and keep an installation of Canting. Settings come from CANTING_… in the environment.",
)
database_app = typer.Typer(no_args_is_help=True, help="The database's schema.")
catalogue_app = typer.Typer(no_args_is_help=True, help="The permit types.")
admin_app = typer.Typer(no_args_is_help=True, help="Administrators' accounts.")
audit_app = typer.Typer(no_args_is_help=True, help="The audit trail.")
mandate_app = typer.Typer(no_args_is_help=True, help="Who may sign, and in what capacity.")
jobs_app = typer.Typer(no_args_is_help=True, help="Background work that was given up.")
for name, group in (
    ("database", database_app),
    ("catalogue", catalogue_app),
    ("keys", keys_app),
    ("permits", permits_app),
    ("log", log_app),
    ("admin", admin_app),
    ("audit", audit_app),
    ("jobs", jobs_app),
    ("mandate", mandate_app),
):
    app.add_typer(group, name=name)
app.command()(verify_documents)

DAY = ["%Y-%m-%d"]
Host = Annotated[str, typer.Option(help="The address to listen on; loopback unless told.")]
Port = Annotated[int, typer.Option(min=1, max=65535, envvar="PORT", help="The port to listen on.")]
Folder = Annotated[Path, typer.Argument(help="A catalogue's folder; the built-in one unless told.")]


# Serving ----------------------------------------------------------------------------------------


@app.command()
def serve(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Serve the pages and the API: one process, many threads."""
    from service.app import create_app

    settings = read_settings()
    with opened(settings) as engine:
        require_schema(engine)
    require_free_port(host, port)
    require_storage(settings)
    run_server(create_app(settings), host, port)


@app.command()
def worker() -> None:
    """Execute durable jobs without serving pages."""
    from service.app import create_app

    settings = read_settings().model_copy(update={"runs_jobs": True})
    with opened(settings) as engine:
        require_schema(engine)
    require_storage(settings)
    asyncio.run(_work(create_app(settings)))


async def _work(application: FastAPI) -> None:
    stop = asyncio.Event()
    _on_stop_signals(stop.set)
    async with application.router.lifespan_context(application):
        await stop.wait()


def _on_stop_signals(react: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, react)


@app.command()
def signer() -> None:
    """Hold the service's own keys in a process of its own, and answer at CANTING_SIGNER_SOCKET."""
    from service.signer_process import run_signer

    run_signer(read_key_settings())


@app.command()
def demo(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    folder: Annotated[Path, typer.Option(help="Where the demonstration keeps its data.")] = Path("var/demo"),
    fresh: Annotated[bool, typer.Option(help="Make the demonstration's data anew.")] = False,
) -> None:
    """Prepare a demonstration city, unless it is there already, and serve it."""
    from service.app import create_app
    from service.demo.pages import describe_demo
    from service.demo.prepare import prepare_demo

    require_free_port(host, port)
    print("Menyiapkan kota peragaan … / Preparing the demonstration city …", flush=True)
    settings = prepare_demo(folder, base_url=f"http://127.0.0.1:{port}", fresh=fresh)
    print(describe_demo(settings), flush=True)
    run_server(create_app(settings), host, port)


def run_server(application: FastAPI, host: str, port: int) -> None:
    """Serve until told to stop. Addresses are not logged: one-time links stand in them.

    The lifespan is run here and not by the server, so that what keeps the service from starting
    reaches `main`.
    """
    application.state.sandbox.warm()
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        lifespan="off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # `trusted_proxy_hops` says whose X-Forwarded-For counts.
        server_header=False,
        timeout_graceful_shutdown=15,
    )
    asyncio.run(_serve(application, uvicorn.Server(config)))


async def _serve(application: FastAPI, server: uvicorn.Server) -> None:
    # A server that was told to stop raises the signal once more; the lifespan must end all the same.
    _on_stop_signals(lambda: None)
    async with application.router.lifespan_context(application):
        await server.serve()


# The database and the catalogue -----------------------------------------------------------------


@database_app.command()
def upgrade() -> None:
    """Bring the database's schema, and the job queue's, to this release's."""
    settings = read_settings()
    with opened(settings) as engine:
        upgrade_database(engine)
    jobs.prepare_database(settings.effective_database_url)
    say("Basis data siap.", "The database is ready.")


@catalogue_app.command()
def check(folder: Folder = DATA_FOLDER) -> None:
    """Check a catalogue without loading it; name file, line and reason of every fault."""
    _finish(check_command(folder))


@catalogue_app.command()
def load(folder: Folder = DATA_FOLDER) -> None:
    """Check a catalogue and load it; what changed becomes a new revision."""
    with opened(read_settings()) as engine:
        require_schema(engine)
        _finish(load_command(engine, clock.now(), folder))


def _finish(outcome: tuple[int, list[str]]) -> None:
    status, lines = outcome
    for line in lines:
        print(line, file=sys.stderr if status else sys.stdout)
    if status:
        raise typer.Exit(status)


# Accounts and the audit trail --------------------------------------------------------------------


@mandate_app.command("grant")
def mandate_grant(
    email: Email,
    capacity: Annotated[Capacity, typer.Option(help="definitive, plt, plh or an (atas nama).")],
    basis: Annotated[str, typer.Option(help="The decree: its number and date.")],
    valid_from: Annotated[datetime, typer.Option("--from", formats=DAY, help="The first day.")],
    valid_until: Annotated[
        datetime | None,
        typer.Option("--until", formats=DAY, help="The last day; a definitive mandate may go without."),
    ] = None,
    position: Annotated[
        str, typer.Option(help="The position printed, without Plt., Plh. or a.n.; definitive: the account's.")
    ] = "",
    own_position: Annotated[str, typer.Option(help="For an: the official's own position.")] = "",
    permit_type: Annotated[
        list[str] | None, typer.Option(help="A permit type covered, repeatable; all unless told.")
    ] = None,
) -> None:
    """Grant a signing official a mandate; without one nobody signs."""
    details = MandateDetails(
        capacity,
        position,
        basis,
        valid_from.date(),
        valid_until.date() if valid_until else None,
        own_position,
        tuple(permit_type or ()),
    )
    with opened(read_settings()) as engine, transaction(engine) as session:
        official = find_signer(session, email)
        mandate = grant_mandate(session, official.user.id, details, actor=SERVICE, now=clock.now())
        printed = printed_capacity(mandate).replace("\n", ", ")
    say(f"Mandat diberikan: {printed}.", f"The mandate is granted: {printed}.")


@admin_app.command("create")
def admin_create(
    email: Email,
    full_name: Annotated[str, typer.Option("--name", help="The administrator's full name.")],
    secret_fd: SecretFd = None,
) -> None:
    """Create an administrator's account, such as the first. Asks for its password."""
    settings = read_settings()
    password = read_secret("Kata sandi / Password", secret_fd)
    with opened(settings) as engine, transaction(engine) as session:
        user = create_administrator(session, email, full_name, password, clock.now())
    say(f"Akun administrator {user.email} dibuat.", f"The administrator's account {user.email} was created.")


@audit_app.command()
def verify() -> None:
    """Walk the whole audit trail; name the first event that was changed."""
    with opened(read_settings()) as engine, reading(engine) as session:
        count = verify_chain(session)
    say(f"Jejak audit utuh: {count} peristiwa.", f"The audit trail is whole: {count} events.")


# Background work ----------------------------------------------------------------------------------


@jobs_app.command("failed")
def jobs_failed(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="List so many at most.")] = 100,
) -> None:
    """List the work that was given up, the latest first: id, time, name, arguments, failure."""
    with opened(read_settings()) as engine:
        require_schema(engine)
        failed = jobs.failed_jobs(engine, limit)
    for job in failed:
        arguments = " ".join(map(str, job.args)) or "-"
        print(job.id, f"{job.failed_at:%Y-%m-%dT%H:%M:%SZ}", job.name, arguments, job.failure, sep="\t")
    if not failed:
        say("Tidak ada pekerjaan yang gagal.", "No job has failed.")


@jobs_app.command("retry")
def jobs_retry(
    job_id: Annotated[
        str, typer.Argument(metavar="ID", help="The job's id, as `canting jobs failed` lists it.")
    ],
) -> None:
    """Enqueue work that was given up anew, once what made it fail is mended."""
    with opened(read_settings()) as engine:
        require_schema(engine)
        job = jobs.find_failed_job(engine, job_id)
        if job is None:
            raise Refused(
                "Tidak ada pekerjaan gagal dengan ID itu. Lihat `canting jobs failed`.",
                "No failed job has that id. See `canting jobs failed`.",
            )
        jobs.retry_failed_job(engine, job)
    say(f"Pekerjaan {job.name} diantrekan lagi.", f"The job {job.name} is enqueued again.")


def main(run: Callable[[], object] = app) -> None:
    """Run the command; an expected failure is told in two sentences, without a traceback.

    A process that dies leaves no core file: its memory may hold opened keys and a passphrase.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    expected = (
        Refused,
        ServiceError,
        KeysError,
        AuditChainBroken,
        jobs.ExecutorIdTaken,
        DBAPIError,
    )
    try:
        run()
    except expected as error:
        for sentence in sentences_of(error):
            print(sentence, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
