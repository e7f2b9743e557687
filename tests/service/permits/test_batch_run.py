"""Batches at work: each file on its own, and nothing lost by whatever ends a run."""

import errno
import itertools
import resource
import threading
import time
from dataclasses import replace
from pathlib import Path

import cases
import pytest
from batching import Office
from factories import actor_of, make_officer
from sqlmodel import col, select

from keys.errors import KeyClosed
from keys.software import SoftwareKeyStore
from service.accounts.officers import disable_officer
from service.applications.models import Application
from service.applications.review import act_on_case
from service.applications.workflow import Action
from service.audit import AuditEvent
from service.database import reading, transaction
from service.permits import batch_run
from service.permits import sign as sign_module
from service.permits.batch import LEASE, MAX_FILES, BatchEnded, BatchState, begin_run, stop_batch
from service.permits.batch_progress import FileState, Progress
from service.permits.batch_run import WORKERS, BatchRuns, TooManyBatches
from service.permits.issue import unfinished_issuances
from service.permits.models import Mandate, Permit
from service.storage import Storage, StorageUnavailable, put_document


def test_one_failure_stops_nothing_else_and_is_told(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """One changed, one was sent back, one left the mandate, one met a full disk: all others are signed."""
    every = office.ready(9)
    batch = office.select(every)
    with transaction(office.engine) as session:
        changed = session.get_one(Application, every[1].id)
        changed.values = changed.values | {"practice_name": "Klinik Lain"}
        beyond = session.get_one(Application, every[2].id)
        beyond.slug = "reklame-tetap"
        mandate = session.exec(select(Mandate).where(Mandate.official_id == office.head.id)).one()
        mandate.permit_types = [cases.SLUG]
        session.add_all([changed, beyond, mandate])
        note = "Periksa lagi alamatnya."
        act_on_case(
            session,
            every[4].id,
            Action.RETURN_TO_PREVIOUS,
            actor=office.head,
            now=office.now,
            seen_visit=None,
            note=note,
        )
    let_one_write_fail(monkeypatch)
    office.sign(batch)

    files = office.files(batch)
    failed = {file.item.position: str(file.item.failure) for file in files if file.state == FileState.FAILED}
    # The full disk met whichever file came third.
    (unwritten,) = (place for place, code in failed.items() if code == "storage_unavailable")
    expected = {2: "document_changed", 3: "no_mandate", 5: "action_not_allowed"}
    assert failed == expected | {unwritten: "storage_unavailable"}
    assert [file.item.position for file in files[:4]] == sorted(failed)
    assert all(file.failure("id") and file.failure("en") for file in files[:4])
    assert office.progress(batch) == Progress(9, signed=5, failed=4, waiting=0, resumable=1)
    assert office.state(batch) == BatchState.INTERRUPTED
    office.assert_numbers_are_whole(6)

    with reading(office.engine) as session:
        (left,) = unfinished_issuances(session, office.head)
    office.sign(batch)
    (finished,) = (file for file in office.files(batch) if file.item.position == unwritten)
    assert (finished.state, finished.number) == (FileState.SIGNED, left.number)
    assert office.state(batch) == BatchState.ENDED
    office.assert_numbers_are_whole(6)
    with pytest.raises(BatchEnded):
        office.sign(batch)


def let_one_write_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the third document that is written meet a full disk."""
    numbers = itertools.count(1)

    def put(storage: Storage, data: bytes) -> str:
        if next(numbers) == 3:
            raise StorageUnavailable from OSError(errno.ENOSPC, "No space left on device")
        return put_document(storage, data)

    monkeypatch.setattr(sign_module, "put_document", put)


def test_a_rejection_letter_is_signed_among_permits(office: Office) -> None:
    batch = office.select([*office.ready(1), *office.ready(1, reasons="STR tidak terbaca.")])
    office.sign(batch)
    assert office.progress(batch).signed == 2
    with reading(office.engine) as session:
        assert sorted(session.exec(select(Permit.kind))) == ["permit", "rejection_letter"]


def test_a_stopped_batch_finishes_its_current_files_and_can_be_resumed(office: Office) -> None:
    batch = office.select(office.ready(8))

    def stop() -> None:
        with transaction(office.engine) as session:
            stop_batch(session, batch.id, actor=office.head)

    office.sign(batch, key=office.key_that(stop, at=3))
    count = office.progress(batch)
    assert 3 <= count.signed <= 2 + WORKERS
    assert (count.failed, count.resumable) == (0, 8 - count.signed)
    assert office.state(batch) == BatchState.INTERRUPTED
    office.assert_numbers_are_whole(count.signed)
    office.sign(batch)
    assert office.state(batch) == BatchState.ENDED
    office.assert_numbers_are_whole(8)
    with reading(office.engine) as session:
        events = session.exec(
            select(AuditEvent)
            .where(col(AuditEvent.action).startswith("sign_batch"))
            .order_by(AuditEvent.number)  # type: ignore[arg-type]
        ).all()
    assert [(event.action, event.data.get("resumed")) for event in events] == [
        ("sign_batch_begun", False),
        ("sign_batch_ended", None),
        ("sign_batch_begun", True),
        ("sign_batch_ended", None),
    ]
    assert events[0].data["digest"] == batch.list_digest
    assert events[3].data == {"signed": 8, "failed": 0, "waiting": 0}


def test_nothing_more_is_signed_for_an_account_disabled_meanwhile(office: Office) -> None:
    batch = office.select(office.ready(6))

    def disable() -> None:
        with transaction(office.engine) as session:
            admin = actor_of(session, make_officer(session, ["administrator"], full_name="Admin Contoh"))
            disable_officer(session, admin, office.city.head.id, office.now)

    office.sign(batch, key=office.key_that(disable, at=2))
    count = office.progress(batch)
    assert 2 <= count.signed <= 1 + WORKERS
    assert count.waiting == 6 - count.signed


def test_a_run_that_was_taken_over_signs_nothing_more(office: Office) -> None:
    batch = office.select(office.ready(6))
    signed_before = []

    def take_over() -> None:
        with transaction(office.engine) as session:
            begin_run(
                session, batch.id, actor=office.head, now=office.now + LEASE, seen_digest=batch.list_digest
            )
        # While this waited for the database's one writer, the other worker may have signed more.
        signed_before.append(office.progress(batch).signed)

    office.sign(batch, key=office.key_that(take_over, at=2))
    assert 2 <= office.progress(batch).signed <= signed_before[0] + WORKERS
    # The old run's end leaves the new one's name in place.
    assert office.state(batch, at=office.now + LEASE) == BatchState.RUNNING


def test_a_process_signs_few_batches_at_once(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_run, "AT_ONCE", 1)
    every = office.ready(2)
    first, going = office.select(every[:1]), threading.Event()
    runs = BatchRuns()
    slow = office.key_that(lambda: going.wait(10), at=1)
    office.start(runs, first, key=slow)
    second = office.select(every[1:])
    with pytest.raises(TooManyBatches):
        office.start(runs, second)
    going.set()
    runs.wait()
    assert office.progress(first).signed == 1
    runs.close()
    with pytest.raises(TooManyBatches):
        office.start(runs, second)


def test_the_officials_key_is_closed_when_the_run_is_over_or_refused(
    office: Office, key_store: SoftwareKeyStore
) -> None:
    batch = office.select(office.ready(1))
    used, refused = (
        key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=office.now) for _ in range(2)
    )
    office.sign(batch, key=used)
    assert office.progress(batch).signed == 1
    with pytest.raises(BatchEnded):
        office.sign(batch, key=refused)
    for key in (used, refused):
        with pytest.raises(KeyClosed):
            key.sign(b"data")


def test_a_closing_process_ends_its_runs_after_their_current_files(office: Office) -> None:
    batch, runs = office.select(office.ready(6)), BatchRuns()
    closing = threading.Thread(target=runs.close)
    office.start(runs, batch, key=office.key_that(closing.start, at=2))
    runs.wait()
    closing.join()
    assert office.progress(batch).failed == 0
    # Ready to be resumed at once: the run let the batch go.
    assert office.state(batch) in {BatchState.INTERRUPTED, BatchState.ENDED}


# Memory -------------------------------------------------------------------------------------------


def resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


@pytest.mark.parametrize(
    "files", [60, pytest.param(MAX_FILES, marks=pytest.mark.proof)], ids=["sample", "proof"]
)
def test_a_batch_keeps_memory_flat(office: Office, files: int) -> None:
    """After the first fifth of its files a batch takes no more memory, however many follow."""
    batch = office.select(office.ready(files))
    seen: list[float] = []

    def sign_data(data: bytes) -> bytes:
        seen.append(resident_megabytes())
        return office.key.sign(data)

    begin = time.monotonic()
    office.sign(batch, key=replace(office.key, sign=sign_data))
    seconds = time.monotonic() - begin
    assert office.progress(batch).signed == files
    early = max(seen[: files // 5])
    print(f"\n{files} files in {seconds:.1f} s; resident {early:.1f} MiB early, {max(seen):.1f} MiB at most")
    assert max(seen) - early < 12
