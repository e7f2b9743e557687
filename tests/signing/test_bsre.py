"""Both shapes of BSrE's errors, and answers that are none."""

from datetime import datetime, timedelta

import outside
import pytest
from outside_bsre import BsreServer
from pki import NOW

from keys.errors import (
    OutcomeUnknown,
    OutsideError,
    OutsidePassphraseWrong,
    OutsideRefused,
    SignerNotReady,
)
from keys.outside import open_client
from signing import bsre


class Saying(BsreServer):
    """A service that says one thing."""

    def answer(self, *_: object) -> outside.Answer:
        return self.said


def told(status: int, body: dict[str, object]) -> OutsideError | bytes:
    server = Saying(house=None, clock=lambda: NOW)  # type: ignore[arg-type]
    server.said = (status, body)
    with outside.serving(server), open_client(server.url, seconds=5) as client:
        try:
            return bsre.sign_pdf(client, b"%PDF-", identity="a@b.c", passphrase="x", reason="r", location="l")
        except OutsideError as error:
            return error


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"status_code": 2031, "error": "Passphrase anda salah !!!"}, OutsidePassphraseWrong),
        (400, {"error": "Proses signing gagal : 2031", "status_code": 400}, OutsidePassphraseWrong),
        (200, {"error": "Proses signing gagal : 2031"}, OutsidePassphraseWrong),
        (500, {"error": "Proses signing gagal : 2031"}, OutsidePassphraseWrong),
        (400, {"error": "User tidak terdaftar 2011", "status_code": 400}, SignerNotReady),
        (400, {"error": "Field wajib 4014", "status_code": 400}, OutsideRefused),
        (400, {"error": "Data salah 4015", "status_code": 400}, OutsideRefused),
        (400, {"error": "sesuatu yang baru"}, OutsideRefused),
        (500, {"error": "Internal Server Error"}, OutcomeUnknown),
        (504, {"status": 504, "error": "Gateway Timeout"}, OutcomeUnknown),
        (200, {"time": 1}, OutcomeUnknown),
        (200, {"time": 1, "file": []}, OutcomeUnknown),
        (200, {"time": 1, "file": ["%%%"]}, OutcomeUnknown),
        (200, {"time": 1, "file": ["QUJD", "QUJD"]}, OutcomeUnknown),
    ],
)
def test_an_answer_is_read_by_its_code(
    status: int, body: dict[str, object], kind: type[OutsideError]
) -> None:
    assert type(told(status, body)) is kind


def test_nothing_of_what_a_service_says_is_repeated() -> None:
    error = told(400, {"error": "kanari 4015", "passphrase": "kanari"})
    assert "kanari" not in str(error)
    assert told(200, {"time": 1, "file": ["QUJD"]}) == b"ABC"


def test_who_is_asked_for_is_named_by_number_or_address() -> None:
    begins: datetime = NOW - timedelta(days=1)
    server = BsreServer(house=None, clock=lambda: begins)  # type: ignore[arg-type]
    with (
        outside.serving(server),
        open_client(server.url, seconds=5, auth=(server.user, server.password)) as client,
    ):
        bsre.require_ready(client, outside.NIK)
        bsre.require_ready(client, "pejabat@contoh.invalid")
        server.status = "REVOKE"
        with pytest.raises(SignerNotReady) as refusal:
            bsre.require_ready(client, outside.NIK)
    assert refusal.value.code == "signer_revoked"
