"""The signer's process by its parts: a real socket, real keys, and what it refuses."""

import hashlib
import os
import socket
import struct
import threading
from dataclasses import replace
from datetime import timedelta

import cases
import pytest
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from pki import FAST, NOW

from keys import cose, profiles
from keys.algorithms import generate_key
from keys.authority import Subject, issue_certificate
from keys.cms import DATA, TST_INFO, sign_content
from keys.errors import KeyClosed, KeyNotFound, PurposeRefused, SignerNotFound
from keys.frames import LONGEST_FRAME, receive_frame, send_frame
from keys.ocsp import CertStatus, respond
from keys.purposes import STATUS_LIST
from keys.remote import RemoteKeyVault
from keys.revocation import build_crl
from keys.signer import AnotherSigner, Signer, listen, serve
from keys.software import SoftwareKeyStore
from keys.timestamp import local_timestamper

PASSPHRASE = "kunci ruang arsip"
ORIGIN = "izin.contoh.invalid/log"
CHECKPOINT = f"{ORIGIN}\n7\n{'A' * 43}=\n".encode()


@pytest.fixture
def signer(tmp_path):
    keys = SoftwareKeyStore(tmp_path / "keys", cost=FAST)
    cases.hold(keys, keys, NOW - timedelta(days=1), operations=PASSPHRASE)
    told = []
    signer = Signer(
        keys, PASSPHRASE, frozenset({os.geteuid()}), ORIGIN, lambda: NOW, lambda *event: told.append(event)
    )
    signer.told = told
    signer.open_keys()
    return signer


@pytest.fixture
def path(tmp_path):
    return tmp_path / "signer.sock"


@pytest.fixture
def vault(signer, path):
    """The keys as another process has them, over a socket that a thread serves."""
    with serving(signer, path):
        yield RemoteKeyVault(path)


class serving:  # noqa: N801 - read as a `with` statement
    def __init__(self, signer, path):
        self.signer, self.path = signer, path

    def __enter__(self):
        self.listening = listen(self.path)
        self.thread = threading.Thread(target=serve, args=(self.signer, self.listening))
        self.thread.start()

    def __exit__(self, *_error):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listening.close()


def opened(vault, name):
    return vault.open_key(name, "", now=NOW)


def test_the_keys_of_the_service_are_asked_for_and_no_others(vault):
    assert vault.names() == ("issuing", "log", "ocsp", "seal", "tsa")
    assert len(vault.certificates("tsa")) == 3
    assert vault.certificates("log") == ()
    for name in ("root", "official-kepala", "tsa-2", "custodian-satu"):
        with pytest.raises(KeyNotFound):
            vault.certificates(name)


def test_a_time_stamp_is_signed(vault):
    tsa = opened(vault, "tsa")
    token = cms.ContentInfo.load(local_timestamper(tsa, lambda: NOW).stamp(bytes(32)))

    info = token["content"]["signer_infos"][0]
    data = info["signed_attrs"].untag().dump()
    tsa.certificate.public_key().verify(info["signature"].native, data, ec.ECDSA(SHA256()))


@pytest.mark.parametrize("distance", [timedelta(minutes=2), timedelta(minutes=-2), timedelta(hours=-12)])
def test_no_time_stamp_of_another_time_is_signed(vault, distance):
    with pytest.raises(PurposeRefused, match="another time"):
        local_timestamper(opened(vault, "tsa"), lambda: NOW + distance).stamp(bytes(32))


def test_a_closed_key_stamps_no_more(vault):
    with opened(vault, "tsa") as tsa:
        pass
    with pytest.raises(KeyClosed):
        local_timestamper(tsa, lambda: NOW).stamp(bytes(32))


def test_no_attributes_of_a_content_that_is_not_shown_are_signed(vault):
    tsa = opened(vault, "tsa")

    with pytest.raises(PurposeRefused):
        sign_content(tsa, TST_INFO, bytes(32))
    with pytest.raises(PurposeRefused, match="another content"):
        sign_content(tsa, TST_INFO, bytes(32), content=b"0\x00")
    with pytest.raises(PurposeRefused):
        sign_content(tsa, DATA, hashlib.sha256(b"isi").digest(), content=b"isi")


def test_a_revocation_list_of_the_authority_is_signed(vault):
    issuing = opened(vault, "issuing")
    der = build_crl(issuing, [], number=1, this_update=NOW, next_update=NOW + timedelta(days=7))

    assert x509.load_der_x509_crl(der).is_signature_valid(issuing.certificate.public_key())


@pytest.mark.parametrize(
    ("begins", "lasts"), [(timedelta(days=-2), timedelta(days=7)), (timedelta(0), timedelta(days=400))]
)
def test_no_revocation_list_of_another_time_is_signed(vault, begins, lasts):
    with pytest.raises(PurposeRefused):
        build_crl(
            opened(vault, "issuing"), [], number=1, this_update=NOW + begins, next_update=NOW + begins + lasts
        )


def test_no_certificate_is_signed(vault):
    """Not for the issuing CA's key, whatever else it may sign."""
    public_key = generate_key().public_key()
    with pytest.raises(PurposeRefused):
        issue_certificate(profiles.OFFICIAL, Subject("Palsu"), public_key, opened(vault, "issuing"), now=NOW)


def test_no_list_of_another_authority_is_signed(vault, signer):
    root = SoftwareKeyStore(signer.keys.folder).open_key("root", cases.ROOT_PASSPHRASE, now=NOW)
    impostor = replace(root, sign=opened(vault, "issuing").sign)
    with pytest.raises(PurposeRefused, match="another authority"):
        build_crl(impostor, [], number=1, this_update=NOW, next_update=NOW + timedelta(days=7))


def ocsp_answer(vault, now=NOW, lasts=timedelta(hours=1)):
    seal, issuing, _ = vault.certificates("seal")
    request = ocsp.OCSPRequestBuilder().add_certificate(seal, issuing, SHA256()).build()
    responder = opened(vault, "ocsp")
    query = request.public_bytes(Encoding.DER)
    return respond(query, lambda _: responder, lambda _: CertStatus(True), now=now, next_update=now + lasts)


def test_an_ocsp_answer_is_signed(vault):
    answer = ocsp.load_der_ocsp_response(ocsp_answer(vault))
    key = vault.certificates("ocsp")[0].public_key()
    key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(SHA256()))


@pytest.mark.parametrize(
    ("now", "lasts"), [(NOW + timedelta(hours=1), timedelta(hours=1)), (NOW, timedelta(days=30))]
)
def test_no_ocsp_answer_of_another_time_is_signed(vault, now, lasts):
    with pytest.raises(PurposeRefused):
        ocsp_answer(vault, now, lasts)


def test_a_checkpoint_of_the_log_is_signed(vault):
    log = vault.open_bare_key("log", "", now=NOW)
    log.public_key.verify(log.sign(CHECKPOINT), CHECKPOINT)


@pytest.mark.parametrize(
    "data",
    [
        CHECKPOINT.replace(ORIGIN.encode(), b"lain.invalid/log"),
        CHECKPOINT + b"tambahan\n",
        CHECKPOINT.replace(b"\n7\n", b"\n07\n"),
        CHECKPOINT[:-1],
        b"",
    ],
)
def test_nothing_but_a_checkpoint_is_signed_by_the_logs_key(vault, data):
    with pytest.raises(PurposeRefused):
        vault.open_bare_key("log", "", now=NOW).sign(data)


def test_a_documents_digest_is_signed_by_the_seal(vault):
    seal = opened(vault, "seal")
    message = cms.ContentInfo.load(sign_content(seal, DATA, bytes(32)))
    assert message["content"]["signer_infos"][0]["signature"].native
    with pytest.raises(PurposeRefused):
        sign_content(seal, TST_INFO, hashlib.sha256(b"isi").digest(), content=b"isi")
    with pytest.raises(PurposeRefused):
        sign_content(seal, DATA, bytes(20))


@pytest.mark.parametrize("name", ["tsa", "ocsp", "issuing", "seal"])
@pytest.mark.parametrize(
    "data", [b"", b"data", CHECKPOINT, b"\x30\x80", b"\x31\x00", b"\x30\x84" + bytes(64)]
)
def test_no_key_signs_what_it_cannot_read(vault, name, data):
    with pytest.raises(PurposeRefused):
        opened(vault, name).sign(data)


def ask(path, question):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        send_frame(connection, question)
        return receive_frame(connection)


@pytest.mark.parametrize("purpose", ["revocation_list", "document", "certificate", "log_checkpoint", ""])
def test_a_key_is_for_its_purpose_alone(vault, path, purpose):
    question = {"ask": "sign", "key": "tsa", "purpose": purpose, "data": "", "content": ""}
    assert ask(path, question)["error"] == "purpose_refused"


def offline_token(vault, *, issued_at=NOW, media_type=None, **claims):
    seal = opened(vault, "seal")
    payload = cose.encode(
        {6: int(issued_at.timestamp())} | {int(name[1:]): each for name, each in claims.items()}
    )
    return cose.sign1(seal, payload, media_type)


def test_the_seal_signs_tokens_and_lists_of_this_moment(vault):
    assert offline_token(vault)
    assert offline_token(vault, media_type=STATUS_LIST, _4=int(NOW.timestamp()) + 7 * 86400)


@pytest.mark.parametrize(
    "asked",
    [
        {"issued_at": NOW - timedelta(minutes=2)},
        {"media_type": STATUS_LIST},
        {"media_type": STATUS_LIST, "_4": int(NOW.timestamp()) + 8 * 86400},
        {"media_type": STATUS_LIST, "_4": int(NOW.timestamp())},
        {"media_type": "application/cwt"},
    ],
)
def test_the_seal_signs_no_token_of_another_time_or_kind(vault, asked):
    with pytest.raises(PurposeRefused):
        offline_token(vault, **asked)


@pytest.mark.parametrize(
    "data",
    [
        cose.SIGNED_BEGINS,
        cose.encode(["Signature1", b"", b"", b""]),
        cose.encode(["Signature1", cose.encode({1: -7, 4: bytes(8)}), b"", cose.encode({6: 0})]),
        cose.encode(["Signature1", cose.encode({1: -7}), b"beside", cose.encode({6: 0})]),
    ],
)
def test_the_seal_signs_no_other_message(vault, data):
    with pytest.raises(PurposeRefused):
        opened(vault, "seal").sign(data)


@pytest.mark.parametrize(
    "question",
    [{}, {"ask": "keys"}, {"ask": "sign", "key": "tsa"}, {"ask": "names", "key": 7, "more": []} | {"ask": 7}],
)
def test_a_question_that_is_none_is_refused(vault, path, question):
    assert ask(path, question)["error"] == "purpose_refused"
    assert vault.names()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\x00",
        struct.pack("!I", LONGEST_FRAME + 1),
        struct.pack("!I", 4) + b"null",
        struct.pack("!I", 100) + b"{}",
        struct.pack("!I", 3) + b"\xff\xff\xff",
        struct.pack("!I", 200_000) + b"[" * 200_000,
    ],
)
def test_what_is_no_frame_ends_its_connection_alone(vault, path, signer, sent):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""
    assert vault.names()
    assert ("question_lost", {"kind": "FrameRefused"}) in signer.told


def test_another_user_is_refused_before_anything_is_read(signer, path):
    signer.users = frozenset({os.geteuid() + 1})
    with serving(signer, path), pytest.raises(SignerNotFound):
        RemoteKeyVault(path).names()
    assert signer.told[-1] == ("user_refused", {"user": os.geteuid()})


def test_the_socket_is_for_its_owner_and_group(vault, path):
    assert path.stat().st_mode & 0o777 == 0o660


def test_every_signature_is_told_without_a_secret(vault, signer):
    log = vault.open_bare_key("log", "", now=NOW)
    log.sign(CHECKPOINT)
    log.sign(CHECKPOINT)
    with pytest.raises(PurposeRefused):
        log.sign(b"lain")

    digest = hashlib.sha256(CHECKPOINT).hexdigest()
    first, second, refused = signer.told
    assert first == ("signed", {"key": "log", "purpose": "log_checkpoint", "sha256": digest, "number": 1})
    assert second[1]["number"] == 2
    assert refused[0] == "signature_refused"
    assert PASSPHRASE not in repr(signer.told)


def test_a_signer_that_was_started_again_is_found_at_once(signer, path):
    with serving(signer, path):
        log = RemoteKeyVault(path).open_bare_key("log", "", now=NOW)
        assert log.sign(CHECKPOINT)
    with pytest.raises(SignerNotFound):
        log.sign(CHECKPOINT)
    with serving(signer, path):
        assert log.sign(CHECKPOINT)


def test_two_signers_do_not_share_a_socket(vault, path):
    with pytest.raises(AnotherSigner):
        listen(path)


def test_keys_are_not_made_through_the_signer(vault):
    with pytest.raises(PurposeRefused):
        vault.generate_key("tsa-2", "p256", "", now=NOW)
    with pytest.raises(PurposeRefused):
        vault.add_certificates("tsa", vault.certificates("seal"), "", now=NOW)
    with pytest.raises(PurposeRefused):
        vault.change_passphrase("tsa", "", "sandi yang baru", now=NOW)


def test_responders_are_certified_anew_before_they_end(signer, vault):
    before = vault.certificates("ocsp")
    signer.now = lambda: NOW + timedelta(days=40)
    signer.renew_responders()

    after = vault.certificates("ocsp")
    assert after != before
    assert after[0].not_valid_after_utc > before[0].not_valid_after_utc + timedelta(days=30)


def test_the_public_keys_are_those_of_the_store(vault, signer):
    own = signer.keys.open_bare_key("log", PASSPHRASE, now=NOW).public_key
    remote = vault.open_bare_key("log", "", now=NOW).public_key
    assert remote.public_bytes(Encoding.Raw, PublicFormat.Raw) == own.public_bytes(
        Encoding.Raw, PublicFormat.Raw
    )
