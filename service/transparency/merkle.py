"""Merkle tree hashing, inclusion and consistency proofs (RFC 6962 §2.1, RFC 9162 §2.1), on values only."""

import hashlib
from collections.abc import Callable, Iterator, Sequence

NodeReader = Callable[[int, int], bytes]
"""From (level, index) to the hash of the complete subtree over leaves [index·2^level, (index+1)·2^level)."""

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Hash a leaf, told apart from a node by its first byte (RFC 6962 §2.1)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into their parent."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def new_nodes(index: int, leaf: bytes, read: NodeReader) -> Iterator[tuple[int, int, bytes]]:
    """Yield (level, index, hash) of every subtree that the leaf at `index` completes, lowest first."""
    level, position, value = 0, index, leaf
    yield level, position, value
    while position % 2 == 1:
        value = node_hash(read(level, position - 1), value)
        level, position = level + 1, position // 2
        yield level, position, value


def complete_subtrees(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Hash a whole tree at once: at each level the hashes of its complete subtrees, the leaves' first."""
    levels = [list(leaves)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])
    return levels


def root_hash(size: int, read: NodeReader) -> bytes:
    """Return the root of the tree over the first `size` leaves."""
    return _range_hash(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: NodeReader) -> list[bytes]:
    """Return the audit path of the leaf at `index` in the tree of `size` leaves (RFC 6962 §2.1.1).

    Raises ValueError when the leaf is not in that tree.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    return _path(index, 0, size, read)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Check an audit path (RFC 9162 §2.1.3.2). Takes the leaf's hash."""
    if not 0 <= index < size:
        return False
    position, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position % 2 == 1 or position == last:
            value = node_hash(sibling, value)
            while position % 2 == 0 and position:
                position, last = position >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and value == root


def consistency_proof(first: int, second: int, read: NodeReader) -> list[bytes]:
    """Return the proof that the tree of `first` leaves is a prefix of that of `second` (RFC 6962 §2.1.2)."""
    if not 0 < first <= second:
        raise ValueError(f"no tree of {first} leaves is a prefix of one of {second}")
    return _subproof(first, 0, second, True, read)


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Check a consistency proof (RFC 9162 §2.1.4.2)."""
    if first == second:
        return not proof and first_root == second_root
    if not 0 < first < second:
        return False
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        return False
    position, last = first - 1, second - 1
    while position % 2 == 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position % 2 == 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while position % 2 == 0 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _range_hash(start: int, size: int, read: NodeReader) -> bytes:
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return read(level, start >> level)
    left = _split(size)
    return node_hash(_range_hash(start, left, read), _range_hash(start + left, size - left, read))


def _path(index: int, start: int, size: int, read: NodeReader) -> list[bytes]:
    if size == 1:
        return []
    left = _split(size)
    if index < left:
        return [*_path(index, start, left, read), _range_hash(start + left, size - left, read)]
    return [*_path(index - left, start + left, size - left, read), _range_hash(start, left, read)]


def _subproof(first: int, start: int, size: int, whole: bool, read: NodeReader) -> list[bytes]:
    if first == size:
        return [] if whole else [_range_hash(start, size, read)]
    left = _split(size)
    if first <= left:
        return [*_subproof(first, start, left, whole, read), _range_hash(start + left, size - left, read)]
    return [
        *_subproof(first - left, start + left, size - left, False, read),
        _range_hash(start, left, read),
    ]
