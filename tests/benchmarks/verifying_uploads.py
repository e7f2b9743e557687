"""Verification of an exact copy over HTTP, against what others do with the same file."""

import hashlib
import itertools
import subprocess
import tempfile
from http.client import HTTPConnection
from pathlib import Path

from measuring import Row, compare, medians
from place import Place
from pyhanko_peer import validate_plainly
from serving import server

from service.database import reading
from service.permits.register import find_by_document

ROUNDS = 15
BOUNDARY = "a-boundary-of-the-benchmarks"


def measure(place: Place, pdf: bytes) -> list[Row]:
    """Upload a permit, one at a time, and let pyHanko and Poppler validate it."""
    addresses = itertools.count(1)

    def hash_and_look_up() -> None:
        with reading(place.workshop.engine) as session:
            assert find_by_document(session, hashlib.sha256(pdf).hexdigest())

    with tempfile.NamedTemporaryFile(suffix=".pdf") as file, server(place.settings.data_folder) as port:
        Path(file.name).write_bytes(pdf)
        times = medians(
            {
                "upload": lambda: _verify(port, pdf, next(addresses)),
                "hash": hash_and_look_up,
                "pyhanko": lambda: validate_plainly(pdf, place.signer.chain),
                "pdfsig": lambda: subprocess.run(["pdfsig", file.name], capture_output=True, check=True),
            },
            rounds=ROUNDS,
        )
    peers = {
        "pyhanko": "pyHanko's `validate_pdf_signature`, in process",
        "pdfsig": "Poppler's `pdfsig`, a process for each file",
        "hash": "SHA-256 and one indexed look-up, in process",
    }
    return compare("Verify an upload over HTTP, one after the other", times, "upload", peers)


def _verify(port: int, pdf: bytes, client: int) -> None:
    answer = upload(port, pdf, client)
    assert b'"genuine"' in answer, answer[:300]


def upload(port: int, pdf: bytes, client: int) -> bytes:
    """Send the file as a client of its own, and return the answer.

    The service lets one address send only so many a minute.
    """
    body = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="izin.pdf"\r\n'
        "Content-Type: application/pdf\r\n\r\n"
    ).encode()
    headers = {
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        "X-Forwarded-For": f"10.0.{client // 256}.{client % 256}",
    }
    connection = HTTPConnection("127.0.0.1", port)
    connection.request(
        "POST", "/api/v1/verifications", body + pdf + f"\r\n--{BOUNDARY}--\r\n".encode(), headers
    )
    answer = connection.getresponse().read()
    connection.close()
    return answer
