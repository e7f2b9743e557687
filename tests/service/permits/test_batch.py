"""Batches: each file on its own, nothing but what was shown, and nothing lost by whatever ends a run."""

import errno
import itertools
import resource
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

import cases
import pytest
from factories import actor_of, make_officer
from sqlalchemy import Engine
from sqlmodel import col, select

from keys.errors import KeyClosed
from keys.software import SoftwareKeyStore
from keys.store import OpenKey
from service.accounts.access import Actor
from service.accounts.models import User
from service.accounts.officers import disable_officer
from service.applications.models import Application
from service.applications.review import act_on_case
from service.applications.workflow import Action
from service.audit import AuditEvent, verify_chain
from service.database import reading, transaction
from service.errors import InvalidInput
from service.permits import batch_run
from service.permits import sign as sign_module
from service.permits.batch import (
    LEASE,
    MAX_FILES,
    BatchChanged,
    BatchEnded,
    BatchNotFound,
    BatchRunning,
    BatchState,
    batch_state,
    begin_run,
    digest_of_list,
    find_batch,
    leave_out,
    select_files,
    stop_batch,
)
from service.permits.batch_progress import BatchFile, FileState, Progress, count_files, read_files
from service.permits.batch_run import WORKERS, BatchRuns, TooManyBatches
from service.permits.desk import DeskFile
from service.permits.issue import Workshop, unfinished_issuances
from service.permits.models import Kind, Mandate, Permit, SignBatch, SignBatchItem
from service.storage import Storage, StorageUnavailable, put_document

Ready = Callable[..., list[Application]]


@pytest.fixture
def signer(key_store: SoftwareKeyStore, now: datetime) -> OpenKey:
    """The head's key, which stays open over all runs of a test."""
    key = key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    return replace(key, close=lambda: None)


@pytest.fixture
def head(engine: Engine, city: cases.City) -> Actor:
    with reading(engine) as session:
        return actor_of(session, session.get_one(User, city.head.id))


@pytest.fixture
def ready(workshop: Workshop, city: cases.City, now: datetime) -> Ready:
    """Bring cases to the signature."""

    def ready(count: int, **options: object) -> list[Application]:
        with transaction(workshop.engine) as session:
            return [cases.bring_to_signature(session, city, now, **options) for _ in range(count)]  # type: ignore[arg-type]

    return ready


@pytest.fixture
def select_cases(
    workshop: Workshop, city: cases.City, head: Actor, now: datetime
) -> Callable[..., SignBatch]:
    """Select cases as the official sees them."""

    def select_cases(every: Sequence[Application], actor: Actor = head) -> SignBatch:
        files = [
            DeskFile(case.id, Kind.PERMIT, cases.digest_shown(workshop, city, case, now)) for case in every
        ]
        with transaction(workshop.engine) as session:
            return select_files(session, files, actor=actor, now=now)

    return select_cases


def sign(workshop: Workshop, batch: SignBatch, head: Actor, signer: OpenKey) -> None:
    """Sign a batch to its end."""
    runs = BatchRuns()
    runs.start(workshop, batch.id, actor=head, signer=signer, seen_digest=batch.list_digest)
    runs.wait()


def files_of(workshop: Workshop, batch: SignBatch) -> list[BatchFile]:
    with reading(workshop.engine) as session:
        return read_files(session, batch.id)


def progress_of(workshop: Workshop, batch: SignBatch) -> Progress:
    with reading(workshop.engine) as session:
        return count_files(session, batch.id)


def state_of(workshop: Workshop, batch: SignBatch, head: Actor, now: datetime) -> BatchState:
    with reading(workshop.engine) as session:
        return batch_state(find_batch(session, batch.id, actor=head), count_files(session, batch.id), now)


def assert_numbers_are_whole(workshop: Workshop, count: int) -> None:
    with reading(workshop.engine) as session:
        sequences = session.exec(select(Permit.sequence).order_by(col(Permit.sequence))).all()
        assert sequences == list(range(1, count + 1))
        verify_chain(session)


# Selecting ----------------------------------------------------------------------------------------


def test_the_list_has_a_digest_that_anybody_can_compute(
    workshop: Workshop, ready: Ready, select_cases: Callable[..., SignBatch]
) -> None:
    batch = select_cases(ready(3))
    listed = [(file.item.application_id, file.item.digest) for file in files_of(workshop, batch)]
    assert batch.list_digest == digest_of_list(listed)
    assert digest_of_list(listed[::-1]) != batch.list_digest


def test_a_selection_is_of_one_to_a_thousand_files_each_once(
    engine: Engine, city: cases.City, head: Actor, now: datetime
) -> None:
    many = [DeskFile(uuid.uuid4(), Kind.PERMIT, "0" * 64) for _ in range(MAX_FILES + 1)]
    for files in ([], many, [many[0], many[0]]):
        with pytest.raises(InvalidInput), transaction(engine) as session:
            select_files(session, files, actor=head, now=now)


def test_a_new_selection_takes_the_place_of_one_never_begun(
    engine: Engine, ready: Ready, select_cases: Callable[..., SignBatch]
) -> None:
    every = ready(2)
    select_cases(every)
    second = select_cases(every[:1])
    with reading(engine) as session:
        assert session.exec(select(SignBatch.id)).all() == [second.id]
        assert session.exec(select(SignBatchItem.application_id)).all() == [every[0].id]


def test_a_file_left_out_is_not_signed_and_changes_the_list(
    workshop: Workshop,
    head: Actor,
    signer: OpenKey,
    ready: Ready,
    select_cases: Callable[..., SignBatch],
) -> None:
    batch = select_cases(ready(3))
    with transaction(workshop.engine) as session:
        shorter = leave_out(session, batch.id, 2, actor=head)
    with pytest.raises(BatchChanged):
        sign(workshop, batch, head, signer)
    assert progress_of(workshop, batch).waiting == 2
    sign(workshop, shorter, head, signer)
    assert [file.item.position for file in files_of(workshop, batch)] == [1, 3]
    assert_numbers_are_whole(workshop, 2)
    with pytest.raises(BatchChanged), transaction(workshop.engine) as session:
        leave_out(session, batch.id, 1, actor=head)


def test_others_neither_see_nor_run_nor_stop_a_batch(
    workshop: Workshop, signer: OpenKey, ready: Ready, select_cases: Callable[..., SignBatch]
) -> None:
    batch = select_cases(ready(1))
    with transaction(workshop.engine) as session:
        other = actor_of(session, make_officer(session, ["department_head"], full_name="Pejabat Lain"))
    with pytest.raises(BatchNotFound), reading(workshop.engine) as session:
        find_batch(session, batch.id, actor=other)
    with pytest.raises(BatchNotFound):
        sign(workshop, batch, other, signer)
    with pytest.raises(BatchNotFound), transaction(workshop.engine) as session:
        stop_batch(session, batch.id, actor=other)
    with pytest.raises(BatchNotFound), transaction(workshop.engine) as session:
        leave_out(session, batch.id, 1, actor=other)


# Signing ------------------------------------------------------------------------------------------


def test_one_failure_stops_nothing_else_and_is_told(
    workshop: Workshop,
    city: cases.City,
    head: Actor,
    signer: OpenKey,
    now: datetime,
    ready: Ready,
    select_cases: Callable[..., SignBatch],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One changed, one was sent back, one left the mandate, one met a full disk: all others are signed."""
    every = ready(9)
    batch = select_cases(every)
    with transaction(workshop.engine) as session:
        changed = session.get_one(Application, every[1].id)
        changed.values = changed.values | {"practice_name": "Klinik Lain"}
        beyond = session.get_one(Application, every[2].id)
        beyond.slug = "reklame-tetap"
        mandate = session.exec(select(Mandate).where(Mandate.official_id == head.id)).one()
        mandate.permit_types = [cases.SLUG]
        session.add_all([changed, beyond, mandate])
        note = "Periksa lagi alamatnya."
        act_on_case(
            session, every[4].id, Action.RETURN_TO_PREVIOUS, actor=head, now=now, seen_visit=None, note=note
        )
    let_one_write_fail(monkeypatch)
    sign(workshop, batch, head, signer)

    files = files_of(workshop, batch)
    failed = {file.item.position: str(file.item.failure) for file in files if file.state == FileState.FAILED}
    # The full disk met whichever file came third.
    (unwritten,) = (place for place, code in failed.items() if code == "storage_unavailable")
    expected = {2: "document_changed", 3: "no_mandate", 5: "action_not_allowed"}
    assert failed == expected | {unwritten: "storage_unavailable"}
    assert [file.item.position for file in files[:4]] == sorted(failed)
    assert all(file.failure("id") and file.failure("en") for file in files[:4])
    assert progress_of(workshop, batch) == Progress(9, signed=5, failed=4, waiting=0, resumable=1)
    assert state_of(workshop, batch, head, now) == BatchState.INTERRUPTED
    assert_numbers_are_whole(workshop, 6)

    with reading(workshop.engine) as session:
        (left,) = unfinished_issuances(session, head)
    sign(workshop, batch, head, signer)
    (finished,) = (file for file in files_of(workshop, batch) if file.item.position == unwritten)
    assert (finished.state, finished.number) == (FileState.SIGNED, left.number)
    assert state_of(workshop, batch, head, now) == BatchState.ENDED
    assert_numbers_are_whole(workshop, 6)
    with pytest.raises(BatchEnded):
        sign(workshop, batch, head, signer)


def let_one_write_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the third document that is written meet a full disk."""
    numbers = itertools.count(1)

    def put(storage: Storage, data: bytes) -> str:
        if next(numbers) == 3:
            raise StorageUnavailable from OSError(errno.ENOSPC, "No space left on device")
        return put_document(storage, data)

    monkeypatch.setattr(sign_module, "put_document", put)


def test_a_rejection_letter_is_signed_among_permits(
    workshop: Workshop, head: Actor, signer: OpenKey, ready: Ready, select_cases: Callable[..., SignBatch]
) -> None:
    batch = select_cases([*ready(1), *ready(1, reasons="STR tidak terbaca.")])
    sign(workshop, batch, head, signer)
    assert progress_of(workshop, batch).signed == 2
    with reading(workshop.engine) as session:
        assert sorted(session.exec(select(Permit.kind))) == ["permit", "rejection_letter"]


def when_signing(signer: OpenKey, number: int, act: Callable[[], object]) -> OpenKey:
    """The key, doing something else at its so many-th signature."""
    numbers = itertools.count(1)

    def sign_data(data: bytes) -> bytes:
        if next(numbers) == number:
            act()
        return signer.sign(data)

    return replace(signer, sign=sign_data)


def test_a_stopped_batch_finishes_its_current_files_and_can_be_resumed(
    workshop: Workshop,
    head: Actor,
    signer: OpenKey,
    now: datetime,
    ready: Ready,
    select_cases: Callable[..., SignBatch],
) -> None:
    batch = select_cases(ready(8))

    def stop() -> None:
        with transaction(workshop.engine) as session:
            stop_batch(session, batch.id, actor=head)

    sign(workshop, batch, head, when_signing(signer, 3, stop))
    count = progress_of(workshop, batch)
    assert 3 <= count.signed <= 2 + WORKERS
    assert (count.failed, count.resumable) == (0, 8 - count.signed)
    assert state_of(workshop, batch, head, now) == BatchState.INTERRUPTED
    assert_numbers_are_whole(workshop, count.signed)
    sign(workshop, batch, head, signer)
    assert state_of(workshop, batch, head, now) == BatchState.ENDED
    assert_numbers_are_whole(workshop, 8)
    with reading(workshop.engine) as session:
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


def test_nothing_more_is_signed_for_an_account_disabled_meanwhile(
    workshop: Workshop,
    city: cases.City,
    head: Actor,
    signer: OpenKey,
    now: datetime,
    ready: Ready,
    select_cases: Callable[..., SignBatch],
) -> None:
    batch = select_cases(ready(6))

    def disable() -> None:
        with transaction(workshop.engine) as session:
            admin = actor_of(session, make_officer(session, ["administrator"], full_name="Admin Contoh"))
            disable_officer(session, admin, city.head.id, now)

    sign(workshop, batch, head, when_signing(signer, 2, disable))
    count = progress_of(workshop, batch)
    assert 2 <= count.signed <= 1 + WORKERS
    assert count.waiting == 6 - count.signed


def test_an_official_has_one_batch_signed_at_a_time(
    workshop: Workshop,
    head: Actor,
    now: datetime,
    ready: Ready,
    select_cases: Callable[..., SignBatch],
) -> None:
    every = ready(2)
    first = select_cases(every[:1])
    begin = partial(begin_run, actor=head, now=now)
    with transaction(workshop.engine) as session:
        begin(session, first.id, seen_digest=first.list_digest)
    second = select_cases(every[1:])
    for batch in (first, second):
        with pytest.raises(BatchRunning), transaction(workshop.engine) as session:
            begin(session, batch.id, seen_digest=batch.list_digest)
    # A run that has not been heard of for so long died with its process.
    with transaction(workshop.engine) as session:
        begin_run(session, first.id, actor=head, now=now + LEASE, seen_digest=first.list_digest)


def test_a_run_that_was_taken_over_signs_nothing_more(
    workshop: Workshop,
    head: Actor,
    signer: OpenKey,
    now: datetime,
    ready: Ready,
    select_cases: Callable[..., SignBatch],
) -> None:
    batch = select_cases(ready(6))
    signed_before = []

    def take_over() -> None:
        with transaction(workshop.engine) as session:
            begin_run(session, batch.id, actor=head, now=now + LEASE, seen_digest=batch.list_digest)
        # While this waited for the database's one writer, the other worker may have signed more.
        signed_before.append(progress_of(workshop, batch).signed)

    sign(workshop, batch, head, when_signing(signer, 2, take_over))
    assert 2 <= progress_of(workshop, batch).signed <= signed_before[0] + WORKERS
    # The old run's end leaves the new one's name in place.
    assert state_of(workshop, batch, head, now + LEASE) == BatchState.RUNNING


def test_a_process_signs_few_batches_at_once(
    workshop: Workshop,
    head: Actor,
    signer: OpenKey,
    ready: Ready,
    select_cases: Callable[..., SignBatch],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch_run, "AT_ONCE", 1)
    every = ready(2)
    first, going = select_cases(every[:1]), threading.Event()
    runs = BatchRuns()
    slow = when_signing(signer, 1, lambda: going.wait(10))
    runs.start(workshop, first.id, actor=head, signer=slow, seen_digest=first.list_digest)
    second = select_cases(every[1:])
    with pytest.raises(TooManyBatches):
        runs.start(workshop, second.id, actor=head, signer=signer, seen_digest=second.list_digest)
    going.set()
    runs.wait()
    assert progress_of(workshop, first).signed == 1
    runs.close()
    with pytest.raises(TooManyBatches):
        runs.start(workshop, second.id, actor=head, signer=signer, seen_digest=second.list_digest)


def test_the_officials_key_is_closed_when_the_run_is_over_or_refused(
    workshop: Workshop,
    head: Actor,
    key_store: SoftwareKeyStore,
    now: datetime,
    ready: Ready,
    select_cases: Callable[..., SignBatch],
) -> None:
    batch = select_cases(ready(1))
    used, refused = (
        key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now) for _ in range(2)
    )
    sign(workshop, batch, head, used)
    assert progress_of(workshop, batch).signed == 1
    with pytest.raises(BatchEnded):
        sign(workshop, batch, head, refused)
    for key in (used, refused):
        with pytest.raises(KeyClosed):
            key.sign(b"data")


def test_a_closing_process_ends_its_runs_after_their_current_files(
    workshop: Workshop,
    head: Actor,
    signer: OpenKey,
    now: datetime,
    ready: Ready,
    select_cases: Callable[..., SignBatch],
) -> None:
    batch, runs = select_cases(ready(6)), BatchRuns()
    closing = threading.Thread(target=runs.close)
    key = when_signing(signer, 2, closing.start)
    runs.start(workshop, batch.id, actor=head, signer=key, seen_digest=batch.list_digest)
    runs.wait()
    closing.join()
    assert progress_of(workshop, batch).failed == 0
    # Ready to be resumed at once: the run let the batch go.
    assert state_of(workshop, batch, head, now) in {BatchState.INTERRUPTED, BatchState.ENDED}


# Memory -------------------------------------------------------------------------------------------


def resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


@pytest.mark.parametrize(
    "files", [60, pytest.param(MAX_FILES, marks=pytest.mark.proof)], ids=["sample", "proof"]
)
def test_a_batch_keeps_memory_flat(
    workshop: Workshop,
    head: Actor,
    signer: OpenKey,
    ready: Ready,
    select_cases: Callable[..., SignBatch],
    files: int,
) -> None:
    """After the first fifth of its files a batch takes no more memory, however many follow."""
    batch = select_cases(ready(files))
    seen: list[float] = []

    def sign_data(data: bytes) -> bytes:
        seen.append(resident_megabytes())
        return signer.sign(data)

    begin = time.monotonic()
    sign(workshop, batch, head, replace(signer, sign=sign_data))
    seconds = time.monotonic() - begin
    assert progress_of(workshop, batch).signed == files
    early = max(seen[: files // 5])
    print(f"\n{files} files in {seconds:.1f} s; resident {early:.1f} MiB early, {max(seen):.1f} MiB at most")
    assert max(seen) - early < 12
