"""What each key of the service may sign. A signer's process looks at the bytes before it signs them.

Each check reads strictly, in DER, and takes the time from the signer's own clock: whoever took over the
asking process can have no certificate signed, no time stamp of another day, no list of another authority.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from asn1crypto import cms, crl, ocsp, tsp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from keys import cose, store
from keys.cms import DATA, TST_INFO
from keys.errors import PurposeRefused
from keys.profiles import TIMESTAMP_POLICY

CLOCKS_DIFFER = timedelta(minutes=1)
"""How far the time in what is signed may lie from the signer's own."""
LONGEST_LIST = timedelta(days=31)
"""How long a revocation list may speak."""
LONGEST_ANSWER = timedelta(hours=24)
"""How long an OCSP answer may speak."""
LONGEST_STATUS_LIST = timedelta(days=7)
"""How long a list of permits' statuses may speak."""
STATUS_LIST = "application/statuslist+cwt"
_ISSUED_AT, _EXPIRES = 6, 4
"""Claims of a CWT (RFC 8392 §3.1)."""
_DIGESTS = {32: "sha256", 48: "sha384", 64: "sha512"}
_ATTRIBUTES = {"content_type", "message_digest", "signing_certificate_v2"}


@dataclass(frozen=True)
class Asked:
    """What a key shall sign, and what that speaks of.

    `data` is signed; `content` is what a CMS message encapsulates, whose digest stands in `data`.
    `certificate` is the key's, None for a bare key's; `origin` the log's (C2SP tlog-checkpoint).
    """

    data: bytes
    content: bytes
    certificate: x509.Certificate | None
    origin: str
    now: datetime


def require_time_stamp(asked: Asked) -> None:
    """The signed attributes of a TSTInfo (RFC 3161 §2.4.2) of this moment, under our policy."""
    digest = _read_attributes(asked, TST_INFO)
    if hashlib.new(_DIGESTS[len(digest)], asked.content).digest() != digest:
        raise PurposeRefused("The attributes are another content's.")
    info = tsp.TSTInfo.load(asked.content, strict=True)
    if info["policy"].dotted != TIMESTAMP_POLICY.dotted_string:
        raise PurposeRefused("The time stamp is under another policy.")
    _require_present(info["gen_time"].native, asked.now)


def require_document(asked: Asked) -> None:
    """The signed attributes of a detached document (RFC 5652 §5.4), whose digest is all that is known."""
    _read_attributes(asked, DATA)
    if asked.content:
        raise PurposeRefused("A document is signed by its digest alone.")


def require_offline_token(asked: Asked) -> None:
    """The Sig_structure (RFC 9052 §4.4) of a permit's token, or of a list of statuses, of this moment."""
    header, payload = cose.read_signed(asked.data)
    assert asked.certificate is not None
    expected = cose.header(asked.certificate)
    claims = cose.decode(payload)
    _require_present(datetime.fromtimestamp(claims[_ISSUED_AT], UTC), asked.now)
    if header == expected:
        return
    if header != expected | {cose.TYPE: STATUS_LIST}:
        raise PurposeRefused("The header names another key, or another kind of token.")
    if not 0 < claims[_EXPIRES] - claims[_ISSUED_AT] <= LONGEST_STATUS_LIST.total_seconds():
        raise PurposeRefused("The list speaks for too long.")


def require_revocation_list(asked: Asked) -> None:
    """A revocation list (RFC 5280 §5.1.2) of this authority, from this moment, that ends soon enough."""
    listed = crl.TbsCertList.load(asked.data, strict=True)
    this_update, next_update = listed["this_update"].native, listed["next_update"].native
    if listed["version"].native != "v2" or asked.certificate is None:
        raise PurposeRefused("The revocation list is not one of version 2.")
    if listed["issuer"].dump() != asked.certificate.subject.public_bytes():
        raise PurposeRefused("The revocation list is another authority's.")
    _require_present(this_update, asked.now)
    if not this_update < next_update <= this_update + LONGEST_LIST:
        raise PurposeRefused("The revocation list speaks for too long.")


def require_ocsp_response(asked: Asked) -> None:
    """An OCSP answer (RFC 6960 §4.2.1) of this responder, from this moment, that ends soon enough."""
    answer = ocsp.ResponseData.load(asked.data, strict=True)
    assert asked.certificate is not None
    key_id = asked.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    if answer["responder_id"].name != "by_key" or answer["responder_id"].native != key_id:
        raise PurposeRefused("The answer is another responder's.")
    _require_present(answer["produced_at"].native, asked.now)
    for each in answer["responses"]:
        this_update, next_update = each["this_update"].native, each["next_update"].native
        _require_present(this_update, asked.now)
        if next_update is None or not this_update < next_update <= this_update + LONGEST_ANSWER:
            raise PurposeRefused("The answer speaks for too long.")


def require_log_checkpoint(asked: Asked) -> None:
    """The body of a checkpoint (C2SP tlog-checkpoint) of this log: origin, size and root hash."""
    pattern = re.escape(asked.origin.encode()) + rb"\n(0|[1-9][0-9]{0,18})\n[A-Za-z0-9+/]{43}=\n"
    if not re.fullmatch(pattern, asked.data):
        raise PurposeRefused("This is not a checkpoint of the log.")


PURPOSES: dict[str, dict[str, Callable[[Asked], None]]] = {
    store.TSA: {"time_stamp": require_time_stamp},
    store.OCSP: {"ocsp_response": require_ocsp_response},
    store.ISSUING: {"revocation_list": require_revocation_list},
    store.LOG: {"log_checkpoint": require_log_checkpoint},
    store.SEAL: {"document": require_document, "offline_token": require_offline_token},
}
"""By the key's name without its generation: what may be asked of it. Nothing else is signed."""


def kind_of(name: str) -> str:
    """Return a key's name without its generation: `tsa` for `tsa-2`."""
    return re.sub(r"-[0-9]+$", "", name)


def purpose_of(name: str, data: bytes) -> str:
    """Return for what a key would sign this: the seal's two kinds begin differently, other keys have one.

    Signed attributes are a SET in DER, a Sig_structure is an array in CBOR.
    """
    purposes: list[str] = [*PURPOSES.get(kind_of(name), {"none": None})]
    return purposes[-1] if data.startswith(cose.SIGNED_BEGINS) else purposes[0]


def require_purpose(name: str, purpose: str, asked: Asked) -> None:
    """Raise PurposeRefused unless the key may sign this."""
    check = PURPOSES.get(kind_of(name), {}).get(purpose)
    if check is None:
        raise PurposeRefused("The key is not for this purpose.")
    try:
        check(asked)
    except PurposeRefused:
        raise
    except Exception:  # Whatever a check stumbles over is nothing that the service asks for.
        raise PurposeRefused("What shall be signed cannot be read.") from None


def _read_attributes(asked: Asked, content_type: str) -> bytes:
    """Return the message digest of signed attributes. Raises PurposeRefused, or ValueError and its like."""
    attributes = cms.CMSAttributes.load(asked.data, strict=True)
    values = {each["type"].native: each["values"] for each in attributes}
    if len(attributes) != len(_ATTRIBUTES) or set(values) != _ATTRIBUTES:
        raise PurposeRefused("The attributes are not those that the service signs.")
    if any(len(each) != 1 for each in values.values()):
        raise PurposeRefused("An attribute has several values.")
    if values["content_type"][0].dotted != content_type:
        raise PurposeRefused("The attributes are of another kind of content.")
    assert asked.certificate is not None
    named = values["signing_certificate_v2"][0]["certs"][0]["cert_hash"].native
    if named != hashlib.sha256(asked.certificate.public_bytes(Encoding.DER)).digest():
        raise PurposeRefused("The attributes name another certificate.")
    digest: bytes = values["message_digest"][0].native
    if len(digest) not in _DIGESTS:
        raise PurposeRefused("The digest is of no kind that the service makes.")
    return digest


def _require_present(moment: datetime, now: datetime) -> None:
    if abs(moment.astimezone(UTC) - now) > CLOCKS_DIFFER:
        raise PurposeRefused("It speaks of another time.")
