"""The form of an evidence bundle: a ZIP whose files are listed with their SHA-256, the list sealed.

The same files give the same bytes: names are sorted, times fixed, nothing is compressed.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping

MANIFEST = "SHA256SUMS"
"""Lines as `sha256sum --check` reads them, sorted by path."""
MANIFEST_SEAL = f"{MANIFEST}.p7s"
"""The seal over the manifest, a detached CMS message."""
SEAL_TIME = f"{MANIFEST}.tst"
"""The TimeStampToken over the seal."""
BEGINNING_OF_ZIP = (1980, 1, 1, 0, 0, 0)


def write_manifest(digests: Mapping[str, str]) -> bytes:
    """Write the manifest of files by their path and SHA-256 (hex)."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items())).encode()


def digest_of(data: bytes) -> str:
    """Return the SHA-256 (hex) that a manifest lists."""
    return hashlib.sha256(data).hexdigest()


class _Outlet(io.RawIOBase):
    """What a ZIP is written to, piece by piece: it keeps only what was not taken yet."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        self._written += data
        return len(data)

    def take(self) -> bytes:
        taken, self._written = bytes(self._written), bytearray()
        return taken


def stream_zip(files: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """Yield the bytes of a ZIP of the files, in their order, holding one of them at a time."""
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w") as archive:
        for path, data in files:
            entry = zipfile.ZipInfo(path, BEGINNING_OF_ZIP)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, data)
            yield outlet.take()
    yield outlet.take()
