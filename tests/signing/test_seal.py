"""The offline token and the status list, read by an independent implementation of CWT and COSE."""

import base64
import hashlib
import io
import zlib
from dataclasses import replace
from datetime import timedelta

import cbor2
import cwt
import pikepdf
import pytest
import zxingcpp
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cwt import COSEKey
from documents import PERMIT
from pki import NOW, make_pki, throwaway_pki

from keys.cose import KEY_ID_SIZE, key_id
from signing.errors import SealUnavailable
from signing.render import render_document
from signing.seal import (
    LIST_SIZE,
    LONGEST_TEXT,
    ListedStatus,
    PermitFacts,
    seal_permit,
    seal_status_list,
)

SEAL = throwaway_pki().seal
ADDRESS = "https://izin.pekalongankota.go.id/status-lists/0"
FACTS = PermitFacts(
    number="500.16.7.2/0001/SIP-TK/XI/2026",
    code="7KQ2M9XD4TBVWHR38ZNCPF6A1E",
    type="SURAT IZIN PRAKTIK BIDAN",
    holder="Siti Contoh Rahmawati, S.Tr.Keb.",
    place="Klinik Pratama Contoh Sehat, Jalan Contoh Batik Nomor 1",
    begins=NOW,
    ends=NOW + timedelta(days=1826),
    data=PERMIT.data,
    list_address=ADDRESS,
    list_index=LIST_SIZE - 1,
)
LONGEST = replace(
    FACTS, **dict.fromkeys(("type", "holder", "place"), "Ẃ" * 200), number="5" * 45 + "/0001/SIP-TK/XII/2026"
)


def raw(token: str) -> bytes:
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def oracle_key() -> COSEKey:
    pem = SEAL.certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return COSEKey.from_pem(pem, kid=key_id(SEAL.certificate))


def read(message: bytes) -> dict[int, object]:
    """The claims of a message whose signature the library finds good."""
    payload = cwt.COSE.new().decode(message, oracle_key())
    claims: dict[int, object] = cbor2.loads(payload)
    return claims


def test_the_token_says_what_the_paper_says() -> None:
    claims = read(raw(seal_permit(FACTS, SEAL, issued_at=NOW)))
    assert claims == {
        2: FACTS.number,
        4: int(NOW.timestamp()) + 1826 * 86400,
        5: int(NOW.timestamp()),
        6: int(NOW.timestamp()),
        7: FACTS.code.encode(),
        -65537: FACTS.type,
        -65538: FACTS.holder,
        -65539: FACTS.place,
        -65540: claims[-65540],
        65535: {"status_list": {"idx": LIST_SIZE - 1, "uri": ADDRESS}},
    }


def test_a_permit_without_an_end_has_no_expiry() -> None:
    assert 4 not in read(raw(seal_permit(replace(FACTS, ends=None), SEAL, issued_at=NOW)))


def test_whoever_holds_the_file_finds_the_digest_of_its_data() -> None:
    claims = read(raw(seal_permit(FACTS, SEAL, issued_at=NOW)))
    with pikepdf.open(io.BytesIO(render_document(PERMIT))) as pdf:
        attached = pdf.attachments["permit.json"].get_file().read_bytes()
    assert claims[-65540] == hashlib.sha256(attached).digest()


def test_header_and_claims_are_deterministic_and_small() -> None:
    message = raw(seal_permit(FACTS, SEAL, issued_at=NOW))
    assert cbor2.dumps(cbor2.loads(message), canonical=True) == message
    protected, unprotected, _, signature = cbor2.loads(message).value
    assert cbor2.loads(protected) == {1: -7, 4: key_id(SEAL.certificate)}
    assert (unprotected, len(signature), len(key_id(SEAL.certificate))) == ({}, 64, KEY_ID_SIZE)


@pytest.mark.parametrize("facts", [FACTS, LONGEST])
def test_the_whole_address_fits_a_qr_code_whose_modules_a_phone_resolves(facts: PermitFacts) -> None:
    address = f"https://izin.pekalongankota.go.id/v/{facts.code}#{seal_permit(facts, SEAL, issued_at=NOW)}"
    symbol = zxingcpp.create_barcode(address, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    matrix = memoryview(symbol.to_image(scale=1, add_quiet_zones=False)).tolist()
    assert len(matrix) <= 113


def test_long_texts_end_in_an_ellipsis() -> None:
    claims = read(raw(seal_permit(LONGEST, SEAL, issued_at=NOW)))
    for name in (-65537, -65538, -65539):
        assert claims[name] == "Ẃ" * ((LONGEST_TEXT - 3) // 3) + "…"


def test_another_kind_of_key_seals_nothing() -> None:
    with pytest.raises(SealUnavailable):
        seal_permit(FACTS, make_pki(algorithm="p384").seal, issued_at=NOW)


def test_the_list_holds_two_bits_for_each_permit() -> None:
    statuses = [
        (0, ListedStatus.SUSPENDED),
        (3, ListedStatus.INVALID),
        (5, ListedStatus.SUPERSEDED),
        (LIST_SIZE - 1, ListedStatus.INVALID),
    ]
    message = seal_status_list(ADDRESS, statuses, SEAL, issued_at=NOW)
    assert cbor2.loads(cbor2.loads(message).value[0])[16] == "application/statuslist+cwt"
    claims = read(message)
    second = int(NOW.timestamp())
    listed = claims.pop(65533)
    assert claims == {2: ADDRESS, 6: second, 4: second + 7 * 86400, 65534: 60}
    assert listed["bits"] == 2  # type: ignore[index]
    bits = zlib.decompress(listed["lst"])  # type: ignore[index]
    # Token Status List §4.1: the lowest bits of a byte are the lowest index's.
    assert len(bits) == LIST_SIZE // 4
    assert {index: bits[index // 4] >> index % 4 * 2 & 3 for index in (0, 1, 3, 5, LIST_SIZE - 1)} == {
        0: 2, 1: 0, 3: 1, 5: 3, LIST_SIZE - 1: 1,
    }  # fmt: skip


def test_a_list_of_few_is_a_few_hundred_bytes() -> None:
    statuses = [(index * 1009, ListedStatus.INVALID) for index in range(10)]
    assert len(seal_status_list(ADDRESS, statuses, SEAL, issued_at=NOW)) < 1000
