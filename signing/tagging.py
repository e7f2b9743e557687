"""The structure tree of a tagged PDF (ISO 32000-1 §14.7, ISO 14289-1 §7)."""

from __future__ import annotations

from dataclasses import dataclass, field

from pikepdf import Array, Dictionary, Name, Object, Pdf, String


@dataclass(eq=False, slots=True)
class Element:
    """A structure element. Painting adds its ``marks``: (page index, marked-content identifier)."""

    kind: str
    alt: str | None = None
    attributes: dict[str, str] | None = None
    children: list[Element] = field(default_factory=list)
    marks: list[tuple[int, int]] = field(default_factory=list)
    bbox: tuple[float, float, float, float] | None = None
    """Left, bottom, right and top of a Figure on its page, in points."""

    def add(self, kind: str, *, alt: str | None = None, attributes: dict[str, str] | None = None) -> Element:
        """A new last child."""
        child = Element(kind, alt, attributes)
        self.children.append(child)
        return child


# Attribute objects by their owner (ISO 32000-1 §14.8.5).
ROW_HEADER = {"O": "/Table", "Scope": "/Row"}
DECIMAL_LIST = {"O": "/List", "ListNumbering": "/Decimal"}


def write_structure(pdf: Pdf, root: Element, *, widget: Object | None) -> None:
    """Write ``root`` as the document's structure tree; ``widget`` goes into its Form element.

    An element names the page that its text begins on, a mark on another page names its own. The parent tree
    has a key for each page, in order, and then one for the widget.
    """
    tree = pdf.make_indirect(Dictionary(Type=Name.StructTreeRoot))
    pages = [page.obj for page in pdf.pages]
    owners: list[list[Object]] = [[] for _ in pages]
    parents: list[Object] = []
    for index, page in enumerate(pages):
        page.StructParents = index
        page.Tabs = Name.S

    def write(element: Element, parent: Object) -> Object:
        written = pdf.make_indirect(Dictionary(Type=Name.StructElem, S=Name("/" + element.kind), P=parent))
        if element.alt is not None:
            written.Alt = String(element.alt)
        if attributes := _attributes(element):
            written.A = attributes
        kids: list[Object | int] = [write(child, written) for child in element.children]
        for page, mcid in element.marks:
            if page == element.marks[0][0]:
                written.Pg = pages[page]
                kids.append(mcid)
            else:
                kids.append(Dictionary(Type=Name.MCR, Pg=pages[page], MCID=mcid))
            owners[page].extend([written] * (mcid + 1 - len(owners[page])))
            owners[page][mcid] = written
        if element.kind == "Form" and widget is not None:
            kids.append(Dictionary(Type=Name.OBJR, Obj=widget, Pg=widget.P))
            parents.append(written)
        written.K = Array(kids)
        return written

    tree.K = write(root, tree)
    numbers: list[object] = []
    for index, owner in enumerate(owners):
        numbers += [index, pdf.make_indirect(Array(owner))]
    for key, parent in enumerate(parents, start=len(pages)):
        numbers += [key, parent]
    tree.ParentTree = pdf.make_indirect(Dictionary(Nums=Array(numbers)))
    tree.ParentTreeNextKey = len(pages) + len(parents)
    pdf.Root.StructTreeRoot = tree
    pdf.Root.MarkInfo = Dictionary(Marked=True)


def _attributes(element: Element) -> Object | None:
    if element.bbox is not None:
        return Dictionary(
            O=Name.Layout, Placement=Name.Block, BBox=Array([round(x, 2) for x in element.bbox])
        )
    if element.attributes is not None:
        return Dictionary({"/" + key: Name(value) for key, value in element.attributes.items()})
    return None
