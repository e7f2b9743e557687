"""What every incremental update of a document has in common (ISO 32000-2 §7.5.6)."""

from collections.abc import Coroutine
from typing import TypeVar

from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import InvisSigSettings

_Result = TypeVar("_Result")

# PDF/A wants every annotation printable and none hidden, PDF/UA every one inside the page tagged or
# hidden: only an annotation outside the page satisfies both (ISO 19005-3 §6.3.2, ISO 14289-1 §7.18.1).
INVISIBLE = InvisSigSettings(set_print_flag=True, set_hidden_flag=False, box_out_of_bounds=True)


class UpdateWriter(IncrementalPdfFileWriter):
    """An incremental writer that leaves the metadata as they were rendered.

    pyHanko's own would stamp the wall clock into /Info and rewrite the XMP packet, for every signature.
    """

    def _update_meta(self) -> None:
        pass


def run(coroutine: Coroutine[object, None, _Result]) -> _Result:
    """Run pyHanko's coroutine to its end without an event loop: with nothing to fetch it never waits."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: _Result = finished.value
        return result
    coroutine.close()
    raise RuntimeError("The operation waits for something outside this process.")
