"""Tiles as C2SP tlog-tiles describes them."""

import pytest
from logs import MemoryLog, make_log_key

from service.transparency import merkle, tiles


@pytest.mark.parametrize(
    ("index", "width", "path"),
    [
        (0, 256, "000"),
        (7, 112, "007.p/112"),
        (999, 256, "999"),
        (1000, 256, "x001/000"),
        (1234067, 256, "x001/x234/067"),
        (1234067, 1, "x001/x234/067.p/1"),
    ],
)
def test_a_place_is_written_and_read_as_the_specification_says(index: int, width: int, path: str) -> None:
    assert tiles.tile_path(index, width) == path
    assert tiles.parse_tile_path(path) == (index, width)


@pytest.mark.parametrize(
    "path",
    ["", "0", "0000", "x000/001", "001/002", "000.p/0", "000.p/256", "000.p/01", "000.p/300", "-01", "٠٠٠"],
)
def test_a_place_written_otherwise_is_none(path: str) -> None:
    assert tiles.parse_tile_path(path) is None


def test_a_tree_of_70000_has_the_tiles_that_the_specification_counts() -> None:
    assert list(tiles.tile_levels(70_000)) == [0, 1, 2]
    assert [len(list(tiles.tiles_of(70_000, level))) for level in range(3)] == [274, 2, 1]
    assert [list(tiles.tiles_of(70_000, level))[-1] for level in range(3)] == [(273, 112), (1, 17), (0, 1)]
    assert list(tiles.tiles_of(256, 0)) == [(0, 256)]
    assert list(tiles.tiles_of(256, 1)) == [(0, 1)]


def test_bundles_come_back_and_a_cut_one_is_refused() -> None:
    entries = [b"", b"a", b"b" * 300]
    bundle = tiles.pack_entries(entries)
    assert tiles.unpack_entries(bundle) == entries
    for cut in (1, 2, 4, len(bundle) - 1):
        if cut != 2:  # An empty entry alone is whole.
            with pytest.raises(ValueError, match="cut short"):
                tiles.unpack_entries(bundle[:cut])


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 513, 700])
def test_proofs_from_tiles_are_those_of_the_tree(size: int) -> None:
    log = MemoryLog(make_log_key(), [b"%d" % number for number in range(size)])
    levels = merkle.complete_subtrees([merkle.leaf_hash(leaf) for leaf in log.leaves])

    def from_tree(level: int, index: int) -> bytes:
        return levels[level][index]

    def read_tile(level: int, index: int, width: int) -> bytes:
        return log(f"tile/{level}/{tiles.tile_path(index, width)}", 0)

    from_tiles = tiles.node_reader(size, read_tile)
    assert merkle.root_hash(size, from_tiles) == merkle.root_hash(size, from_tree)
    for index in {0, size // 2, size - 1}:
        ours = merkle.inclusion_proof(index, size, from_tiles)
        assert ours == merkle.inclusion_proof(index, size, from_tree)


def test_a_tile_of_another_length_is_refused() -> None:
    read = tiles.node_reader(3, lambda _level, _index, _width: b"\0" * 64)
    with pytest.raises(ValueError, match="length"):
        read(0, 0)
