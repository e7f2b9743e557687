"""The published PKI under `/pki/`: certificates, revocation lists, OCSP answers and time stamps.

Anyone may fetch them, and nobody must trust the way they came: every answer is signed.
"""

import base64
import json
from email.utils import format_datetime
from typing import Annotated, Any
from urllib.parse import unquote

from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import APIRouter, Depends, Header, Path, Request
from fastapi.responses import Response
from limits import RateLimitItemPerMinute

from keys.errors import KeyNotFound
from keys.store import OpenKey
from keys.timestamp import respond
from service.accounts.access import PUBLIC, Actor, allow
from service.accounts.limits import LimiterDep, client_address
from service.clock import now
from service.database import SessionDep
from service.errors import NotFound, TooLarge, Unavailable, UnsupportedFile, refusals
from service.pki.answers import Responders, answer_ocsp, find_answer
from service.pki.register import newest_list, seal_key_set
from service.pki.store import open_store
from service.web import BRIEF_CACHE, FROM_ANYWHERE, SettingsDep, cacheable

router = APIRouter(prefix="/pki", tags=["pki"])
Anyone = Annotated[Actor, allow(PUBLIC)]
Certificate = Annotated[str, Path(pattern=r"^(root|issuing|tsa|seal)(-[0-9]{1,3})?$", examples=["root"])]
Authority = Annotated[str, Path(pattern=r"^(root|issuing)(-[0-9]{1,3})?$", examples=["issuing"])]
CACHE = {"cache-control": "public, max-age=3600"}
TIME_STAMP_QUERY = "application/timestamp-query"
JWK_SET = "application/jwk-set+json"
OCSP_REQUEST, OCSP_RESPONSE = "application/ocsp-request", "application/ocsp-response"
QUERIES = RateLimitItemPerMinute(120, namespace="pki-query")
LARGEST_QUERY = 16 * 1024
"""Bytes of a query; a usual one has a hundred."""


class QueryTooLarge(TooLarge):
    code = "query_too_large"
    message_id = "Permintaan lebih besar dari 16 KiB. Kirim sidik (hash) dokumen, bukan dokumennya."
    message_en = "The query is larger than 16 KiB. Send the document's hash, not the document."


class NotAQuery(UnsupportedFile):
    code = "not_a_query"
    message_id = "Jenis isi harus application/timestamp-query (/pki/tsa) atau application/ocsp-request."
    message_en = "The media type must be application/timestamp-query (/pki/tsa) or application/ocsp-request."


async def read_query(request: Request) -> bytes:
    """Read a small binary body. Raises QueryTooLarge."""
    query = b""
    async for part in request.stream():
        query += part
        if len(query) > LARGEST_QUERY:
            raise QueryTooLarge
    return query


def limit_queries(request: Request, limiter: LimiterDep) -> None:
    """Refuse a flood of queries, each of which costs a signature. Raises TooManyRequests."""
    limiter.count(QUERIES, client_address(request))


def require_type(content_type: str, wanted: str) -> None:
    """Refuse a body of another media type. Raises NotAQuery."""
    if content_type.partition(";")[0].strip().lower() != wanted:
        raise NotAQuery


def binary_body(media_type: str) -> dict[str, Any]:
    """Describe a body of plain bytes to OpenAPI."""
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {"requestBody": {"required": True, "content": content}}


Query = Annotated[bytes, Depends(read_query)]


@router.get(
    "/{name}.pem",
    summary="Certificate as PEM",
    response_class=Response,
    responses={200: {"content": {"application/x-pem-file": {}}}},
)
def certificate_pem(_actor: Anyone, settings: SettingsDep, name: Certificate) -> Response:
    """Serve a certificate as PEM: `root`, `issuing`, `tsa` or `seal`, or a later generation (`tsa-2`)."""
    pem = _certificate(settings, name, Encoding.PEM)
    return Response(pem, media_type="application/x-pem-file", headers=CACHE)


@router.get(
    "/{name}.cer",
    summary="Certificate as DER",
    response_class=Response,
    responses={200: {"content": {"application/pkix-cert": {}}}},
)
def certificate_der(_actor: Anyone, settings: SettingsDep, name: Certificate) -> Response:
    """Serve a certificate as DER, the form that AIA addresses name (RFC 5280 §4.2.2.1)."""
    der = _certificate(settings, name, Encoding.DER)
    return Response(der, media_type="application/pkix-cert", headers=CACHE)


@router.get(
    "/seal.jwks",
    summary="Keys of offline tokens",
    response_class=Response,
    responses={200: {"content": {JWK_SET: {}}}, 304: {"description": "Not changed"}},
)
def seal_keys(
    _actor: Anyone,
    settings: SettingsDep,
    session: SessionDep,
    if_none_match: Annotated[str, Header(max_length=200)] = "",
) -> Response:
    """Serve the keys that sign the tokens in QR codes and the status lists, past ones too (RFC 7517 §5).

    A key whose certificate is revoked or suspended is listed with `revoked_at`, and proves nothing.
    """
    body = json.dumps(seal_key_set(session, open_store(settings))).encode()
    return cacheable(body, JWK_SET, if_none_match, FROM_ANYWHERE)


@router.get(
    "/{name}.crl",
    summary="Certificate revocation list",
    response_class=Response,
    responses={200: {"content": {"application/pkix-crl": {}}}, 304: {"description": "Not changed"}},
)
def revocation_list(
    _actor: Anyone,
    session: SessionDep,
    name: Authority,
    if_none_match: Annotated[str, Header(max_length=200)] = "",
) -> Response:
    """Serve an authority's newest revocation list as DER (RFC 5280 §4.2.1.13, RFC 2585 §4.2)."""
    newest = newest_list(session, name)
    if newest is None:
        raise NotFound
    return cacheable(newest.der, "application/pkix-crl", if_none_match)


@router.post(
    "/tsa",
    dependencies=[Depends(limit_queries)],
    summary="Time stamp",
    response_class=Response,
    responses={200: {"content": {"application/timestamp-reply": {}}}, **refusals(413, 415, 429, 503)},
    openapi_extra=binary_body(TIME_STAMP_QUERY),
)
def time_stamp(
    request: Request, _actor: Anyone, query: Query, content_type: Annotated[str, Header(max_length=200)] = ""
) -> Response:
    """Stamp a digest with the present time (RFC 3161 §3.4); the reply says what is wrong with a query."""
    require_type(content_type, TIME_STAMP_QUERY)
    keys = request.app.state.operations_keys
    if keys is None:
        raise Unavailable
    tsa: OpenKey = keys.tsa
    return Response(respond(query, tsa, now=now()), media_type="application/timestamp-reply")


@router.post(
    "/ocsp",
    dependencies=[Depends(limit_queries)],
    summary="Status of certificates",
    response_class=Response,
    responses={200: {"content": {OCSP_RESPONSE: {}}}, **refusals(413, 415, 429, 503)},
    openapi_extra=binary_body(OCSP_REQUEST),
)
def ocsp_post(
    request: Request,
    _actor: Anyone,
    session: SessionDep,
    query: Query,
    content_type: Annotated[str, Header(max_length=200)] = "",
) -> Response:
    """Tell whether certificates of ours are revoked (RFC 6960 appendix A.1), at this moment."""
    require_type(content_type, OCSP_REQUEST)
    return _ocsp(request, session, query)


@router.get(
    "/ocsp/{query:path}",
    dependencies=[Depends(limit_queries)],
    summary="Status of certificates, by an address",
    response_class=Response,
    responses={
        200: {"content": {OCSP_RESPONSE: {}}},
        304: {"description": "Not changed"},
        **refusals(429, 503),
    },
)
def ocsp_get(
    request: Request,
    _actor: Anyone,
    session: SessionDep,
    query: Annotated[str, Path(pattern=r"^M[A-Za-z0-9+/%=]{3,4095}$", examples=["MAA="])],
    if_none_match: Annotated[str, Header(max_length=200)] = "",
) -> Response:
    """The same with the query in base 64 at the address's end, which caches may keep for a moment.

    A query is a DER sequence, so its first letter is M. Where it asks about one certificate without a nonce,
    the answer was signed beforehand (RFC 5019).
    """
    try:
        der = base64.b64decode(unquote(query), validate=True)
    except ValueError:
        der = b""
    presigned = find_answer(session, der, now())
    if presigned is None:
        answer = _ocsp(request, session, der)
        answer.headers.update(BRIEF_CACHE)
        return answer
    headers = {"last-modified": format_datetime(presigned.this_update, usegmt=True)}
    return cacheable(presigned.der, OCSP_RESPONSE, if_none_match, headers)


def _ocsp(request: Request, session: SessionDep, query: bytes) -> Response:
    responders: Responders = request.app.state.responders
    return Response(answer_ocsp(session, query, responders, now()), media_type=OCSP_RESPONSE)


def _certificate(settings: SettingsDep, name: str, encoding: Encoding) -> bytes:
    try:
        certificates = open_store(settings).certificates(name)
    except KeyNotFound as error:
        raise NotFound from error
    return certificates[0].public_bytes(encoding)
