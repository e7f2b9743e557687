"""The pages for who has the paper only: what the register says, now and on a day."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import cases
import pytest
import time_machine
from factories import actor_of, let_forms_pass
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from service.accounts.models import User
from service.database import transaction
from service.permits.models import Permit
from service.permits.revoke import reinstate_permit, revoke_permit, suspend_permit

SANCTION, OWN_REQUEST = "Sanksi administratif", "Atas permintaan sendiri"
ISSUED_ON = {"issued_on-day": "23", "issued_on-month": "11", "issued_on-year": "2026"}


def typed(day: int, month: int = 11, year: int = 2026) -> dict[str, str]:
    return {"on-day": str(day), "on-month": str(month), "on-year": str(year)}


@pytest.fixture
def lived(engine: Engine, issued: cases.Issued, now: datetime) -> Iterator[Permit]:
    """A permit of the 23rd, suspended on the 25th, reinstated on the 27th, revoked on the 29th."""

    def act(verb: Callable[..., Permit], day: int, **more: str) -> None:
        with transaction(engine) as session:
            permit = session.get_one(Permit, issued.permit.id)
            head = actor_of(session, session.get_one(User, permit.signer_id))
            verb(session, permit.id, remark="Uji", actor=head, now=now + timedelta(days=day), **more)

    act(suspend_permit, 2, reason_code="sanction")
    act(reinstate_permit, 4)
    act(revoke_permit, 6, reason_code="own_request")
    with time_machine.travel(now + timedelta(days=8), tick=True):
        yield issued.permit


@pytest.mark.parametrize(
    ("day", "said"),
    [
        (22, "Pada 22 November 2026 izin ini belum berlaku"),
        (23, "Pada 23 November 2026 izin ini berlaku"),
        (25, "Pada 25 November 2026 izin ini dibekukan"),
        (26, "Pada 26 November 2026 izin ini dibekukan"),
        (27, "Pada 27 November 2026 izin ini berlaku"),
        (29, "Pada 29 November 2026 izin ini sudah dicabut"),
    ],
)
def test_a_day_is_answered_from_the_history(client: TestClient, lived: Permit, day: int, said: str) -> None:
    let_forms_pass(client)
    form = {"number": lived.number, **ISSUED_ON, **typed(day)}
    by_code = client.get(f"/v/{lived.code}", params=typed(day))
    by_number = client.post("/verify/number", data=form)
    for answer in (by_code, by_number):
        assert answer.status_code == 200
        assert said in answer.text
        assert "Hari ini izin ini sudah dicabut." in answer.text
        assert "canting-verdict--genuine" not in answer.text


def test_the_reason_is_that_of_the_day(client: TestClient, lived: Permit) -> None:
    suspended, active, today = (
        client.get(f"/v/{lived.code}", params=params).text for params in (typed(26), typed(28), {})
    )
    assert (SANCTION in suspended, OWN_REQUEST in suspended) == (True, False)
    assert (SANCTION in active, OWN_REQUEST in active) == (False, False)
    assert (SANCTION in today, OWN_REQUEST in today) == (False, True)


def test_a_day_to_come_is_told_as_what_would_be(
    client: TestClient, issued: cases.Issued, now: datetime
) -> None:
    with time_machine.travel(now, tick=True):
        page = client.get(f"/v/{issued.permit.code}", params=typed(24, 11, 2031)).text
    assert "Bila tidak ada perubahan, pada 24 November 2031 masa berlaku izin ini sudah berakhir" in page
    assert "Hari ini izin ini berlaku." in page


def test_what_is_no_day_is_said_at_its_field(client: TestClient, lived: Permit) -> None:
    answer = client.get(f"/v/{lived.code}", params=typed(31))
    assert answer.status_code == 422
    assert "Ketik tanggal lengkap, misalnya 23 11 2026." in answer.text
    assert "Izin sudah dicabut" in answer.text


def test_no_day_tells_of_a_code_that_is_unknown(client: TestClient) -> None:
    answer = client.get("/v/" + "0" * 26, params=typed(31))
    assert (answer.status_code, "Tidak ada di register" in answer.text) == (404, True)
