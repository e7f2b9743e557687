"""The runs that sign batches in this process: each in a thread of its own, with the key in its memory alone.

The key was opened with the passphrase typed for the batch. It is an argument of the run: no row, no job
and no log line holds it, and it is gone when the run ends. Each file is signed on its own; one that fails
is written down and stops no other.
"""

import threading
import traceback
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Annotated

import structlog
from fastapi import Depends, Request
from sqlmodel import Session

from keys.errors import OutsideError
from service.accounts.access import Actor, actor_of_user
from service.accounts.models import User
from service.database import reading, transaction
from service.errors import Conflict, ServiceError, Unavailable, translate_foreign
from service.permits.batch import LEASE, begin_run, end_run, keep_alive, note_failure
from service.permits.batch_progress import positions_left
from service.permits.issue import finish_issuance, sign_application
from service.permits.models import Permit, SignBatch, SignBatchItem, Status
from service.permits.sign import Workshop, require_able
from service.permits.signer import DocumentSigner, OutsideSigner, service_of
from signing.errors import ReturnedDocumentRefused

AT_ONCE = 4
"""Batches that one process signs at a time, of as many officials."""
WORKERS = 2
"""Files of a batch that are signed at a time; more only queue for SQLite's one writer."""
ENDS_RUN = (OutsideError, ReturnedDocumentRefused)
"""What a service outside refuses or loses may come again with every file: a wrong passphrase above all."""

log = structlog.get_logger()


class TooManyBatches(Unavailable):
    code = "too_many_batches"
    message_id = (
        "Beberapa kelompok berkas lain sedang ditandatangani. Tidak ada yang berubah; "
        "coba lagi beberapa menit lagi."
    )
    message_en = "Several other batches are being signed. Nothing was changed; try again in a few minutes."


class FileNotSigned(ServiceError):
    """A fault of ours at one file; the log says where."""

    status = 500
    code = "file_not_signed"
    message_id = (
        "Terjadi gangguan pada sistem kami saat berkas ini ditandatangani. Lanjutkan untuk mencoba lagi."
    )
    message_en = "Something went wrong on our side while this file was signed. Continue to try again."


class RunOver(Exception):
    """The batch is no longer this run's: it was stopped or taken over, or the account was disabled."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run over a batch."""

    workshop: Workshop
    batch_id: uuid.UUID
    id: uuid.UUID
    actor: Actor
    signer: DocumentSigner
    closing: threading.Event


class BatchRuns:
    """The runs of this process; `close` ends them after their current files."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._threads: set[threading.Thread] = set()

    def start(
        self,
        workshop: Workshop,
        batch_id: uuid.UUID,
        *,
        actor: Actor,
        signer: DocumentSigner,
        seen_digest: str,
    ) -> None:
        """Begin or take up a batch and sign it in the background. The signer is closed when the run is over.

        Raises TooManyBatches, what `begin_run` raises, and what speaks against the signer's certificate;
        nothing was written then, and the signer is closed.
        """
        try:
            self._start(workshop, batch_id, actor, signer, seen_digest)
        except BaseException:
            signer.close()
            raise

    def _start(
        self, workshop: Workshop, batch_id: uuid.UUID, actor: Actor, signer: DocumentSigner, seen_digest: str
    ) -> None:
        with self._lock:
            self._threads = {thread for thread in self._threads if thread.is_alive()}
            if self._closing.is_set() or len(self._threads) >= AT_ONCE:
                raise TooManyBatches
            now = workshop.clock()
            with transaction(workshop.engine) as session:
                official = session.get_one(User, actor.id)
                require_able(session, signer, now, service=service_of(official))
                run_id = begin_run(session, batch_id, actor=actor, now=now, seen_digest=seen_digest)
            run = Run(workshop, batch_id, run_id, actor, signer, self._closing)
            thread = threading.Thread(target=sign_batch, args=(run,), name="sign-batch", daemon=True)
            self._threads.add(thread)
            thread.start()

    def close(self) -> None:
        """Take no more batches, and wait until every run has finished its current files."""
        self._closing.set()
        self.wait()

    def wait(self) -> None:
        """Wait until every run has ended."""
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join()


async def request_runs(request: Request) -> BatchRuns:
    """Give a route the runs of this process."""
    runs: BatchRuns = request.app.state.batch_runs
    return runs


RunsDep = Annotated[BatchRuns, Depends(request_runs)]


def sign_batch(run: Run) -> None:
    """Sign what is left of a batch, until it is done, stopped or taken over, and let it go."""
    try:
        try:
            with run.signer:
                _sign_left(run)
        finally:
            with transaction(run.workshop.engine) as session:
                end_run(session, run.batch_id, run.id, actor=run.actor, now=run.workshop.clock())
    except Exception as failure:
        _log("sign_batch_failed", failure)


def _sign_left(run: Run) -> None:
    """Let a few workers take file after file, and give signs of life meanwhile."""
    with reading(run.workshop.engine) as session:
        # The workers share a list's iterator: each place is given once.
        positions = iter(positions_left(session, run.batch_id))
    # A service outside is asked for one file at a time, so that one wrong passphrase is tried once.
    count = 1 if isinstance(run.signer, OutsideSigner) else WORKERS
    with ThreadPoolExecutor(count, thread_name_prefix="sign-batch") as pool:
        workers = [pool.submit(_sign_files, run, positions) for _ in range(count)]
        while wait(workers, timeout=LEASE.total_seconds() / 3).not_done:
            with transaction(run.workshop.engine) as session:
                keep_alive(session, run.batch_id, run.id, now=run.workshop.clock())
    for worker in workers:
        worker.result()


def _sign_files(run: Run, positions: Iterator[int]) -> None:
    for position in positions:
        try:
            if run.closing.is_set():
                return
            _sign_file(run, position)
        except RunOver:
            return


def _sign_file(run: Run, position: int) -> None:
    """Sign one file, or write down why not. RunOver ends the run, before or after it."""
    with reading(run.workshop.engine) as session:
        _require_current(session, run)
        official = session.get_one(User, run.actor.id)
        if official.disabled_at is not None:
            raise RunOver
        # The roles held now count: they may have been taken away since the batch was begun.
        actor = actor_of_user(session, official)
        item = session.get_one(SignBatchItem, (run.batch_id, position))
        permit = session.get(Permit, item.permit_id) if item.permit_id else None
    try:
        if permit is None:
            _sign_anew(run, item, actor)
        elif permit.status == Status.ISSUING:
            finish_issuance(run.workshop, permit.id, actor=actor, signer=run.signer)
    except RunOver:
        raise
    except Exception as failure:
        with transaction(run.workshop.engine) as session:
            note_failure(session, run.batch_id, position, _as_refusal(failure))
        if isinstance(failure, ENDS_RUN):
            raise RunOver from None


def _sign_anew(run: Run, item: SignBatchItem, actor: Actor) -> None:
    def note(session: Session, permit: Permit) -> None:
        _require_current(session, run)
        noted = session.get_one(SignBatchItem, (item.batch_id, item.position))
        noted.permit_id = permit.id
        session.add(noted)

    sign_application(
        run.workshop,
        item.application_id,
        actor=actor,
        signer=run.signer,
        seen_digest=item.digest,
        note=note,
    )


def _require_current(session: Session, run: Run) -> None:
    if session.get_one(SignBatch, run.batch_id).run_id != run.id:
        raise RunOver


def _as_refusal(failure: Exception) -> ServiceError:
    refusal = failure if isinstance(failure, ServiceError) else translate_foreign(failure)
    if refusal is None or refusal.code == Conflict.code:
        _log("sign_batch_file_failed", failure)
    return refusal or FileNotSigned()


def _log(event: str, failure: Exception) -> None:
    """Log a failure without its text, which may quote what somebody typed."""
    where = "".join(traceback.format_tb(failure.__traceback__))
    log.error(event, kind=type(failure).__name__, where=where)
