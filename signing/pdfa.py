"""What makes a PDF a PDF/A-3a (ISO 19005-3) and PDF/UA-1 (ISO 14289-1) file besides its tagged pages."""

from datetime import date
from functools import cache
from xml.sax.saxutils import escape

from pikepdf import Array, Dictionary, Name, Pdf, Stream, String
from PIL import ImageCms

PERMIT_DATA, RECEIPT_DATA = "permit.json", "receipt.json"
"""The names of what is attached to a permit or letter, and to a verification receipt."""

_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" \
xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:pdf="http://ns.adobe.com/pdf/1.3/" \
xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/" xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>{author}</rdf:li></rdf:Seq></dc:creator>
<dc:language><rdf:Bag><rdf:li>{language}</rdf:li></rdf:Bag></dc:language>
{created}<xmp:CreatorTool>Canting</xmp:CreatorTool>
<pdfaid:part>3</pdfaid:part><pdfaid:conformance>A</pdfaid:conformance><pdfuaid:part>1</pdfuaid:part>
</rdf:Description>
<rdf:Description rdf:about="" xmlns:pdfaExtension="http://www.aiim.org/pdfa/ns/extension/" \
xmlns:pdfaSchema="http://www.aiim.org/pdfa/ns/schema#" \
xmlns:pdfaProperty="http://www.aiim.org/pdfa/ns/property#">
<pdfaExtension:schemas><rdf:Bag><rdf:li rdf:parseType="Resource">
<pdfaSchema:schema>PDF/UA identification schema</pdfaSchema:schema>
<pdfaSchema:namespaceURI>http://www.aiim.org/pdfua/ns/id/</pdfaSchema:namespaceURI>
<pdfaSchema:prefix>pdfuaid</pdfaSchema:prefix>
<pdfaSchema:property><rdf:Seq><rdf:li rdf:parseType="Resource">
<pdfaProperty:name>part</pdfaProperty:name><pdfaProperty:valueType>Integer</pdfaProperty:valueType>
<pdfaProperty:category>internal</pdfaProperty:category>
<pdfaProperty:description>Part of ISO 14289 that the file follows</pdfaProperty:description>
</rdf:li></rdf:Seq></pdfaSchema:property></rdf:li></rdf:Bag></pdfaExtension:schemas></rdf:Description>
</rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def describe(pdf: Pdf, *, title: str, author: str, created: date | None, language: str) -> None:
    """Set title, language and metadata. /Info goes: XMP is the one place, so the two cannot differ."""
    packet = _XMP.format(
        title=escape(title),
        author=escape(author),
        language=language,
        created=f"<xmp:CreateDate>{created.isoformat()}</xmp:CreateDate>\n" if created else "",
    )
    if "/Info" in pdf.trailer:
        del pdf.trailer["/Info"]
    pdf.Root.Metadata = pdf.make_indirect(Stream(pdf, packet.encode(), Type=Name.Metadata, Subtype=Name.XML))
    pdf.Root.Lang = String(language)
    pdf.Root.ViewerPreferences = Dictionary(DisplayDocTitle=True)


def set_output_intent(pdf: Pdf) -> None:
    """All colours are sRGB (ISO 19005-3 §6.2.3)."""
    profile = Stream(pdf, _srgb_profile(), N=3)
    intent = Dictionary(
        Type=Name.OutputIntent,
        S=Name.GTS_PDFA1,
        OutputConditionIdentifier=String("sRGB"),
        Info=String("sRGB IEC61966-2.1"),
        DestOutputProfile=pdf.make_indirect(profile),
    )
    pdf.Root.OutputIntents = Array([pdf.make_indirect(intent)])


@cache
def _srgb_profile() -> bytes:
    # Bytes 24 to 35 hold the time the profile was made, which would give each process its own bytes.
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made[:24] + b"\x07\xea\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00" + made[36:]


def attach_data(pdf: Pdf, name: str, content: bytes, modified: date | None) -> None:
    """Attach the data the page was made from, as JSON (ISO 19005-3 §6.8 and annex E)."""
    parameters = Dictionary(Size=len(content))
    if modified:
        parameters.ModDate = String(f"D:{modified:%Y%m%d}")
    file = pdf.make_stream(
        content, Type=Name.EmbeddedFile, Subtype=Name("/application/json"), Params=parameters
    )
    specification = pdf.make_indirect(
        Dictionary(
            Type=Name.Filespec,
            F=String(name),
            UF=String(name),
            Desc=String("Data izin" if name == PERMIT_DATA else "Data bukti pemeriksaan"),
            AFRelationship=Name.Data,
            EF=Dictionary(F=file, UF=file),
        )
    )
    names = Array([String(name), specification])
    pdf.Root.Names = Dictionary(EmbeddedFiles=Dictionary(Names=names))
    pdf.Root.AF = Array([specification])
