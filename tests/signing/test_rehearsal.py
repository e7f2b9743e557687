"""An examiner that could not tell a good document from a bad one would not start."""

import pytest

from signing import rehearsal
from signing.rehearsal import rehearse
from signing.sign import sign_document


def test_what_is_rehearsed_with_passes() -> None:
    rehearse()


def test_what_was_altered_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def sign_and_alter(page: bytes, *arguments: object, **options: object) -> bytes:
        signed = sign_document(page, *arguments, **options)  # type: ignore[arg-type]
        return signed.replace(b"612 792", b"612 793", 1)

    monkeypatch.setattr(rehearsal, "sign_document", sign_and_alter)
    with pytest.raises(RuntimeError, match="hash_failure"):
        rehearse()
