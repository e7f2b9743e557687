import pytest

from signing.fonts import BOLD, REGULAR, REPLACEMENT, printable, text_width, unprintable_characters


@pytest.mark.parametrize("text", ["Siti Nurhaliza", "Ñandú Łódź Đặng Thị Ngọc Ánh", "½ m² – “№ 5” … € Σ Ж"])
def test_names_and_units_are_printable(text):
    assert printable(text) == text
    assert not unprintable_characters(text)


@pytest.mark.parametrize("character", ["中", "ꦗ", "😀", "\u202e", "\x00", "\x1b", "\ud800", "\ue000"])
def test_what_has_no_glyph_is_told_and_shown(character):
    assert unprintable_characters(f"a{character}b") == {character}
    assert printable(f"a{character}b") == f"a{REPLACEMENT}b"


def test_marks_are_composed_with_their_letters():
    assert printable("a\u0301") == "á"


def test_white_space_and_zero_width_characters_are_made_plain():
    assert printable("a\tb\r\nc\u200bd\u00ade") == "a b\ncde"


def test_bold_is_wider_than_regular():
    assert 0 < text_width("Pekalongan", REGULAR, 10) < text_width("Pekalongan", BOLD, 10)
