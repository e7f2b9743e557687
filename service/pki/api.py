"""The published PKI: certificates under `/pki/`, which anyone may fetch and nobody must trust blindly."""

from typing import Annotated

from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import APIRouter, Path
from fastapi.responses import Response

from keys.errors import KeyNotFound
from keys.software import SoftwareKeyStore
from service.accounts.access import PUBLIC, Actor, allow
from service.errors import NotFound
from service.web import SettingsDep

router = APIRouter(prefix="/pki", tags=["pki"])
Anyone = Annotated[Actor, allow(PUBLIC)]
PUBLISHED = r"^(root|issuing|tsa|seal)$"
CACHE = {"cache-control": "public, max-age=3600"}


@router.get(
    "/{name}.pem",
    summary="Certificate as PEM",
    response_class=Response,
    responses={200: {"content": {"application/x-pem-file": {}}}},
)
def certificate_pem(
    _actor: Anyone, settings: SettingsDep, name: Annotated[str, Path(pattern=PUBLISHED, examples=["root"])]
) -> Response:
    """Serve a certificate as PEM: `root`, `issuing`, `tsa` or `seal`."""
    pem = _certificate(settings, name, Encoding.PEM)
    return Response(pem, media_type="application/x-pem-file", headers=CACHE)


@router.get(
    "/{name}.cer",
    summary="Certificate as DER",
    response_class=Response,
    responses={200: {"content": {"application/pkix-cert": {}}}},
)
def certificate_der(
    _actor: Anyone, settings: SettingsDep, name: Annotated[str, Path(pattern=PUBLISHED, examples=["root"])]
) -> Response:
    """Serve a certificate as DER, the form that AIA addresses name (RFC 5280 §4.2.2.1)."""
    der = _certificate(settings, name, Encoding.DER)
    return Response(der, media_type="application/pkix-cert", headers=CACHE)


def _certificate(settings: SettingsDep, name: str, encoding: Encoding) -> bytes:
    try:
        certificates = SoftwareKeyStore(settings.effective_keys_folder).certificates(name)
    except KeyNotFound as error:
        raise NotFound from error
    return certificates[0].public_bytes(encoding)
