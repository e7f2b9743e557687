"""LibPDF (`@libpdf/core`) in one warm Node process, driven line by line over a pipe."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from pyhanko_peer import validate_plainly

from keys.algorithms import PrivateKey
from keys.store import OpenKey

ROOT = Path(__file__).parents[2]
PASSWORD = "sandi berkas ukur"


@contextmanager
def libpdf_signer(key: OpenKey, private_key: PrivateKey, page: bytes) -> Iterator[Callable[[], float]]:
    """Yield what signs the page once at level B-B and returns its seconds, the pipe not counted.

    The key goes over in a file below a folder of its own, as it would to any other programme.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "page.pdf").write_bytes(page)
        (folder / "key.p12").write_bytes(
            pkcs12.serialize_key_and_certificates(
                b"key",
                private_key,
                key.certificate,
                key.chain[:-1],
                BestAvailableEncryption(PASSWORD.encode()),
            )
        )
        signed = folder / "signed.pdf"
        script = ROOT / "tests/benchmarks/peers/libpdf.mjs"
        command = [_node(), script, folder / "page.pdf", folder / "key.p12", PASSWORD, signed]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            asked, answers = process.stdin, process.stdout
            assert asked is not None
            assert answers is not None
            if answers.readline() != "ready\n":
                raise RuntimeError("LibPDF does not run.")
            if not validate_plainly(signed.read_bytes(), key.chain):
                raise RuntimeError("What LibPDF signs is not valid.")

            def sign() -> float:
                asked.write("sign\n")
                asked.flush()
                return float(answers.readline()) / 1000

            yield sign
            asked.close()


def _node() -> str | Path:
    return shutil.which("node") or ROOT / ".venv/nodejs/bin/node"
