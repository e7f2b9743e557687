"""Judges what later revisions changed of a signed one, and reads no more of it than that takes.

pyHanko judges (ISO 32000-2 §12.8.2.2). Before it does, it reads every object of the signed revision, to find
all the places where one that was replaced is used: a rule may approve a replacement in one place alone. But
what archiving replaces, the catalogue and a page, is approved wherever it is used, if at all. Reading also
stops pyHanko where an object is missing, so that none can be brought later; that is looked for here.
"""

import io
import re
from typing import Any

import pikepdf
from pyhanko.pdf_utils.generic import Reference
from pyhanko.pdf_utils.reader import HistoricalResolver, PdfFileReader, RawPdfPath
from pyhanko.sign.diff_analysis import (
    DEFAULT_DIFF_POLICY,
    DiffPolicy,
    DiffResult,
    ModificationLevel,
    SuspiciousModification,
)
from pyhanko.sign.fields import FieldMDPSpec, MDPPerm

_BETWEEN = rb"(?:[\0\t\n\f\r ]++|%[^\r\n]*+)++"
_REFERENCE = re.compile(rb"(?<!\d)(\d++)" + _BETWEEN + rb"[+-]?\d++" + _BETWEEN + rb"R")
"""A reference (ISO 32000-2 §7.3.10), whatever white space and comments stand in it (§7.2.3, §7.2.4)."""
_END = b"%%EOF"


class UpdatePolicy(DiffPolicy):
    """Lets pyHanko judge without reading the signed revision, and again after reading it if that fails.

    Not knowing never makes a modification pass, nor seem less than it is: a replaced object is approved only
    by a rule that holds wherever it is used, and that rule holds with the places known too.
    """

    def review_file(
        self,
        reader: PdfFileReader,
        base_revision: int | HistoricalResolver,
        field_mdp_spec: FieldMDPSpec | None = None,
        doc_mdp: MDPPerm | None = None,
    ) -> DiffResult | SuspiciousModification:
        """Judge each revision after the signed one. Raises what pyHanko's parsers do."""
        unread = _UnreadRevision(reader, base_revision)
        if _lacks_nothing(reader, unread.revision):
            found = DEFAULT_DIFF_POLICY.review_file(reader, unread, field_mdp_spec, doc_mdp)
            if isinstance(found, DiffResult) and found.modification_level <= ModificationLevel.LTA_UPDATES:
                return found
        return DEFAULT_DIFF_POLICY.review_file(reader, base_revision, field_mdp_spec, doc_mdp)


class _UnreadRevision(HistoricalResolver):
    """A signed revision whose objects were not searched for each other: any may be used anywhere."""

    def _load_reverse_xref_cache(self) -> None:
        pass

    def _get_usages_of_ref(self, ref: Reference) -> set[RawPdfPath]:
        # The trailer itself and its entry for the catalogue: there no rule approves a replacement. They are
        # two, since rules also ask whether an object is used in several places.
        return set() if self.is_ref_unassignable(ref) else {RawPdfPath(), RawPdfPath("/Root")}


def _lacks_nothing(reader: PdfFileReader, revision: int) -> bool:
    """Tell whether a revision surely refers to no object beyond its own, which an update could bring.

    Its objects must lie open in the file, for the references to be seen, and be written so that qpdf finds
    nothing odd in them, for no reader to see others.
    """
    tables: Any = reader.xrefs
    if any(tables.object_streams_used_in(each) for each in range(revision + 1)):
        return False
    newest = tables.get_xref_container_info(revision)
    content = reader.stream.getvalue()
    signed = content[: content.index(_END, newest.end_location) + len(_END)]
    if any(int(number) >= newest.size for number in _REFERENCE.findall(signed)):
        return False
    try:
        with pikepdf.open(io.BytesIO(signed), attempt_recovery=False, suppress_warnings=True) as document:
            list(document.objects)  # qpdf warns of what it reads, and reads what it is asked for.
            return not document.get_warnings()
    except pikepdf.PdfError:
        return False
