"""`canting permits …`: what an operator does with issued permits."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from sqlmodel import Session, select

from service import clock
from service.accounts.access import SERVICE
from service.console import Refused, opened, read_settings, require_schema, say
from service.database import reading, transaction
from service.permits.models import Permit, Status
from service.permits.renewal import RenewalProgress, newest_renewal, start_renewal
from service.permits.signer import open_operations_keys
from service.pki.outside import stamps_until
from service.pki.overview import own_tsa_end
from service.pki.store import open_store

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


@permits_app.command("evidence")
def permits_evidence(
    number: Annotated[str, typer.Argument(help="The permit's number, as printed.")],
    out: Annotated[Path, typer.Option(help="The ZIP file to write; one that exists is not overwritten.")],
) -> None:
    """Write all that was recorded of a permit into one sealed file, for a court; the giving is recorded."""
    # Imported here, because they take as long as all commands together that need neither.
    from service.operations import open_settings_storage
    from service.permits.evidence_giving import Archive, give_evidence
    from service.transparency.api import log_key

    settings = read_settings()
    keys = open_operations_keys(
        open_store(settings), settings.operations_passphrase.get_secret_value(), clock.now
    )
    with opened(settings) as engine, _new_file(out) as file:
        require_schema(engine)
        archive = Archive(
            engine,
            open_settings_storage(settings),
            keys,
            log_key(settings, keys),
            settings.outside_anchors,
        )
        _, chunks = give_evidence(
            archive, lambda session: _find_issued(session, number), actor=SERVICE, now=clock.now()
        )
        file.writelines(chunks)
    say(f"Bundel bukti ditulis ke {out}.", f"The evidence was written to {out}.")


def _find_issued(session: Session, number: str) -> Permit:
    wanted = "".join(number.split()).upper()
    statement = select(Permit).where(Permit.number == wanted, Permit.status != Status.ISSUING)
    permit = session.exec(statement).first()
    if permit is None:
        raise Refused("Tidak ada izin dengan nomor itu.", "No permit has that number.")
    return permit


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """Make a file for its owner alone, since it will hold personal data; it is gone again if that fails."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Refused(
            f"{path} tidak dapat dibuat, atau sudah ada.", f"{path} cannot be made, or exists already."
        ) from error
    with os.fdopen(descriptor, "wb") as file:
        try:
            yield file
        except BaseException:
            path.unlink()
            raise


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
