"""Regions: the city's kecamatan and kelurahan."""

from service.catalogue.regions import find_kelurahan, kelurahan_by_kecamatan


def test_a_kelurahan_is_found_by_its_code() -> None:
    found = find_kelurahan("33.75.01.1002")
    assert found is not None
    assert (found.name, found.postal_code) == ("Medono", "51111")


def test_a_kecamatan_is_no_kelurahan() -> None:
    assert find_kelurahan("33.75.01") is None


def test_the_list_to_choose_from_is_grouped_and_whole() -> None:
    groups = kelurahan_by_kecamatan()
    assert [kecamatan.name for kecamatan, _ in groups] == [
        "Pekalongan Barat",
        "Pekalongan Timur",
        "Pekalongan Utara",
        "Pekalongan Selatan",
    ]
    assert sum(len(kelurahan) for _, kelurahan in groups) == 27
