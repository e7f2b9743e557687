"""The errors of `signing`. Each class states a fact and carries a stable `code`."""

from typing import ClassVar


class SigningError(Exception):
    """The root of every error this package raises on purpose."""

    code: ClassVar[str] = "signing_error"


class SignerCertificateNotValid(SigningError):
    """The signer's certificate is not valid at the time of signing."""

    code = "signer_certificate_not_valid"


class SignerCertificateUnsuitable(SigningError):
    """The signer's certificate does not allow signing documents (RFC 5280 §4.2.1.3)."""

    code = "signer_certificate_unsuitable"


class TimestampUnavailable(SigningError):
    """No usable time stamp could be had; nothing was signed."""

    code = "timestamp_unavailable"


class SealUnavailable(SigningError):
    """The agency's seal could not sign a token or a list: its key is another kind, or cannot be had now."""

    code = "seal_unavailable"


class SignatureDoesNotFit(SigningError):
    """The signature with its time stamp is larger than the room reserved for it."""

    code = "signature_does_not_fit"


class AlreadySigned(SigningError):
    """The document carries a signature already; another would break its certification."""

    code = "already_signed"


class ReturnedDocumentRefused(SigningError):
    """A signing service returned something other than the document that it was sent, signed as expected.

    `reasons` are those of validation, or `other_content`, `several_signatures`, `other_signer`,
    `other_issuer`.
    """

    code = "returned_document_refused"

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__(f"The returned document is not accepted: {', '.join(reasons)}.")
        self.reasons = reasons


class NothingToExtend(SigningError):
    """The document lacks the signature or the time stamp that long-term data would preserve."""

    code = "nothing_to_extend"


class UnreadableDocument(SigningError):
    """The bytes cannot be read as a PDF document, or only with leniency that a signature must not need."""

    code = "unreadable_document"


class IncompleteDocument(SigningError):
    """The document lacks a number, code, address or date that only a preview may lack."""

    code = "incomplete_document"


class UnprintableText(SigningError):
    """A character of the text has no glyph in the fonts of the page; it must not vanish silently."""

    code = "unprintable_text"

    def __init__(self, characters: str) -> None:
        named = ", ".join(f"U+{ord(each):04X}" for each in characters)
        super().__init__(f"The page cannot show these characters of the text: {named}.")
        self.characters = characters
