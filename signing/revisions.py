"""Judges what later revisions changed of a signed one, and reads no more of it than that takes.

pyHanko judges (ISO 32000-2 §12.8.2.2). Before it does, it reads every object of the signed revision, to find
all the places where one that was replaced is used: a rule may approve a replacement in one place alone. But
what archiving replaces, the catalogue and a page, is approved wherever it is used, if at all.
"""

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
