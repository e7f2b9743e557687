"""The token of an issued permit, and the published lists of permits that do not hold."""

import base64
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import cases
import cbor2
import pypdfium2
import pytest
import zxingcpp
from factories import actor_of
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from sqlmodel import col, select, update

from keys.software import SoftwareKeyStore
from service.accounts.access import Actor
from service.database import reading, transaction
from service.metrics import count_figures
from service.permits import offline
from service.permits.issue import Workshop
from service.permits.models import Permit, StatusList
from service.permits.offline import LISTED, publish_status_lists, take_status_index
from service.permits.revoke import reinstate_permit, revoke_permit, suspend_permit
from signing.errors import SealUnavailable
from signing.seal import LIST_SIZE, ListedStatus

BASE_URL = "https://izin.contoh.invalid"


@pytest.fixture
def head(engine: Engine, city: cases.City) -> Actor:
    with reading(engine) as session:
        return actor_of(session, city.head)


@pytest.fixture
def issue(
    workshop: Workshop, city: cases.City, key_store: SoftwareKeyStore, now: datetime
) -> Callable[..., cases.Issued]:
    def issue(**more: Any) -> cases.Issued:
        with transaction(workshop.engine) as session:
            case = cases.bring_to_signature(session, city, now, **more)
        signer = key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
        return cases.issue_case(workshop, city, case, signer, now)

    return issue


def claims_of(message: bytes) -> dict[int, Any]:
    claims: dict[int, Any] = cbor2.loads(cbor2.loads(message).value[2])
    return claims


def listed(engine: Engine, permit: Permit) -> ListedStatus:
    """What the published list says of a permit."""
    assert permit.status_index is not None
    number, index = divmod(permit.status_index, LIST_SIZE)
    with reading(engine) as session:
        claims = claims_of(session.get_one(StatusList, number).token)
    assert claims[2] == f"{BASE_URL}/status-lists/{number}"
    bits = zlib.decompress(claims[65533]["lst"])
    return ListedStatus(bits[index // 4] >> index % 4 * 2 & 3)


def test_the_qr_code_on_the_page_carries_the_token(issue: Callable[..., cases.Issued]) -> None:
    issued = issue()
    picture = pypdfium2.PdfDocument(issued.pdf)[0].render(scale=300 / 72).to_pil()
    (code,) = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.QRCode)
    address, _, token = code.text.partition("#")
    assert address == f"{BASE_URL}/v/{issued.permit.code}"
    claims = claims_of(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    permit = issued.permit
    assert (claims[2], claims[7].decode(), claims[-65538]) == (permit.number, permit.code, permit.holder_name)
    assert claims[-65537] == permit.document["title"]
    assert claims[-65539] == "Puskesmas Contoh, Jalan Contoh Nomor 2"
    # Midnight in the city is 17.00 UTC of the day before; the last day counts to its end.
    assert permit.valid_until is not None
    for claim, day in ((5, permit.valid_from), (4, permit.valid_until + timedelta(days=1))):
        assert datetime.fromtimestamp(claims[claim], offline.CITY_TIMEZONE) == datetime.combine(
            day, datetime.min.time(), offline.CITY_TIMEZONE
        )
    number, index = divmod(permit.status_index or 0, LIST_SIZE)
    assert claims[65535] == {"status_list": {"idx": index, "uri": f"{BASE_URL}/status-lists/{number}"}}


def test_a_rejection_letter_carries_no_token(issue: Callable[..., cases.Issued]) -> None:
    letter = issue(reasons="STR tidak terbaca.").permit
    assert letter.document["verify_url"] == f"{BASE_URL}/v/{letter.code}"
    assert letter.status_index is None


def test_a_permit_is_issued_without_a_token_while_the_seal_cannot_sign(
    workshop: Workshop, city: cases.City, key_store: SoftwareKeyStore, now: datetime
) -> None:
    assert workshop.seal is not None
    workshop.seal.close()
    with transaction(workshop.engine) as session:
        case = cases.bring_to_signature(session, city, now)
    signer = key_store.open_key("official-head", cases.OFFICIAL_PASSPHRASE, now=now)
    permit = cases.issue_case(workshop, city, case, signer, now).permit
    assert (permit.status, permit.document["verify_url"]) == ("active", f"{BASE_URL}/v/{permit.code}")
    with pytest.raises(SealUnavailable):
        publish_status_lists(workshop.engine, workshop.seal, BASE_URL, now)


def test_a_supersession_reaches_the_list(
    engine: Engine, workshop: Workshop, issue: Callable[..., cases.Issued], now: datetime
) -> None:
    first = issue().permit
    second = issue(request="change", continues=first).permit
    publish_status_lists(engine, workshop.seal, BASE_URL, now)
    assert [listed(engine, permit) for permit in (first, second)] == [
        ListedStatus.SUPERSEDED,
        ListedStatus.VALID,
    ]


def test_suspension_reinstatement_and_revocation_reach_the_list(
    engine: Engine, workshop: Workshop, issue: Callable[..., cases.Issued], head: Actor, now: datetime
) -> None:
    permit, other = issue().permit, issue().permit
    assert workshop.seal is not None

    def publish() -> ListedStatus:
        publish_status_lists(engine, workshop.seal, BASE_URL, now)  # type: ignore[arg-type]
        assert listed(engine, other) == ListedStatus.VALID
        return listed(engine, permit)

    def act(verb: Callable[..., Permit], **more: str) -> ListedStatus:
        with transaction(engine) as session:
            verb(session, permit.id, remark="Uji", actor=head, now=now, **more)
        return publish()

    assert publish() == ListedStatus.VALID
    assert act(suspend_permit, reason_code="sanction") == ListedStatus.SUSPENDED
    assert act(reinstate_permit) == ListedStatus.VALID
    assert act(revoke_permit, reason_code="own_request") == ListedStatus.INVALID
    with transaction(engine) as session:
        session.connection().execute(
            update(Permit).where(col(Permit.id) == permit.id).values(status="superseded")
        )
    assert publish() == ListedStatus.SUPERSEDED
    assert len(LISTED) == 3


def test_a_change_orders_new_lists_at_once_and_an_issuance_does_not(
    engine: Engine,
    issue: Callable[..., cases.Issued],
    head: Actor,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ordered: list[str] = []
    monkeypatch.setattr("service.jobs.enqueue", lambda _session, name, *_rest: ordered.append(name))
    permit = issue().permit
    assert offline.PUBLISH_LISTS_JOB not in ordered
    with transaction(engine) as session:
        suspend_permit(session, permit.id, reason_code="sanction", remark="Uji", actor=head, now=now)
    assert ordered.count(offline.PUBLISH_LISTS_JOB) == 1
    with transaction(engine) as session:
        reinstate_permit(session, permit.id, remark="Uji", actor=head, now=now)
    assert ordered.count(offline.PUBLISH_LISTS_JOB) == 2


def test_places_are_random_and_a_full_list_is_followed_by_the_next(
    engine: Engine, issue: Callable[..., cases.Issued], monkeypatch: pytest.MonkeyPatch
) -> None:
    with reading(engine) as session:
        assert len({take_status_index(session) for _ in range(20)}) == 20
    taken = issue().permit.status_index
    monkeypatch.setattr("secrets.randbelow", lambda _size: taken)
    with reading(engine) as session:
        assert take_status_index(session) == LIST_SIZE + taken  # type: ignore[operator]


def test_lists_are_served_signed_named_and_cacheable(
    client: TestClient, engine: Engine, workshop: Workshop, now: datetime
) -> None:
    assert client.get("/status-lists").json() == {"status_lists": []}
    assert client.get("/status-lists/0").status_code == 404
    assert publish_status_lists(engine, workshop.seal, "http://testserver", now) == 2  # type: ignore[arg-type]
    addresses = client.get("/status-lists").json()["status_lists"]
    assert addresses == ["http://testserver/status-lists/0", "http://testserver/status-lists/1"]
    answer = client.get(addresses[0])
    assert answer.headers["content-type"] == "application/statuslist+cwt"
    assert answer.headers["cache-control"] == "public, max-age=30, must-revalidate"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert claims_of(answer.content)[2] == addresses[0]
    again = client.get(addresses[0], headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_lists_are_signed_anew_each_time(engine: Engine, workshop: Workshop, now: datetime) -> None:
    for moment in (now, now + timedelta(hours=1)):
        publish_status_lists(engine, workshop.seal, BASE_URL, moment)  # type: ignore[arg-type]
        with reading(engine) as reader:
            rows = reader.exec(select(StatusList)).all()
        assert {row.issued_at for row in rows} == {moment}
        later = count_figures(engine, moment + timedelta(minutes=2)).decode()
        assert "canting_status_list_age_seconds 120.0" in later
        assert {claims_of(row.token)[6] for row in rows} == {int(moment.timestamp())}
