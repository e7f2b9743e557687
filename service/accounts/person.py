"""What a person types about themselves: name and e-mail address, checked the same way everywhere."""

import re
import unicodedata

from service.errors import FieldProblem

LONGEST_NAME = 120
LONGEST_EMAIL = 254
_LOCAL_PART = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(rf"{_LOCAL_PART}@{_LABEL}(?:\.{_LABEL})+")


def clean_name(text: str) -> str:
    """Return the name with its spaces in order (NFC, no control characters)."""
    printable = "".join(" " if unicodedata.category(char)[0] == "C" else char for char in text)
    return " ".join(unicodedata.normalize("NFC", printable).split())


def clean_email(text: str) -> str:
    """Return the address in lower case, as it is stored and compared."""
    return text.strip().lower()


def problems_with_name(name: str) -> list[FieldProblem]:
    if not name:
        return [FieldProblem("full_name", "missing", "Isi nama lengkap.", "Enter the full name.")]
    if len(name) > LONGEST_NAME:
        return [
            FieldProblem(
                "full_name",
                "too_long",
                f"Nama lengkap paling banyak {LONGEST_NAME} karakter.",
                f"The full name may have at most {LONGEST_NAME} characters.",
            )
        ]
    if not any(char.isalpha() for char in name):
        return [
            FieldProblem(
                "full_name",
                "not_a_name",
                "Nama lengkap harus memuat huruf.",
                "The full name must contain letters.",
            )
        ]
    return []


def problems_with_email(email: str) -> list[FieldProblem]:
    if not email:
        return [FieldProblem("email", "missing", "Isi alamat surel.", "Enter the e-mail address.")]
    if len(email) > LONGEST_EMAIL or len(email.partition("@")[0]) > 64 or not _EMAIL.fullmatch(email):
        return [
            FieldProblem(
                "email",
                "not_an_email",
                "Tulis alamat surel seperti nama@contoh.id.",
                "Write the e-mail address like name@example.id.",
            )
        ]
    return []
