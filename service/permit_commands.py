"""`canting permits …`: what an operator does with issued permits."""

import time
from datetime import datetime
from typing import Annotated

import typer

from service import clock
from service.accounts.access import SERVICE
from service.console import Refused, opened, read_settings, require_schema, say
from service.database import reading, transaction
from service.permits.renewal import RenewalProgress, newest_renewal, start_renewal
from service.pki.outside import stamps_until
from service.pki.overview import own_tsa_end

permits_app = typer.Typer(no_args_is_help=True, help="Issued permits and how long they are proven.")

WATCHED_EVERY = 2.0
"""Seconds."""


@permits_app.command("renew-proofs")
def permits_renew_proofs(
    before: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Only documents whose proof ends before this day."),
    ] = None,
) -> None:
    """Start a bulk renewal: a new archive time stamp for every document that lives longer by it."""
    settings, now = read_settings(), clock.now()
    day = before.replace(tzinfo=clock.CITY_TIMEZONE) if before else None
    with opened(settings) as engine:
        require_schema(engine)
        with transaction(engine) as session:
            until = stamps_until(session, settings.tsa_addresses, own_tsa_end(session, now), now)
            start_renewal(session, stamps_until=until, before=day, actor=SERVICE, now=now)
    say(
        "Pembaruan bukti dimulai; lihat dengan `canting permits renewal`.",
        "The renewal of proofs has begun; watch it with `canting permits renewal`.",
    )


@permits_app.command("renewal")
def permits_renewal(
    watch: Annotated[bool, typer.Option(help="Go on telling until it is done.")] = False,
) -> None:
    """Tell how far the bulk renewal is that was started last."""
    with opened(read_settings()) as engine:
        require_schema(engine)
        while True:
            with reading(engine) as session:
                progress = newest_renewal(session)
            if progress is None:
                raise Refused("Belum ada pembaruan bukti.", "No renewal of proofs was ever started.")
            print(_line(progress, clock.now()), flush=True)
            if progress.finished_at or not watch:
                return
            time.sleep(WATCHED_EVERY)


def _line(progress: RenewalProgress, now: datetime) -> str:
    ends_at = progress.ends_at(now)
    parts = [
        f"{progress.done}/{progress.total}",
        f"renewed={progress.renewed}",
        f"not_needed={progress.not_needed}",
        f"failed={progress.failed}",
        *(f"{code}={count}" for code, count in progress.failures.items()),
        f"per_minute={progress.per_minute(now):.0f}",
        f"finished={progress.finished_at:%Y-%m-%dT%H:%M:%SZ}"
        if progress.finished_at
        else f"ends_at={ends_at:%Y-%m-%dT%H:%M:%SZ}"
        if ends_at
        else "ends_at=-",
    ]
    return "\t".join(parts)
