import pytest

from signing.fonts import text_width
from signing.layout import BODY, PAGE_HEIGHT, Row, balanced_lines, break_lines, fit, paginate, paragraph_rows
from signing.tagging import Element

WORDS = "Kepala Dinas Penanaman Modal dan Pelayanan Terpadu Satu Pintu Kota Pekalongan " * 4


def width(line):
    return text_width(line, BODY.font, BODY.size)


@pytest.mark.parametrize("text", [WORDS, "X" * 500, "kata " + "Y" * 300 + " kata", "", " ", "a\n\nb"])
def test_no_line_is_too_wide_and_no_letter_is_lost(text):
    lines = break_lines(text, BODY, 150)
    assert all(width(line.rstrip()) <= 150 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_a_line_feed_is_a_line_break():
    assert break_lines("a.n. WALI KOTA\nKepala Dinas", BODY, 400) == ["a.n. WALI KOTA ", "Kepala Dinas"]


def test_a_line_keeps_the_space_it_was_broken_at_and_gets_none_inside_a_word():
    text = "Pemegang izin wajib mematuhi peraturan perundang-undangan " + "Y" * 60
    assert "".join(break_lines(text, BODY, 150)) == text


@pytest.mark.parametrize("tied", ["Nomor 145", "RT 001", "7 Agustus", "Pos-el izin@contoh.invalid"])
def test_what_belongs_together_stays_on_one_line(tied):
    for count in range(1, 40):
        assert any(tied in line for line in break_lines(f"{'a ' * count}{tied} dan", BODY, 200))


def test_a_number_wider_than_a_line_is_parted_at_its_strokes():
    number = "NOMOR : 500.16.7.2/0001/SIP-TENAGA-KESEHATAN/DPMPTSP/XI/2026"
    assert break_lines(number, BODY, 200) == [
        "NOMOR : 500.16.7.2/0001/SIP-",
        "TENAGA-KESEHATAN/DPMPTSP/XI/",
        "2026",
    ]


def test_a_long_doubled_word_is_parted_at_its_hyphen_alone():
    lines = break_lines("kata perundang-undangan Undang-Undang", BODY, width("kata perundang-undang"))
    assert lines == ["kata perundang-", "undangan ", "Undang-Undang"]


def test_a_sentence_that_leads_in_with_a_colon_stays_with_what_follows():
    assert paragraph_rows(Element("P"), "memberikan izin kepada:", BODY)[-1].keep
    assert not paragraph_rows(Element("P"), "Izin ini berlaku.", BODY)[-1].keep


def test_balanced_lines_are_as_few_and_more_even():
    greedy, balanced = break_lines(WORDS, BODY, 400), balanced_lines(WORDS, BODY, 400)
    assert len(balanced) == len(greedy)
    assert max(map(width, balanced)) < max(map(width, greedy))


def test_a_justified_paragraph_fills_its_lines_but_the_last():
    rows = paragraph_rows(Element("P"), WORDS, BODY, width=400, justified=True)
    *full, last = [row.pieces[0] for row in rows]
    for text in full:
        visible = text.string.rstrip()
        assert width(visible) + text.word_space * visible.count(" ") == pytest.approx(400)
    assert last.word_space == 0


def test_rows_tied_together_move_to_the_next_page_together():
    tied = [Row(300, (), keep=True), Row(300, ())]
    pages = paginate([Row(300, ()), *tied])
    assert [[row.height for _, row in page] for page in pages] == [[300], [300, 300]]


def test_rows_tied_together_that_are_longer_than_a_page_are_broken():
    pages = paginate([Row(300, (), keep=True)] * 5)
    assert [len(page) for page in pages] == [2, 2, 1]


def test_the_space_above_is_left_out_at_the_top_of_a_page():
    (first, *_), (second, *_) = paginate([Row(400, (), before=50), Row(400, (), before=50)])
    assert first[0] == second[0] < PAGE_HEIGHT


def test_lines_are_set_wider_apart_only_while_no_page_is_added():
    short, full = [Row(13, (), flexible=True)] * 10, [Row(13, (), flexible=True)] * 53
    assert {row.height for _, row in fit(short)[0]} == {13 * 1.25}
    assert len(fit(full)) == len(paginate(full)) == 1
    assert {row.height for _, row in fit(full)[0]} == {13}
