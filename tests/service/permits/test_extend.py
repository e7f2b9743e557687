"""Documents that outlive their certificates: B-LTA after issuing, renewed, and judged over the decades."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import cases
import pytest
import tsas
from cryptography import x509
from sqlalchemy import Engine
from sqlmodel import Session, select

from keys import profiles
from keys.hierarchy import generations, load_trust_anchors, renew_key, renew_root, sign_root_list
from keys.profiles import Profile
from keys.software import SoftwareKeyStore
from keys.timestamp import Timestamper
from service.accounts.access import SERVICE
from service.config import TsaAddress
from service.database import reading, transaction
from service.permits.compose import Printing
from service.permits.extend import NotExtended, enqueue_extensions, extend_document
from service.permits.issue import Workshop
from service.permits.models import DocumentVersion
from service.permits.register import document_health
from service.permits.signer import open_operations_keys
from service.pki.outside import refresh_outside_lists
from service.pki.publish import publish_revocation_lists
from service.pki.register import CertificateRevoked, current_lists, revoke_certificate
from service.pki.tsa import ordered_timestamper, outside_tsas, time_anchors
from service.storage import get_document, open_storage
from service.verification.examiner import examine
from service.verification.sandbox import Sandbox
from service.verification.verify import Reader, Verification, verify_file
from signing.errors import TimestampUnavailable
from signing.validate import ValidationReport, validate_document

YEAR = timedelta(days=365)


@dataclass
class House:
    """A city with keys of its own, whose clock the test turns."""

    keys: SoftwareKeyStore
    workshop: Workshop
    issued: cases.Issued
    sandbox: Sandbox
    now: datetime

    def extend(self) -> DocumentVersion | None:
        """Run the durable job with the time-stamping authority of the present."""
        own = open_operations_keys(self.keys, cases.OPERATIONS_PASSPHRASE, lambda: self.now)
        workshop = replace(self.workshop, timestamper=own.timestamper, clock=lambda: self.now)
        return extend_document(workshop, self.issued.permit.id, tsa=own.tsa)

    def publish(self) -> int:
        return publish_revocation_lists(
            self.workshop.engine, self.keys, cases.OPERATIONS_PASSPHRASE, self.now
        )

    def renew(self, profile: Profile, issuer_passphrase: str, passphrase: str) -> None:
        if profile is profiles.ROOT:
            renew_root(self.keys, self.keys, passphrase, now=self.now)
            return
        renew_key(
            self.keys, profile, passphrase=passphrase, issuer_passphrase=issuer_passphrase, now=self.now
        )

    def versions(self) -> list[DocumentVersion]:
        with reading(self.workshop.engine) as session:
            return list(session.exec(select(DocumentVersion).order_by(DocumentVersion.version)))  # type: ignore[arg-type]

    def judge(self, version: DocumentVersion) -> ValidationReport:
        """Judge a registered version as verification does, by what is published now."""
        with reading(self.workshop.engine) as session:
            crls = current_lists(session)
        pdf = get_document(self.workshop.storage, version.sha256)
        return validate_document(pdf, load_trust_anchors(self.keys.folder), at=self.now, crls=crls)

    def verify(self, version: DocumentVersion) -> Verification:
        """Verify a registered version as a stranger would, through the examiner and the log."""
        pdf = get_document(self.workshop.storage, version.sha256)
        reader = Reader("id", "https://izin.contoh.invalid")
        with reading(self.workshop.engine) as session:
            return verify_file(session, self.sandbox, pdf, now=self.now, reader=reader)


@pytest.fixture
def house(engine: Engine, tmp_path: Path, now: datetime) -> Iterator[House]:
    keys = cases.make_keys(tmp_path / "keys", now - timedelta(days=1))
    own = open_operations_keys(keys, cases.OPERATIONS_PASSPHRASE, lambda: now)
    printing = Printing("https://izin.contoh.invalid", is_sample=True)
    storage = open_storage((tmp_path / "storage").as_uri())
    workshop = Workshop(engine, storage, own.timestamper, lambda: now, printing)
    with transaction(engine) as session:
        city = cases.make_city(session, now - timedelta(days=3))
        case = cases.bring_to_signature(session, city, now)
    signer = keys.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    issued = cases.issue_case(workshop, city, case, signer, now)
    sandbox = Sandbox(keys.folder, seconds=20)
    yield House(keys, workshop, issued, sandbox, now + timedelta(minutes=1))
    sandbox.close()


def test_an_issued_document_becomes_b_lta_and_both_versions_pass(house: House) -> None:
    with pytest.raises(NotExtended):
        house.extend()
    assert house.publish() == 1

    extended = house.extend()

    assert extended is not None
    assert (extended.version, extended.level) == (2, "B-LTA")
    first, second = house.versions()
    assert second.verifiable_until == house.keys.certificates("tsa")[0].not_valid_after_utc
    assert (first.level, second.log_index) == ("B-T", 1)
    for version in (first, second):
        assert house.judge(version).reasons == ()
    assert house.extend() is None
    with reading(house.workshop.engine) as session:
        health = document_health(session)
    assert (health.by_level, health.by_year) == ({"B-LTA": 1}, {second.verifiable_until.year: 1})


def test_the_examiner_judges_by_the_lists(house: House) -> None:
    house.publish()
    with transaction(house.workshop.engine) as session:
        revoke(session, house, compromised_at=house.now - timedelta(days=1))
    house.publish()
    pdf = house.issued.pdf
    anchors = (house.keys.folder / "root.pem").read_bytes()
    with reading(house.workshop.engine) as session:
        crls = current_lists(session)

    assert examine(pdf, anchors, house.now)["report"]["indication"] == "TOTAL-PASSED"
    assert examine(pdf, anchors, house.now, crls)["report"]["indication"] != "TOTAL-PASSED"


def revoke(session: Session, house: House, compromised_at: datetime | None = None) -> None:
    revoke_certificate(
        session,
        "official-head",
        reason=x509.ReasonFlags.key_compromise,
        compromised_at=compromised_at,
        actor=SERVICE,
        now=house.now,
    )


def test_a_revoked_official_signs_nothing_more_and_what_was_signed_before_stands(house: House) -> None:
    house.publish()
    house.extend()
    with transaction(house.workshop.engine) as session:
        revoke(session, house)
    house.now += timedelta(minutes=1)
    assert house.publish() == 1, "a revocation is published at once"

    for version in house.versions():
        assert house.judge(version).reasons == ()
    city_session = house.workshop.engine
    with transaction(city_session) as session:
        city = cases.make_city(session, house.now - timedelta(days=3))
        case = cases.bring_to_signature(session, city, house.now)
    signer = house.keys.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=house.now)
    with pytest.raises(CertificateRevoked):
        cases.issue_case(house.workshop, city, case, signer, house.now)


def test_signatures_from_after_a_compromise_fall(house: House) -> None:
    house.publish()
    house.extend()
    with transaction(house.workshop.engine) as session:
        revoke(session, house, compromised_at=house.now - timedelta(days=1))
    house.publish()

    for version in house.versions():
        assert house.judge(version).reasons != ()


def test_what_needs_an_extension_is_enqueued(house: House) -> None:
    until = house.keys.certificates("tsa")[0].not_valid_after_utc
    engine = house.workshop.engine

    def due(now: datetime, stamps_until: datetime) -> int:
        with transaction(engine) as session:
            return enqueue_extensions(session, stamps_until=stamps_until, now=now)

    assert due(house.now, until) == 1
    house.publish()
    house.extend()
    assert due(house.now, until) == 0
    assert due(until - 2 * YEAR, until + YEAR) == 0
    assert due(until - timedelta(days=100), until) == 0, "no stamp would prove it for longer"
    assert due(until - timedelta(days=100), until + YEAR) == 1


def unreachable(_digest: bytes) -> bytes:
    raise ConnectionRefusedError


def test_without_a_time_stamp_a_permit_is_issued_and_its_time_proven_later(house: House) -> None:
    engine, now = house.workshop.engine, house.now
    with transaction(engine) as session:
        city = cases.make_city(session, now - timedelta(days=3))
        case = cases.bring_to_signature(session, city, now)
    signer = house.keys.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    alone = replace(house.workshop, timestamper=Timestamper(unreachable, 4096), clock=lambda: now)
    house.issued = cases.issue_case(alone, city, case, signer, now)
    house.publish()
    first = house.versions()[-1]
    assert (first.level, house.judge(first).reasons) == ("B-B", ())

    with pytest.raises(TimestampUnavailable):
        extend_document(alone, house.issued.permit.id, tsa=signer)
    house.now += timedelta(hours=1)
    extended = house.extend()

    assert extended is not None
    report = house.judge(extended)
    assert (extended.level, report.indication, report.reasons) == ("B-LTA", "TOTAL-PASSED", ())
    assert report.signatures[0].timestamped_at == house.now
    house.now = signer.certificate.not_valid_after_utc + timedelta(days=1)
    sign_root_list(house.keys, cases.ROOT_PASSPHRASE, now=house.now)
    house.publish()
    assert house.judge(extended).reasons == ()


def test_a_permit_stamped_by_another_house_is_judged_by_its_root_and_lists(house: House) -> None:
    engine, folder = house.workshop.engine, house.keys.folder

    def judge(version: DocumentVersion) -> dict[str, Any]:
        pdf = get_document(house.workshop.storage, version.sha256)
        with reading(engine) as session:
            crls = current_lists(session)
        stamping = b"".join(path.read_bytes() for path in folder.glob("timestamping/*.pem"))
        found: dict[str, Any] = examine(pdf, (folder / "root.pem").read_bytes(), house.now, crls, stamping)
        return found["report"]

    with tsas.other_house(lambda: house.now) as other:
        addresses = [TsaAddress("luar", f"{other.url}/tsr")]
        (folder / "timestamping").mkdir()
        (folder / "timestamping" / "luar.pem").write_bytes(other.pem)
        house.publish()
        assert refresh_outside_lists(engine, outside_tsas(addresses, folder), house.now) == 1
        timestamper = ordered_timestamper(
            addresses, folder, Timestamper(unreachable, 1), engine=engine, now=lambda: house.now
        )
        workshop = replace(house.workshop, timestamper=timestamper, clock=lambda: house.now)
        own = open_operations_keys(SoftwareKeyStore(folder), cases.OPERATIONS_PASSPHRASE, lambda: house.now)
        extended = extend_document(
            workshop, house.issued.permit.id, tsa=own.tsa, time_anchors=time_anchors(folder)
        )

    assert extended is not None
    assert extended.verifiable_until == other.tsa.certificate.not_valid_after_utc
    assert judge(extended)["indication"] == "TOTAL-PASSED"
    (folder / "timestamping" / "luar.pem").unlink()
    assert judge(extended)["indication"] == "INDETERMINATE"


def test_a_permit_is_proven_over_thirty_years(house: House, now: datetime) -> None:
    """Its signer is revoked and expires, root and authorities are renewed and end, and stamps are renewed.

    Every year the service verifies the newest version as it does a stranger's file.
    """
    operations, root = cases.OPERATIONS_PASSPHRASE, cases.ROOT_PASSPHRASE
    first = [chain[0] for name in house.keys.names() if (chain := house.keys.certificates(name))]
    house.publish()
    assert house.extend()
    for year in range(1, 31):
        house.now = now + year * YEAR
        if year == 1:
            with transaction(house.workshop.engine) as session:
                revoke(session, house)
        if year == 14:
            house.renew(profiles.ROOT, root, root)
        if year % 7 == 0:
            house.renew(profiles.ISSUING_CA, root, operations)
            house.renew(profiles.TSA, operations, operations)
        for name in generations(house.keys.names(), "root"):
            if house.now < house.keys.certificates(name)[0].not_valid_after_utc:
                sign_root_list(house.keys, root, now=house.now, name=name)
        house.publish()
        extended = house.extend()
        assert (extended is not None) == (year % 7 == 0)
        newest = house.versions()[-1]
        found = house.verify(newest)
        assert found.signature is not None
        assert (year, found.verdict, found.signature.indication) == (year, "genuine", "TOTAL-PASSED")
        assert (found.signature.level, found.log["included"]) == ("B-LTA", True)
        assert newest.verifiable_until > house.now
    assert newest.version == 6
    assert all(each.not_valid_after_utc < house.now for each in first)
    assert {"root-2", "issuing-5", "tsa-5"} <= set(house.keys.names())
    assert house.judge(house.versions()[0]).reasons != (), "without renewal nothing is proven so long"
