"""Verifying many at once: a ZIP of files, or a table of codes or numbers with days.

What is uploaded is read in place, one entry after another, and never unpacked to a disk. Each line is
answered on its own: what is wrong with one stops no other. Results stay in this process's memory for an hour,
for whoever holds the batch's secret address, and nowhere else.
"""

import hashlib
import secrets
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import BinaryIO

import structlog
from sqlalchemy import Engine

from service.database import reading
from service.errors import NotFound, Unavailable
from service.permits.numbering import normalise_code
from service.permits.register import PublicPermit
from service.verification.batch_intake import Entry, Question, open_zip, read_entry
from service.verification.sandbox import Sandbox
from service.verification.verify import Reader, Verdict, look_up_code, look_up_number, verify_file

LIFETIME = timedelta(hours=1)
RUNNING_AT_ONCE = 2
"""Batches that are worked on; of the sandbox's places half stay free for everybody else."""
WAITING = 8
"""Batches not finished yet; more are refused."""
KEPT = 100
"""Batches in memory, finished ones too."""
MAX_UNPACKED = 256 * 1024 * 1024
"""Bytes that the entries of one ZIP may have, all together."""
REGISTERED, NOT_REGISTERED = "registered", "not_registered"
LINE_FAILED = "line_failed"

log = structlog.get_logger()


class BatchNotFound(NotFound):
    code = "verification_batch_not_found"
    message_id = "Hasil ini tidak ada, atau sudah lewat satu jam sehingga dihapus. Unggah sekali lagi."
    message_en = "There is no such result, or its hour is over and it was deleted. Upload once more."


class VerificationBusy(Unavailable):
    code = "verification_busy"
    message_id = "Banyak berkas lain sedang diperiksa. Coba lagi beberapa menit lagi."
    message_en = "Many other files are being checked. Try again in a few minutes."


@dataclass(frozen=True, slots=True)
class Line:
    """What was found about one file, code or number.

    `verdict` is that of a file, or `registered` or `not_registered` of a code or number.
    """

    position: int
    name: str
    on: date | None
    verdict: str
    reasons: tuple[str, ...]
    checked_at: datetime
    sha256: str | None = None
    permit: PublicPermit | None = None


@dataclass(slots=True)
class Batch:
    """A batch, and what was found so far. `lines` only grows."""

    created_at: datetime
    sha256: str
    total: int
    work: Callable[[], Iterator[Line]]
    lines: list[Line] = field(default_factory=list)
    is_ended: bool = False

    @property
    def is_complete(self) -> bool:
        return len(self.lines) == self.total

    @property
    def percent(self) -> int:
        return 100 * len(self.lines) // self.total


@dataclass(frozen=True, slots=True)
class Verifying:
    """What a batch is verified with."""

    engine: Engine
    sandbox: Sandbox
    reader: Reader
    clock: Callable[[], datetime]
    max_file_bytes: int


class Batches:
    """The batches of this process. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._kept: dict[str, Batch] = {}
        self._pool = ThreadPoolExecutor(RUNNING_AT_ONCE, thread_name_prefix="verify-batch")
        self._reaper: threading.Thread | None = None

    def start_zip(self, file: BinaryIO, entries: list[Entry], verifying: Verifying) -> str:
        """Verify a ZIP's entries in the background; return the batch's secret. Raises VerificationBusy."""
        kept, sha256 = _keep(file)
        return self._start(len(entries), sha256, verifying, lambda: _verify_entries(kept, entries, verifying))

    def start_table(self, sha256: str, questions: list[Question], verifying: Verifying) -> str:
        """Look codes and numbers up in the background; return the batch's secret. Raises VerificationBusy."""
        return self._start(len(questions), sha256, verifying, lambda: _look_all_up(questions, verifying))

    def find(self, secret: str, now: datetime) -> Batch:
        """Return the batch with this secret. Raises BatchNotFound, also when its hour is over."""
        self.forget_expired(now)
        with self._lock:
            batch = self._kept.get(_name_of(secret))
        if batch is None:
            raise BatchNotFound
        return batch

    def forget_expired(self, now: datetime) -> None:
        """Drop what is older than an hour."""
        with self._lock:
            self._kept = {
                name: batch for name, batch in self._kept.items() if now - batch.created_at <= LIFETIME
            }

    def close(self) -> None:
        """Take no more batches, and end those at work after their current line."""
        self._closing.set()
        self._pool.shutdown(cancel_futures=True)

    def _start(
        self, total: int, sha256: str, verifying: Verifying, work: Callable[[], Iterator[Line]]
    ) -> str:
        secret, now = secrets.token_urlsafe(24), verifying.clock()
        self.forget_expired(now)
        batch = Batch(now, sha256, total, work)
        with self._lock:
            unfinished = sum(not each.is_ended for each in self._kept.values())
            if self._closing.is_set() or unfinished >= WAITING or len(self._kept) >= KEPT:
                raise VerificationBusy
            self._kept[_name_of(secret)] = batch
            if self._reaper is None:
                self._reaper = threading.Thread(target=self._reap, args=(verifying.clock,), daemon=True)
                self._reaper.start()
        self._pool.submit(self._run, batch)
        return secret

    def _run(self, batch: Batch) -> None:
        try:
            for line in batch.work():
                batch.lines.append(line)
                if self._closing.is_set() or _is_over(batch, line.checked_at):
                    return
        except Exception as failure:
            _log(failure)
        finally:
            batch.is_ended = True

    def _reap(self, clock: Callable[[], datetime]) -> None:
        """Drop batches at the end of their hour, whether or not anybody asks."""
        while not self._closing.wait(timeout=60):
            self.forget_expired(clock())


def _is_over(batch: Batch, now: datetime) -> bool:
    """Tell whether nobody can ask for a batch any more."""
    return now - batch.created_at > LIFETIME


def _name_of(secret: str) -> str:
    """Batches are kept under a hash: looking one up takes the same time for every wrong secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _keep(file: BinaryIO) -> tuple[BinaryIO, str]:
    """Copy an upload, which ends with its request, into a file without a name; return it with its SHA-256."""
    kept, digest = tempfile.TemporaryFile(), hashlib.sha256()  # noqa: SIM115 (closed by who reads it)
    file.seek(0)
    while part := file.read(1024 * 1024):
        digest.update(part)
        kept.write(part)
    return kept, digest.hexdigest()


def _verify_entries(kept: BinaryIO, entries: list[Entry], verifying: Verifying) -> Iterator[Line]:
    left = MAX_UNPACKED
    with kept, open_zip(kept) as archive:
        for position, entry in enumerate(entries, start=1):
            data, fault = read_entry(archive, entry, min(left, verifying.max_file_bytes))
            left -= len(data)
            answer = partial(_verify_entry, position, entry, data, fault, verifying)
            yield _answered(answer, position, entry.name, verifying)


def _verify_entry(position: int, entry: Entry, data: bytes, fault: str | None, verifying: Verifying) -> Line:
    now = verifying.clock()
    if fault is not None:
        return Line(position, entry.name, None, Verdict.UNDECIDED, (fault,), now)
    sha256 = hashlib.sha256(data).hexdigest()
    with reading(verifying.engine) as session:
        found = verify_file(session, verifying.sandbox, data, now=now, reader=verifying.reader)
    return Line(
        position, entry.name, None, found.verdict, found.reasons, now, sha256=sha256, permit=found.permit
    )


def _look_all_up(questions: list[Question], verifying: Verifying) -> Iterator[Line]:
    for position, asked in enumerate(questions, start=1):
        answer = partial(_look_up, position, asked, verifying)
        yield _answered(answer, position, asked.code or asked.number, verifying)


def _look_up(position: int, asked: Question, verifying: Verifying) -> Line:
    now, reader, permit = verifying.clock(), verifying.reader, None
    if asked.fault is None and asked.code:
        normal = normalise_code(asked.code)
        engine = verifying.engine
        permit = look_up_code(engine, normal, now=now, reader=reader, on=asked.on) if normal else None
    elif asked.fault is None and asked.issued_on:
        with reading(verifying.engine) as session:
            permit = look_up_number(
                session, asked.number, asked.issued_on, now=now, reader=reader, on=asked.on
            )
    verdict = Verdict.UNDECIDED if asked.fault else REGISTERED if permit else NOT_REGISTERED
    name = asked.code or asked.number
    return Line(position, name, asked.on, verdict, (asked.fault or verdict,), now, permit=permit)


def _answered(answer: Callable[[], Line], position: int, name: str, verifying: Verifying) -> Line:
    """Return the answer about a line; a fault of ours at one is its own reason, and stops no other."""
    try:
        return answer()
    except Exception as failure:
        _log(failure)
        return Line(position, name, None, Verdict.UNDECIDED, (LINE_FAILED,), verifying.clock())


def _log(failure: Exception) -> None:
    """Log a failure without its text, which may quote a file."""
    where = "".join(traceback.format_tb(failure.__traceback__))
    log.error("verification_batch_failed", kind=type(failure).__name__, where=where)
