"""What programmes that know nothing of the service say of a permit: OpenSSL and poppler."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from asn1crypto import cms


def check_outside(permit: Path, root: Path) -> list[str]:
    """Have every tool at hand judge the permit's signature; return what each accepted.

    Raises AssertionError when one refuses it, or when there is none.
    """
    accepted = []
    if shutil.which("openssl"):
        accepted.append(_openssl(permit, root))
    if shutil.which("pdfsig"):
        accepted.append(_pdfsig(permit, root))
    assert accepted, "neither openssl nor pdfsig is installed"
    return accepted


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command[:3])}: {done.stdout}{done.stderr}"
    return done.stdout


def _openssl(permit: Path, root: Path) -> str:
    """Take the signature out of the PDF (ISO 32000-2 §12.8.1) and verify it as CMS, up to the root."""
    data = permit.read_bytes()
    found = re.findall(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]", data)
    start, length, after, rest = map(int, found[0])
    assert after + rest == len(data), "the signature does not cover the whole file"
    contents = bytes.fromhex(data[start + length : after].strip(b"<>").decode())
    container = cms.ContentInfo.load(contents).dump()  # Without the zeros that fill the room.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "signed").write_bytes(data[start : start + length] + data[after:])
        (folder / "signature").write_bytes(container)
        _run(
            "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(folder / "signature"),
            "-content", str(folder / "signed"), "-CAfile", str(root), "-purpose", "any",
            "-out", "/dev/null",
        )  # fmt: skip
    return "openssl cms -verify -CAfile root.pem"


def _pdfsig(permit: Path, root: Path) -> str:
    """Have poppler judge it; with NSS's tools at hand also the certificate, by the root alone."""
    if not shutil.which("certutil"):
        said = _run("pdfsig", "-nocert", str(permit))
        assert "Signature is Valid" in said, said
        assert "Total document signed" in said, said
        return "pdfsig -nocert"
    with tempfile.TemporaryDirectory() as folder:
        _run("certutil", "-N", "-d", f"sql:{folder}", "--empty-password")
        _run("certutil", "-A", "-d", f"sql:{folder}", "-n", "root", "-t", "CT,C,C", "-i", str(root))
        said = _run("pdfsig", "-nssdir", f"sql:{folder}", str(permit))
    assert "Signature is Valid" in said, said
    assert "Certificate is Trusted" in said, said
    return "pdfsig -nssdir"
