"""Tiles: how a log's hashes and entries are cut into files of 256 (C2SP tlog-tiles), on values only."""

import re
import struct
from collections.abc import Callable, Iterable, Iterator

from service.transparency.merkle import NodeReader, node_hash

WIDTH = 256
HEIGHT = 8
"""Levels of the tree that one tile spans: 2**8 hashes."""
HASH_BYTES = 32
LARGEST_ENTRY = 2**16 - 1
PLACE = re.compile(r"((?:x[0-9]{3}/){0,4})([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")

TileReader = Callable[[int, int, int], bytes]
"""From (level, index, width) to the tile's bytes."""


def tile_path(index: int, width: int = WIDTH) -> str:
    """Write a tile's place below its level: 1234067 → `x001/x234/067`, with `.p/<width>` when partial."""
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.insert(0, f"x{index % 1000:03}")
    return "/".join(groups) + (f".p/{width}" if width < WIDTH else "")


def parse_tile_path(text: str) -> tuple[int, int] | None:
    """Read a tile's place as (index, width), or None when it is not written as `tile_path` writes it."""
    match = PLACE.fullmatch(text)
    if match is None:
        return None
    index = int(re.sub(r"[x/]", "", match[1]) + match[2])
    width = int(match[3] or WIDTH)
    return (index, width) if tile_path(index, width) == text else None


def tiles_of(size: int, level: int) -> Iterator[tuple[int, int]]:
    """Yield (index, width) of every tile at a level of a tree with `size` leaves; the last may be partial."""
    hashes = size >> (HEIGHT * level)
    for index in range(0, hashes // WIDTH):
        yield index, WIDTH
    if hashes % WIDTH:
        yield hashes // WIDTH, hashes % WIDTH


def tile_levels(size: int) -> range:
    """Return the levels at which a tree of `size` leaves has tiles."""
    return range(max(0, (size.bit_length() - 1) // HEIGHT + 1))


def pack_entries(entries: Iterable[bytes]) -> bytes:
    """Write an entry bundle: each entry after its length in two bytes, big-endian."""
    return b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)


def unpack_entries(bundle: bytes) -> list[bytes]:
    """Read an entry bundle. Raises ValueError when it is cut short."""
    entries, place = [], 0
    while place < len(bundle):
        length = int.from_bytes(bundle[place : place + 2], "big")
        entry = bundle[place + 2 : place + 2 + length]
        if len(entry) != length or place + 2 > len(bundle):
            raise ValueError("the entry bundle is cut short")
        entries.append(entry)
        place += 2 + length
    return entries


def node_reader(size: int, read_tile: TileReader) -> NodeReader:
    """Read the hashes of complete subtrees from the tiles of a tree with `size` leaves.

    Raises ValueError for a tile whose bytes are not as many as its width says.
    """

    def read(level: int, index: int) -> bytes:
        tile_level, above = divmod(level, HEIGHT)
        first = index << above  # The subtree spans 2**above hashes of one tile.
        tile = first // WIDTH
        width = min(WIDTH, (size >> (HEIGHT * tile_level)) - tile * WIDTH)
        hashes = read_tile(tile_level, tile, width)
        if len(hashes) != width * HASH_BYTES:
            raise ValueError("a tile does not have the length that its width says")
        place = (first % WIDTH) * HASH_BYTES
        values = [
            hashes[at : at + HASH_BYTES] for at in range(place, place + (HASH_BYTES << above), HASH_BYTES)
        ]
        while len(values) > 1:
            values = [node_hash(left, right) for left, right in zip(values[::2], values[1::2], strict=True)]
        return values[0]

    return read
