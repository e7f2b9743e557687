"""Bulk renewal of proofs: each document once, faults counted, restarts survived, and watched."""

import re
import resource
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import cases
import pytest
from factories import make_officer, sign_in
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlmodel import col, select

from keys.hierarchy import renew_key
from keys.profiles import TSA
from keys.software import SoftwareKeyStore
from service import jobs
from service.accounts.access import SERVICE
from service.config import Settings
from service.database import reading, transaction
from service.permits import renewal
from service.permits.extend import extend_document
from service.permits.issue import Workshop
from service.permits.models import DocumentVersion, ProofRenewalItem
from service.permits.register import document_health
from service.permits.renewal import (
    RENEW_JOB,
    NothingToRenew,
    RenewalProgress,
    RenewalRunning,
    newest_renewal,
    run_slice,
    start_renewal,
)
from service.permits.signer import open_operations_keys
from service.pki.publish import publish_revocation_lists
from service.storage import open_storage
from signing.errors import TimestampUnavailable

OPERATIONS = cases.OPERATIONS_PASSPHRASE


@dataclass
class Archive:
    """Issued documents, and the job that renews them at a time of the test's choosing."""

    keys: SoftwareKeyStore
    workshop: Workshop
    city: cases.City
    now: datetime

    def issue(self, count: int) -> None:
        signer = self.keys.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=self.now)
        for _ in range(count):
            with transaction(self.workshop.engine) as session:
                case = cases.bring_to_signature(session, self.city, self.now)
            cases.issue_case(self.workshop, self.city, case, signer, self.now)

    def extend(self) -> Callable[[uuid.UUID], object]:
        own = open_operations_keys(self.keys, OPERATIONS, lambda: self.now)
        workshop = replace(self.workshop, timestamper=own.timestamper, clock=lambda: self.now)
        return lambda permit_id: extend_document(workshop, permit_id, tsa=own.tsa)

    def start(self, *, before: datetime | None = None) -> uuid.UUID:
        newest = [name for name in self.keys.names() if name.startswith("tsa")][-1]
        until = self.keys.certificates(newest)[0].not_valid_after_utc
        with transaction(self.workshop.engine) as session:
            started = start_renewal(session, stamps_until=until, before=before, actor=SERVICE, now=self.now)
            return started.id

    def run(self, renewal_id: uuid.UUID, extend: Callable[[uuid.UUID], object] | None = None) -> None:
        run_slice(self.workshop.engine, renewal_id, renewal.SLICE, extend or self.extend(), lambda: self.now)

    def progress(self) -> RenewalProgress:
        with reading(self.workshop.engine) as session:
            progress = newest_renewal(session)
        assert progress is not None
        return progress


@pytest.fixture
def archive(engine: Engine, tmp_path: Path, workshop: Workshop, city: cases.City, now: datetime) -> Archive:
    keys = cases.make_keys(tmp_path / "keys", now - timedelta(days=1))
    own = open_operations_keys(keys, OPERATIONS, lambda: now)
    storage = open_storage((tmp_path / "storage").as_uri())
    publish_revocation_lists(engine, keys, OPERATIONS, now)
    return Archive(keys, replace(workshop, storage=storage, timestamper=own.timestamper), city, now)


def test_every_document_is_renewed_once(archive: Archive) -> None:
    archive.issue(3)
    archive.run(archive.start())
    progress = archive.progress()
    assert (progress.total, progress.renewed, progress.waiting, progress.failed) == (3, 3, 0, 0)
    assert progress.finished_at == archive.now
    with pytest.raises(NothingToRenew):
        archive.start()

    renew_key(
        archive.keys, TSA, passphrase=OPERATIONS, issuer_passphrase=OPERATIONS,
        now=archive.now + timedelta(days=2),
    )  # fmt: skip
    archive.now += timedelta(days=2, hours=1)
    publish_revocation_lists(archive.workshop.engine, archive.keys, OPERATIONS, archive.now)
    with pytest.raises(NothingToRenew):
        archive.start(before=archive.now + timedelta(days=30))
    archive.run(archive.start())
    assert archive.progress().renewed == 3
    with reading(archive.workshop.engine) as session:
        assert len(session.exec(select(DocumentVersion)).all()) == 9
        assert document_health(session).by_level == {"B-LTA": 3}


def test_two_renewals_do_not_run_at_once(archive: Archive) -> None:
    archive.issue(1)
    archive.start()
    with pytest.raises(RenewalRunning):
        archive.start()


def test_one_document_that_fails_stops_no_other_and_is_told(archive: Archive) -> None:
    archive.issue(3)
    renewal_id, extend, asked = archive.start(), archive.extend(), []

    def fail_first(permit_id: uuid.UUID) -> object:
        asked.append(permit_id)
        if len(asked) == 1:
            raise FileNotFoundError("secret name")
        return extend(permit_id)

    archive.run(renewal_id, fail_first)
    progress = archive.progress()
    assert (progress.renewed, progress.failures) == (2, {"FileNotFoundError": 1})
    archive.now += timedelta(minutes=1)
    archive.run(archive.start())
    assert (archive.progress().total, archive.progress().renewed) == (1, 1)


@pytest.mark.parametrize("interruption", [TimestampUnavailable, SystemExit])
def test_what_is_left_waits_for_the_next_attempt(archive: Archive, interruption: type[BaseException]) -> None:
    """Without a time-stamping authority, or after a crash, the job runs again; nothing is done twice."""
    archive.issue(3)
    renewal_id, extend, asked = archive.start(), archive.extend(), []

    def stop_at_second(permit_id: uuid.UUID) -> object:
        asked.append(permit_id)
        if len(asked) == 2:
            raise interruption
        return extend(permit_id)

    with pytest.raises(interruption):
        archive.run(renewal_id, stop_at_second)
    progress = archive.progress()
    assert (progress.done, progress.waiting, progress.finished_at) == (1, 2, None)

    archive.run(renewal_id)
    assert (archive.progress().renewed, archive.progress().waiting) == (3, 0)
    with reading(archive.workshop.engine) as session:
        assert len(session.exec(select(DocumentVersion)).all()) == 6


def test_progress_tells_the_rate_and_the_end(archive: Archive) -> None:
    minute = timedelta(minutes=1)
    progress = RenewalProgress(archive.now, None, 40, 30, 8, 1, {"not_extended": 1})
    assert (progress.done, progress.failed) == (10, 1)
    assert progress.per_minute(archive.now + 2 * minute) == 5
    assert progress.ends_at(archive.now + 2 * minute) == archive.now + 8 * minute
    assert progress.per_minute(archive.now) == 0
    assert progress.ends_at(archive.now) is None


@pytest.fixture
def executor(archive: Archive) -> Iterator[Callable[[], None]]:
    """Execute renewals in this process with a real executor of jobs."""
    engine = archive.workshop.engine

    def launch() -> None:
        extend = archive.extend()

        def renew(renewal_id: str, up_to: int) -> None:
            run_slice(engine, uuid.UUID(renewal_id), up_to, extend, lambda: archive.now)

        work = [jobs.Job(RENEW_JOB, renew), jobs.Job("extend_document", print), jobs.Job("send_mail", print)]
        url = engine.url.render_as_string(hide_password=False)
        jobs.launch(url, work, polling_seconds=0.05)

    yield launch
    jobs.shutdown(grace_seconds=0)


def wait_until_finished(archive: Archive, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while archive.progress().finished_at is None:
        assert time.monotonic() < deadline, "the renewal did not finish in time"
        time.sleep(0.05)


def test_slices_follow_one_another(
    archive: Archive, executor: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "SLICE", 2)
    archive.issue(5)
    archive.start()
    executor()
    wait_until_finished(archive, 30)
    assert archive.progress().renewed == 5


@pytest.mark.proof
def test_a_thousand_documents_are_renewed_in_flat_memory(
    archive: Archive, executor: Callable[[], None]
) -> None:
    archive.issue(1000)
    archive.start()
    executor()
    while archive.progress().done < 200:
        time.sleep(0.2)
    warm = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wait_until_finished(archive, 900)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - warm
    assert archive.progress().renewed == 1000
    assert grown < 16 * 1024, f"{grown} KiB more for the last 800 documents"


def test_administrators_start_it_and_everybody_in_the_office_watches(
    client: TestClient, archive: Archive, settings: Settings
) -> None:
    archive.issue(2)
    with transaction(archive.workshop.engine) as session:
        administrator = make_officer(session, ["administrator"], settings=settings)
        officer = make_officer(session, ["front_office"], settings=settings)
    sign_in(client, administrator)
    start = "/officer/permits/health/renewals"
    assert "Perbarui semua bukti" in client.get("/officer/permits/health").text
    assert client.post(start).status_code == 303
    assert client.post(start).status_code == 303
    with reading(archive.workshop.engine) as session:
        items = session.exec(select(ProofRenewalItem).where(col(ProofRenewalItem.outcome) == "waiting"))
        assert len(items.all()) == 2
    sign_in(client, officer)
    page = client.get("/officer/permits/health").text
    assert re.search(r"0 / 2\s+dokumen", page)
    assert "Perbarui semua bukti" not in page
    assert client.post(start).status_code == 403
