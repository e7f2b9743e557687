"""The national authority's signing service: BSrE's eSign Client Service, version 2, inside the city.

It takes a whole PDF and returns it signed; the certificate is not known before. Written from public client
programmes and answers, for the official paper is given out on request only: see docs/operations.md.
"""

import base64
import re
from binascii import Error as NotBase64
from typing import Any

import httpx2

from keys.errors import (
    OutcomeUnknown,
    OutsideError,
    OutsidePassphraseWrong,
    OutsideRefused,
    SignerNotReady,
)
from keys.outside import ask

ISSUER = "Badan Siber dan Sandi Negara"
"""The organisation that issuers of its certificates name."""

READY = "ISSUE"
_STATES = {
    "EXPIRED": "signer_expired",
    "RENEW": "signer_renewing",
    "WAITING_FOR_VERIFICATION": "signer_waiting",
    "NEW": "signer_new",
    "NO_CERTIFICATE": "signer_no_certificate",
    "NOT_REGISTERED": "signer_not_registered",
    "SUSPEND": "signer_suspended",
    "REVOKE": "signer_revoked",
}
_NOT_REGISTERED, _WRONG_PASSPHRASE = 2011, 2031
_LAST_NUMBER = re.compile(r"(\d{4})\D*$")


def require_ready(client: httpx2.Client, identity: str) -> None:
    """Ask for the official's state; only ISSUE may sign. `identity` is a NIK or an e-mail address.

    Raises SignerNotReady, OutsideRefused for a state not known, and what `ask` raises.
    """
    status, answer = ask(client, "/api/v2/user/check/status", _signer(identity))
    state = str(answer.get("status"))
    if status == 200 and state == READY:
        return
    if status == 200 and state in _STATES:
        raise SignerNotReady(_STATES[state])
    raise _refusal(status, answer, is_act=False)


def sign_pdf(
    client: httpx2.Client, pdf: bytes, *, identity: str, passphrase: str, reason: str, location: str
) -> bytes:
    """Have a PDF signed, invisibly: the page shows everything already. One request, whatever happens.

    Raises OutsidePassphraseWrong, SignerNotReady, OutsideRefused, OutcomeUnknown, and what `ask` raises. What
    comes back is judged by nobody here.
    """
    status, answer = ask(
        client,
        "/api/v2/sign/pdf",
        {
            **_signer(identity),
            "passphrase": passphrase,
            "signatureProperties": [{"tampilan": "INVISIBLE", "reason": reason, "location": location}],
            "file": [base64.b64encode(pdf).decode()],
        },
        is_act=True,
    )
    files = answer.get("file")
    if status != 200 or "error" in answer:
        raise _refusal(status, answer, is_act=True)
    if not isinstance(files, list) or len(files) != 1:
        raise OutcomeUnknown("The signing service's answer holds no document.")
    try:
        return base64.b64decode(str(files[0]), validate=True)
    except (NotBase64, ValueError):
        raise OutcomeUnknown("The signing service's answer holds no readable document.") from None


def _signer(identity: str) -> dict[str, str]:
    return {"email" if "@" in identity else "nik": identity}


def _refusal(status: int, answer: dict[str, Any], *, is_act: bool) -> OutsideError:
    """Read both shapes of an error: the code is `status_code`, or the last number of the text."""
    code = _code(answer)
    if code == _WRONG_PASSPHRASE:
        return OutsidePassphraseWrong("The signing service refused the passphrase.")
    if code == _NOT_REGISTERED:
        return SignerNotReady("signer_not_registered")
    if code is None and status >= 500 and is_act:
        return OutcomeUnknown(f"The signing service failed while signing (HTTP {status}).")
    return OutsideRefused(f"The signing service refused the request ({code or f'HTTP {status}'}).")


def _code(answer: dict[str, Any]) -> int | None:
    """Return BSrE's own code of four digits; `status_code` may hold HTTP's instead."""
    code = answer.get("status_code")
    if isinstance(code, int) and code >= 1000:
        return code
    found = _LAST_NUMBER.search(str(answer.get("error", "")))
    return int(found[1]) if found else None
