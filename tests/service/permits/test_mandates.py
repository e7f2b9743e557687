"""Mandates: what the signature block prints, who is refused, and the administrators' pages."""

import uuid
from dataclasses import replace
from datetime import date, datetime, timedelta

import cases
import pypdfium2
import pytest
from factories import LONG_AGO, actor_of, make_mandate, make_officer, sign_in
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlmodel import Session, col, select

from keys.software import SoftwareKeyStore
from service.accounts.access import SERVICE
from service.accounts.models import User
from service.accounts.officers import OwnAccount
from service.applications.models import Application
from service.audit import AuditEvent
from service.config import Settings
from service.database import reading, transaction
from service.errors import InvalidInput
from service.permits.issue import DocumentChanged, Workshop, sign_application
from service.permits.mandates import (
    MandateDetails,
    NoMandate,
    end_mandate,
    grant_mandate,
    mandate_for,
    mandate_state,
    printed_capacity,
)
from service.permits.models import Capacity, Mandate, Permit
from service.permits.register import find_by_code, public_permit

TODAY = date(2026, 11, 23)
HEAD = "Kepala Dinas Penanaman Modal dan Pelayanan Terpadu Satu Pintu"
PLT = MandateDetails("plt", HEAD, "SK Wali Kota Nomor 2 Tahun 2026", TODAY, TODAY + timedelta(days=30))


def end_all(session: Session, official: User, now: datetime) -> None:
    """End the mandate that every signing officer of the tests begins with."""
    for mandate in session.exec(select(Mandate).where(Mandate.official_id == official.id)):
        end_mandate(session, mandate.id, actor=SERVICE, now=now)


# Signing ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capacity", "own_position", "printed"),
    [
        ("definitive", "", HEAD),
        ("plt", "", f"Plt. {HEAD}"),
        ("plh", "", f"Plh. {HEAD}"),
        ("an", "Kepala Bidang Perizinan", f"a.n. {HEAD}\nKepala Bidang Perizinan"),
    ],
)
def test_a_capacity_is_printed_as_letters_write_it(capacity: str, own_position: str, printed: str) -> None:
    mandate = Mandate(capacity=capacity, position=HEAD, own_position=own_position)
    assert printed_capacity(mandate) == printed


def test_a_permit_is_signed_in_the_capacity_of_the_mandate(
    workshop: Workshop, city: cases.City, key_store: SoftwareKeyStore, now: datetime
) -> None:
    signer = key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    with transaction(workshop.engine) as session:
        case = cases.bring_to_signature(session, city, now)
        head = actor_of(session, city.head)
    seen_before = cases.digest_shown(workshop, city, case, now)
    with transaction(workshop.engine) as session:
        details = replace(
            PLT,
            capacity="an",
            position="Wali Kota Contoh",
            own_position="Kepala Dinas",
            permit_types=(cases.SLUG,),
        )
        mandate_id = grant_mandate(session, city.head.id, details, actor=SERVICE, now=now).id
    with pytest.raises(DocumentChanged):
        sign_application(workshop, case.id, actor=head, signer=signer, seen_digest=seen_before)
    issued = cases.issue_case(workshop, city, case, signer, now)
    assert (issued.permit.mandate, issued.permit.mandate_id) == ("an", mandate_id)
    text = pypdfium2.PdfDocument(issued.pdf)[0].get_textpage().get_text_bounded().replace("\r\n", "\n")
    assert "a.n. Wali Kota Contoh \nKepala Dinas,\nDitandatangani secara elektronik oleh\n" in text
    with reading(workshop.engine) as session:
        permit = find_by_code(session, issued.permit.code)
        assert permit is not None
        shown = public_permit(session, permit, moment=now, language="id", base_url="", masked=True)
    assert (shown.position, shown.mandate) == ("a.n. Wali Kota Contoh, Kepala Dinas", "an")
    assert shown.mandate_basis == PLT.basis


def test_nobody_signs_outside_a_mandate(
    workshop: Workshop, city: cases.City, key_store: SoftwareKeyStore, now: datetime
) -> None:
    signer = key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    with transaction(workshop.engine) as session:
        case = cases.bring_to_signature(session, city, now)
        head = actor_of(session, city.head)
    digest = cases.digest_shown(workshop, city, case, now)
    with transaction(workshop.engine) as session:
        end_all(session, city.head, now)
        make_mandate(session, city.head, valid_until=TODAY - timedelta(days=1))
        make_mandate(session, city.head, valid_from=TODAY + timedelta(days=1))
        make_mandate(session, city.head, permit_types=("reklame-tetap",))
    with pytest.raises(NoMandate):
        sign_application(workshop, case.id, actor=head, signer=signer, seen_digest=digest)
    with reading(workshop.engine) as session:
        assert session.get_one(Application, case.id).state == "under_review"
        assert session.exec(select(Permit)).all() == []


# The rules ----------------------------------------------------------------------------------------


def test_a_mandate_holds_on_its_first_and_last_day_until_it_is_ended(session: Session, now: datetime) -> None:
    official = make_officer(session, ["secretary"])
    mandate = make_mandate(session, official, capacity=Capacity.PLH, valid_from=TODAY, valid_until=TODAY)
    day = timedelta(days=1)
    assert mandate_for(session, official.id, cases.SLUG, TODAY) == mandate
    for outside in (TODAY - day, TODAY + day):
        with pytest.raises(NoMandate):
            mandate_for(session, official.id, cases.SLUG, outside)
    states = [mandate_state(mandate, each) for each in (TODAY - day, TODAY, TODAY + day)]
    assert states == ["upcoming", "in_force", "over"]
    end_mandate(session, mandate.id, actor=SERVICE, now=now)
    end_mandate(session, mandate.id, actor=SERVICE, now=now + day)
    assert (mandate.ended_at, mandate_state(mandate, TODAY)) == (now, "ended")
    with pytest.raises(NoMandate):
        mandate_for(session, official.id, cases.SLUG, TODAY)
    events = session.exec(select(AuditEvent.action).where(AuditEvent.subject_id == str(official.id))).all()
    assert events == ["mandate_ended"]


def test_the_mandate_that_names_the_type_goes_first_then_the_latest_begun(session: Session) -> None:
    official = make_officer(session, ["secretary"])
    named = make_mandate(session, official, permit_types=(cases.SLUG,), valid_from=date(2024, 1, 1))
    make_mandate(session, official, valid_from=date(2020, 1, 1))
    latest = make_mandate(session, official, valid_from=date(2025, 1, 1))
    make_mandate(session, official, valid_from=date(2022, 1, 1))
    assert mandate_for(session, official.id, cases.SLUG, TODAY) == named
    assert mandate_for(session, official.id, "reklame-tetap", TODAY) == latest


@pytest.mark.parametrize(
    ("details", "refused"),
    [
        (replace(PLT, capacity="ketua"), ["capacity"]),
        (replace(PLT, position=" ", basis=""), ["position", "basis"]),
        (replace(PLT, position="Plt. Kepala Dinas"), ["position"]),
        (replace(PLT, position="Kepala 部", basis="x" * 201), ["position", "basis"]),
        (replace(PLT, capacity="an"), ["own_position"]),
        (replace(PLT, permit_types=("tidak-ada",)), ["permit_types"]),
        (replace(PLT, valid_from=None), ["valid_from"]),
        (replace(PLT, valid_until=None), ["valid_until"]),
        (replace(PLT, valid_until=TODAY - timedelta(days=1)), ["valid_until"]),
        (replace(PLT, valid_from=TODAY + timedelta(days=31)), ["valid_until"]),
    ],
)
def test_what_a_mandate_lacks_is_named(
    session: Session, now: datetime, details: MandateDetails, refused: list[str]
) -> None:
    official = make_officer(session, ["department_head"])
    with pytest.raises(InvalidInput) as refusal:
        grant_mandate(session, official.id, details, actor=SERVICE, now=now)
    assert [problem.field for problem in refusal.value.problems] == refused


def test_only_another_administrator_grants_and_only_to_signing_officials(
    session: Session, now: datetime
) -> None:
    both = make_officer(session, ["department_head", "administrator"])
    with pytest.raises(OwnAccount):
        grant_mandate(session, both.id, PLT, actor=actor_of(session, both), now=now)
    secretary = make_officer(session, ["secretary"])
    for official_id in (secretary.id, uuid.uuid4(), None):
        with pytest.raises(InvalidInput) as refusal:
            grant_mandate(session, official_id, PLT, actor=SERVICE, now=now)
        assert [problem.field for problem in refusal.value.problems] == ["official"]


def test_a_definitive_mandate_takes_the_position_of_the_account(session: Session, now: datetime) -> None:
    official = make_officer(session, ["department_head"], position="Kepala Dinas Contoh")
    details = replace(PLT, capacity="definitive", position="", own_position="Abai", valid_until=None)
    mandate = grant_mandate(session, official.id, details, actor=SERVICE, now=now)
    assert (mandate.position, mandate.own_position) == ("Kepala Dinas Contoh", "")
    event = session.exec(select(AuditEvent).order_by(col(AuditEvent.number).desc())).first()
    assert event is not None
    assert (event.action, event.data["printed"]) == ("mandate_granted", "Kepala Dinas Contoh")


# The pages ----------------------------------------------------------------------------------------

FORM = {
    "capacity": "plh",
    "position": HEAD,
    "basis": "SPT Nomor 800/12 Tahun 2026",
    "permit_types": [cases.SLUG],
    "valid_from-day": "1",
    "valid_from-month": "januari",
    "valid_from-year": "2020",
    "valid_until-day": "31",
    "valid_until-month": "12",
    "valid_until-year": "2999",
}


def test_an_administrator_records_and_ends_a_mandate_and_the_official_is_told(
    client: TestClient, engine: Engine, city: cases.City, settings: Settings
) -> None:
    with transaction(engine) as session:
        administrator = make_officer(session, ["administrator"], settings=settings)
        head = make_officer(session, ["department_head"], settings=settings, full_name="Ratna Contoh, S.H.")
        end_all(session, head, LONG_AGO)
        case = cases.bring_to_signature(session, city, LONG_AGO)
    sign_in(client, head)
    assert "Anda tidak memegang mandat" in client.get("/sign").text
    page = client.get(f"/sign/{case.id}").text
    assert "Anda tidak memegang mandat" in page
    assert 'name="passphrase"' not in page
    assert client.get(f"/officer/cases/{case.id}/preview.pdf").status_code == 200

    sign_in(client, administrator)
    answer = client.post("/admin/mandates/new", data=FORM | {"valid_until-month": "13"})
    assert answer.status_code == 422
    assert "Isi tanggal berakhir yang lengkap." in answer.text
    answer = client.post("/admin/mandates/new", data=FORM)
    assert answer.status_code == 422
    assert "Pilih penanda tangan." in answer.text
    assert 'value="SPT Nomor 800/12 Tahun 2026"' in answer.text
    answer = client.post("/admin/mandates/new", data=FORM | {"official": str(head.id)})
    assert answer.headers["location"] == "/admin/mandates"
    page = client.get("/admin/mandates").text
    assert "Mandat tercatat." in page
    assert f"Plh. {HEAD}" in page

    sign_in(client, head)
    page = client.get("/sign").text
    assert f"Plh. {HEAD} (sampai dengan 31 Desember 2999)" in page
    assert "Anda tidak memegang mandat" not in page
    assert 'name="passphrase"' in client.get(f"/sign/{case.id}").text

    sign_in(client, administrator)
    with reading(engine) as session:
        mandate = session.exec(select(Mandate).where(Mandate.capacity == Capacity.PLH)).one()
    assert client.post(f"/admin/mandates/{mandate.id}/end").status_code == 303
    assert "Mandat diakhiri." in client.get("/admin/mandates").text
    assert client.post(f"/admin/mandates/{uuid.uuid4()}/end").status_code == 404
    with reading(engine) as session:
        assert session.get_one(Mandate, mandate.id).ended_by == administrator.id
