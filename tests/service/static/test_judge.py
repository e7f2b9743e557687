"""What the verify pages' script says of tokens and lists, good and hostile, sealed by the service's code."""

import base64
import json
import shutil
import subprocess
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import cbor2
import pytest
from pki import NOW, make_pki, throwaway_pki
from postgres import require

from keys import cose
from keys.purposes import STATUS_LIST
from signing.seal import LIST_SIZE, ListedStatus, PermitFacts, seal_permit, seal_status_list

ROOT = Path(__file__).parents[3]
SEAL, OTHER = throwaway_pki().seal, make_pki().seal
KEYS = {"keys": [cose.public_jwk((OTHER.certificate,)), cose.public_jwk((SEAL.certificate, *SEAL.chain))]}
REVOKED = {"keys": [each | {"revoked_at": 1} for each in KEYS["keys"]]}
ADDRESS = "https://izin.contoh.invalid/status-lists/0"
CODE = "7KQ2M9XD4TBVWHR38ZNCPF6A1E"
SECOND = int(NOW.timestamp())
DAY = 86400
FACTS = PermitFacts(
    number="500.16.7.2/0001/SIP-TK/XI/2026",
    code=CODE,
    type="SURAT IZIN PRAKTIK BIDAN",
    holder="Siti Contoh, A.Md.Keb.",
    place="Puskesmas Contoh, Jalan Contoh Nomor 2",
    begins=NOW,
    ends=NOW + timedelta(days=365),
    data={},
    list_address=ADDRESS,
    list_index=77,
)
TOKEN = seal_permit(FACTS, SEAL, issued_at=NOW)


def status_list(*statuses: tuple[int, ListedStatus], address: str = ADDRESS) -> str:
    return seal_status_list(address, statuses, SEAL, issued_at=NOW).hex()


NOTHING_LISTED = status_list((76, ListedStatus.INVALID), (78, ListedStatus.SUSPENDED))


def asked(**more: Any) -> dict[str, Any]:
    plain = {"token": TOKEN, "code": CODE, "now": SECOND + DAY, "keys": KEYS, "list": NOTHING_LISTED}
    return plain | more


def judge(cases: Sequence[dict[str, Any]]) -> list[Any]:
    # Where the machine has none, the set-up has fetched it to build the scripts.
    node = shutil.which("node") or ROOT / ".venv/nodejs/bin/node"
    require(Path(node).exists(), "Node is not installed")
    runner = Path(__file__).with_name("judging.mjs")
    run = subprocess.run([node, runner], input=json.dumps(cases), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    answers: list[Any] = json.loads(run.stdout)
    return answers


def raw(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def text(message: bytes) -> str:
    return base64.urlsafe_b64encode(message).rstrip(b"=").decode()


def listed(claims: dict[int, Any]) -> str:
    return cose.sign1(SEAL, cose.encode(claims), STATUS_LIST).hex()


def incomplete_claims() -> list[dict[int, Any]]:
    """Claims that our key signed, though one is missing or of another type."""
    claims = cbor2.loads(cbor2.loads(raw(TOKEN)).value[2])
    missing = [{name: each for name, each in claims.items() if name != left} for left in claims if left != 4]
    wrong = [{2: 7}, {4: -1}, {5: "now"}, {7: CODE}, {65535: {}}, {-65538: b"S"}, {-65540: "0"}]
    wrong.append({65535: {"status_list": {"idx": "77", "uri": ADDRESS}}})
    return [*missing, *[claims | each for each in wrong]]


NONE_LISTED = {"bits": 2, "lst": zlib.compress(bytes(LIST_SIZE // 4))}
LISTED = {2: ADDRESS, 4: SECOND + 7 * DAY, 6: SECOND, 65534: 60}
VERDICTS: dict[str, list[dict[str, Any]]] = {
    "valid": [{}, {"token": seal_permit(replace(FACTS, ends=None), SEAL, issued_at=NOW)}],
    "expired": [{"now": SECOND + 365 * DAY, "list": NOTHING_LISTED}],
    "not_yet_valid": [
        {"token": seal_permit(replace(FACTS, begins=NOW + timedelta(days=2)), SEAL, issued_at=NOW)}
    ],
    "suspended": [{"list": status_list((77, ListedStatus.SUSPENDED))}],
    "superseded": [{"list": status_list((77, ListedStatus.SUPERSEDED))}],
    "revoked": [
        {"list": status_list((77, ListedStatus.INVALID))},
        {"list": status_list((77, ListedStatus.INVALID)), "now": SECOND + 90 * DAY},
        {"list": status_list((77, ListedStatus.INVALID)), "now": SECOND + 900 * DAY},
    ],
    "stale_snapshot": [
        {"now": SECOND + 7 * DAY + 1},
        {"now": SECOND + 9 * DAY, "list": listed(LISTED | {4: SECOND + 99 * DAY, 65533: NONE_LISTED})},
        {"now": SECOND + 9 * DAY, "list": status_list((77, ListedStatus.SUSPENDED))},
        {"list": listed(LISTED | {4: SECOND + DAY - 1, 65533: NONE_LISTED})},
    ],
    "no_snapshot": [{"list": None}],
    "bad_snapshot": [
        {"list": ""},
        {"list": raw(TOKEN).hex()},
        {"list": NOTHING_LISTED[:-2] + "00"},
        {"list": status_list(address="https://izin.contoh.invalid/status-lists/1")},
        {"list": listed(LISTED)},
        {"list": cose.sign1(SEAL, cose.encode(LISTED | {65533: NONE_LISTED}), "application/cwt").hex()},
        {"list": listed(LISTED | {65533: NONE_LISTED | {"bits": 1}})},
        {"list": listed(LISTED | {65533: {"bits": 2, "lst": zlib.compress(bytes(LIST_SIZE // 4 - 1))}})},
        {"list": listed(LISTED | {65533: {"bits": 2, "lst": zlib.compress(bytes(1 << 26))}})},
        {"list": listed(LISTED | {65533: {"bits": 2, "lst": b"no deflate"}})},
        {"list": listed(LISTED | {6: "today", 65533: NONE_LISTED})},
    ],
    "clock": [
        {"now": SECOND - DAY},
        {"now": SECOND - 601},
        {"list": listed(LISTED | {6: SECOND + DAY + 601, 65533: NONE_LISTED})},
    ],
    "unknown_key": [{"keys": {"keys": KEYS["keys"][:1]}}, {"keys": {"keys": []}}],
    "revoked_key": [{"keys": REVOKED}],
    "no_keys": [{"keys": None}],
    "other_permit": [{"code": "0" * 26}, {"code": CODE[::-1]}],
    "missing": [{"token": ""}],
    "oversized": [{"token": TOKEN * 5}],
    "failed": [{"keys": {}}, {"keys": {"keys": [KEYS["keys"][1] | {"x": "AA"}]}}],
    "malformed": [
        {"token": "rusak"},
        {"token": TOKEN[:-1]},
        {"token": TOKEN + "A"},
        {"token": TOKEN[:40] + "%" + TOKEN[41:]},
        {"token": text(bytes.fromhex(NOTHING_LISTED))},
        {"token": text(raw(TOKEN)[1:])},
        {"token": text(cose.sign1(SEAL, b""))},
        {"token": text(cose.sign1(SEAL, cose.encode([1])))},
        *[{"token": text(cose.sign1(SEAL, cose.encode(each)))} for each in incomplete_claims()],
    ],
}  # fmt: skip


def test_every_verdict_is_reached_and_no_other() -> None:
    cases = [(verdict, asked(**more)) for verdict, every in VERDICTS.items() for more in every]
    found = judge([each for _, each in cases])
    assert [answer["verdict"] for answer in found] == [verdict for verdict, _ in cases]
    trusted = {
        "valid", "expired", "not_yet_valid", "suspended", "superseded", "revoked", "clock",
        "stale_snapshot", "no_snapshot", "bad_snapshot",
    }  # fmt: skip
    for (verdict, _), answer in zip(cases, found, strict=True):
        # What a signature does not vouch for is never shown.
        assert answer["holder"] == (FACTS.holder if verdict in trusted else None), verdict


def test_a_place_beyond_the_list_is_no_good_answer() -> None:
    token = seal_permit(replace(FACTS, list_index=LIST_SIZE), SEAL, issued_at=NOW)
    assert judge([asked(token=token)])[0]["verdict"] == "malformed"


def test_no_altered_token_says_anything() -> None:
    whole = raw(TOKEN)
    changed = {
        bytes([*whole[:at], whole[at] ^ bit, *whole[at + 1 :]])
        for at in range(len(whole))
        for bit in (1, 128)
    }
    changed |= {whole[:at] for at in range(0, len(whole), 7)}
    changed |= {whole[:at] + b"\x00" + whole[at:] for at in range(0, len(whole), 7)}
    found = judge([asked(token=text(each)) for each in sorted(changed)])
    assert {answer["verdict"] for answer in found} == {"bad_signature", "malformed", "unknown_key", "missing"}
    assert {answer["holder"] for answer in found} == {None}


def test_a_token_has_one_spelling() -> None:
    """Of the last letter some bits stand for nothing; they are no second way to write a token."""
    padded = next(
        token
        for place in ("", "A", "AB")
        if len(raw(token := seal_permit(replace(FACTS, place=place), SEAL, issued_at=NOW))) % 3
    )
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = padded[:-1] + letters[letters.index(padded[-1]) + 1]
    assert raw(other) == raw(padded)
    assert [answer["verdict"] for answer in judge([asked(token=padded), asked(token=other)])] == [
        "valid",
        "malformed",
    ]


def test_a_foreign_key_under_our_name_is_refused() -> None:
    payload = cbor2.loads(raw(TOKEN)).value[2]
    protected = cose.encode({1: -7, 4: cose.key_id(SEAL.certificate)})
    forged = cbor2.loads(cose.sign1(OTHER, payload)).value
    message = cose.encode(cbor2.CBORTag(18, [protected, {}, payload, forged[3]]))
    assert judge([asked(token=text(message))])[0]["verdict"] == "bad_signature"


@pytest.mark.parametrize(
    ("header", "unprotected"),
    [
        ({1: -35, 4: cose.key_id(SEAL.certificate)}, {}),
        ({1: -7, 4: cose.key_id(SEAL.certificate), 2: [99]}, {}),
        ({1: -7, 4: cose.key_id(SEAL.certificate)}, {4: b"other"}),
        ({4: cose.key_id(SEAL.certificate)}, {1: -7}),
        ({1: -7, 4: "text"}, {}),
        ({1: -7}, {}),
    ],
)
def test_another_header_is_malformed(header: dict[int, Any], unprotected: dict[int, Any]) -> None:
    _, _, payload, signature = cbor2.loads(raw(TOKEN)).value
    message = cose.encode(cbor2.CBORTag(18, [cose.encode(header), unprotected, payload, signature]))
    assert judge([asked(token=text(message))])[0]["verdict"] == "malformed"


DETERMINISTIC = [
    0, 23, 24, 255, 256, 65535, 65536, 2**32, 2**53 - 1, -1, -24, -25, -(2**33), b"", b"x" * 300, "", "Ẃ…",
    [], [[[[1]]]], {}, {1: 2, 65535: 3, -65537: "a"}, {"idx": 1, "uri": 2, "bits": {}}, cbor2.CBORTag(18, []),
]  # fmt: skip
REFUSED = [
    "", "18", "1817", "190018", "1a00000001", "1b0000000000000001", "1bffffffffffffffff",
    "3bffffffffffffffff",
    "5f41004100ff", "9f01ff", "bf0101ff", "f4", "f6", "f97e00", "fb3ff0000000000000", "1c", "5801", "62c328",
    "a201020102", "a2020101ff", "a2020101", "a20201010102", "a1420102", "a1810101", "0000", "81" * 9 + "00",
    "9bffffffffffffffff", "5bffffffffffffffff", "bb7fffffffffffffff", "7affffffff",
]  # fmt: skip


def test_the_script_reads_what_we_write_and_nothing_else() -> None:
    written = judge([{"cbor": cose.encode(each).hex()} for each in DETERMINISTIC])
    assert written == ["read"] * len(DETERMINISTIC)
    refused = judge([{"cbor": each} for each in REFUSED])
    assert dict(zip(REFUSED, refused, strict=True)) == {
        each: "TypeError" if each == "62c328" else "RangeError" for each in REFUSED
    }


def test_only_addresses_of_this_service_are_followed() -> None:
    origins = ["http://127.0.0.1:8000", "https://izin.contoh.invalid"]
    ours = f"/v/{CODE}#{TOKEN}"
    scanned = {
        f"https://izin.contoh.invalid{ours}": ours,
        f"http://127.0.0.1:8000{ours}": ours,
        f"https://izin.contoh.invalid/v/{CODE}": f"/v/{CODE}",
        f"http://izin.contoh.invalid{ours}": None,
        f"https://izin.contoh.invalid.evil.example{ours}": None,
        f"https://izin.contoh.invalid@evil.example{ours}": None,
        f"https://izin.contoh.invalid:444{ours}": None,
        f"https://izin.contoh.invalid/v/{CODE}/../../sign-out": None,
        "https://izin.contoh.invalid/sign-out": None,
        f"javascript:alert(1)//v/{CODE}": None,
        "500.16.7.2/0001": None,
        "": None,
    }
    found = judge([{"scanned": each, "origins": origins} for each in scanned])
    assert dict(zip(scanned, found, strict=True)) == scanned
