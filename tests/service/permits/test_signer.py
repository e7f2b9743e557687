"""Opening a service of another house: whoever cannot sign there is told before a number is taken."""

from datetime import datetime, timedelta
from pathlib import Path

import outside
import pytest
from outside_bsre import BsreServer
from outside_csc import CscServer
from outside_desk import SIGN_HASH, STATUS, Desk, refusal_of
from sqlmodel import select

from service.applications.models import Application
from service.database import reading
from service.permits.models import Permit


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("EXPIRED", "signer_expired"),
        ("RENEW", "signer_renewing"),
        ("WAITING_FOR_VERIFICATION", "signer_waiting"),
        ("NEW", "signer_new"),
        ("NO_CERTIFICATE", "signer_no_certificate"),
        ("NOT_REGISTERED", "signer_not_registered"),
        ("SUSPEND", "signer_suspended"),
        ("REVOKE", "signer_revoked"),
        ("SOMETHING_ELSE", "outside_refused"),
    ],
)
def test_who_may_not_sign_at_bsre_is_told_before_a_number_is_taken(
    at_bsre: Desk, status: str, code: str
) -> None:
    assert isinstance(at_bsre.server, BsreServer)
    at_bsre.server.status = status
    case = at_bsre.case()
    assert refusal_of(lambda: at_bsre.sign(case)) == code
    assert at_bsre.server.asked == {STATUS: 1}
    assert_untouched(at_bsre, case)


def assert_untouched(desk: Desk, case: Application) -> None:
    with reading(desk.workshop.engine) as session:
        assert session.get_one(Application, case.id).state == "under_review"
        assert session.exec(select(Permit)).all() == []


def test_without_a_connection_no_number_is_taken(at_bsre: Desk, house: outside.House, now: datetime) -> None:
    case = at_bsre.case()
    assert isinstance(at_bsre.server, BsreServer)
    at_bsre.server.password = "diganti di sana"
    assert refusal_of(lambda: at_bsre.sign(case)) == "outside_access_denied"
    folder = Path(str(at_bsre.settings.outside_anchors))
    stale = house.write_trust(folder, now - timedelta(days=60))
    assert refusal_of(lambda: at_bsre.sign(case)) == "outside_trust_unusable"
    house.write_trust(stale, now)
    at_bsre.settings = at_bsre.settings.model_copy(update={"bsre_url": "http://127.0.0.1:9"})
    assert refusal_of(lambda: at_bsre.sign(case)) == "outside_unreachable"
    at_bsre.settings = at_bsre.settings.model_copy(update={"bsre_url": ""})
    assert refusal_of(lambda: at_bsre.sign(case)) == "no_outside_identity"
    assert_untouched(at_bsre, case)


def test_a_wrong_pin_is_tried_once(at_csc: Desk) -> None:
    assert refusal_of(lambda: at_csc.sign(at_csc.case(), "000000")) == "outside_passphrase_wrong"
    assert at_csc.server.asked["/csc/v2/credentials/authorize"] == 1
    assert at_csc.server.asked[SIGN_HASH] == 0


@pytest.mark.parametrize(
    ("key", "cert", "code"),
    [
        ("disabled", "valid", "signer_suspended"),
        ("enabled", "expired", "signer_expired"),
        ("enabled", "revoked", "signer_revoked"),
        ("enabled", "suspended", "signer_suspended"),
    ],
)
def test_a_credential_that_cannot_sign_is_told_before_a_number_is_taken(
    at_csc: Desk, key: str, cert: str, code: str
) -> None:
    assert isinstance(at_csc.server, CscServer)
    at_csc.server.key_status, at_csc.server.cert_status = key, cert
    case = at_csc.case()
    assert refusal_of(lambda: at_csc.sign(case)) == code
    assert_untouched(at_csc, case)
