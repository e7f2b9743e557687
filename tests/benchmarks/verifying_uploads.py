"""Verification of a file, against what others do with it: answered over HTTP when known, and examined."""

import itertools
import subprocess
import tempfile
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

from measuring import Row, compare, medians
from place import Place
from pyhanko_peer import validate_plainly
from serving import server

from service.clock import now
from service.database import reading
from service.pki.register import current_lists
from service.verification.sandbox import Sandbox

ROUNDS = 15
BOUNDARY = "a-boundary-of-the-benchmarks"


def measure(place: Place, pdf: bytes) -> list[Row]:
    """Upload an archived permit (B-LTA) again and again; examine it, and let pyHanko and Poppler do so."""
    return [*_answer(place, pdf), *_examine(place, pdf)]


def _answer(place: Place, pdf: bytes) -> list[Row]:
    clients = itertools.count(1)
    folder = place.settings.data_folder

    def verify(port: int) -> None:
        answer = upload(port, "/api/v1/verifications", pdf, next(clients))
        assert b'"genuine"' in answer, answer[:300]

    with server(folder) as port, server(folder, is_bare=True) as bare:
        times = medians(
            {
                "upload": lambda: verify(port),
                "bare": lambda: upload(bare, "/verifications", pdf, 1),
            },
            rounds=ROUNDS,
        )
    peers = {"bare": "a bare FastAPI route: SHA-256 and one indexed look-up"}
    return compare("Verify an exact copy over HTTP, examined before", times, "upload", peers)


def _examine(place: Place, pdf: bytes) -> list[Row]:
    with reading(place.workshop.engine) as session:
        lists = current_lists(session)
    anchors = place.settings.effective_keys_folder
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file, closing(Sandbox(anchors)) as sandbox:
        Path(file.name).write_bytes(pdf)

        def examine() -> None:
            findings = sandbox.examine(pdf, now(), lists).findings
            assert findings is not None
            assert findings["report"]["indication"] == "TOTAL-PASSED"

        times = medians(
            {
                "examine": examine,
                "pyhanko": lambda: validate_plainly(pdf, place.signer.chain),
                "pdfsig": lambda: subprocess.run(["pdfsig", file.name], capture_output=True, check=True),
            },
            rounds=ROUNDS,
        )
    peers = {
        "pdfsig": "Poppler's `pdfsig`, a process for each file",
        "pyhanko": "pyHanko's `validate_pdf_signature` of the first signature, in process",
    }
    return compare("Examine a permit (B-LTA) completely in a child process", times, "examine", peers)


def upload(port: int, path: str, pdf: bytes, client: int) -> bytes:
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
    connection.request("POST", path, body + pdf + f"\r\n--{BOUNDARY}--\r\n".encode(), headers)
    answer = connection.getresponse().read()
    connection.close()
    return answer
