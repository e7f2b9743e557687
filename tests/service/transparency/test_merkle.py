"""Merkle hashing against a plain recursive reading of RFC 6962, for every small size."""

import hashlib
from collections.abc import Iterator, Sequence

import pymerkle
import pytest

from service.transparency import merkle

LEAVES = [merkle.leaf_hash(f"leaf {number}".encode()) for number in range(130)]


def plain_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 §2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + plain_root(leaves[:split]) + plain_root(leaves[split:])).digest()


@pytest.fixture(scope="module")
def read() -> merkle.NodeReader:
    nodes: dict[tuple[int, int], bytes] = {}

    def read(level: int, index: int) -> bytes:
        return nodes[level, index]

    for number, leaf in enumerate(LEAVES):
        for level, index, value in merkle.new_nodes(number, leaf, read):
            nodes[level, index] = value
    return read


def test_root_of_the_empty_tree() -> None:
    assert merkle.EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("index", range(32))
def test_a_leaf_completes_every_subtree_that_ends_with_it(index: int, read: merkle.NodeReader) -> None:
    assert list(merkle.new_nodes(index, LEAVES[index], read)) == [
        (level, index >> level, plain_root(LEAVES[index + 1 - 2**level : index + 1]))
        for level in range(6)
        if (index + 1) % 2**level == 0
    ]


@pytest.mark.parametrize("size", range(1, len(LEAVES)))
def test_a_tree_hashed_at_once_has_the_subtrees_of_one_that_grew(size: int, read: merkle.NodeReader) -> None:
    levels = [[read(level, index) for index in range(size >> level)] for level in range(size.bit_length())]
    assert merkle.complete_subtrees(LEAVES[:size]) == levels


@pytest.mark.parametrize("size", range(len(LEAVES)))
def test_roots_and_inclusion(size: int, read: merkle.NodeReader) -> None:
    root = merkle.root_hash(size, read)
    assert root == plain_root(LEAVES[:size])
    for index in range(size):
        proof = merkle.inclusion_proof(index, size, read)
        assert merkle.verify_inclusion(LEAVES[index], index, size, proof, root)
        assert not merkle.verify_inclusion(LEAVES[index - 1], index, size, proof, root) or size == 1
        assert not merkle.verify_inclusion(LEAVES[index], index, size, [*proof, root], root)


@pytest.mark.parametrize("second", range(1, 70))
def test_consistency(second: int, read: merkle.NodeReader) -> None:
    for first in range(1, second + 1):
        proof = merkle.consistency_proof(first, second, read)
        roots = merkle.root_hash(first, read), merkle.root_hash(second, read)
        assert merkle.verify_consistency(first, second, *roots, proof)
        assert not merkle.verify_consistency(first, second, roots[0], merkle.leaf_hash(b"fork"), proof)


def altered(proof: list[bytes]) -> Iterator[list[bytes]]:
    """Give proofs that say something else: with a hash more, one less, another in its place, or with none."""
    other = merkle.leaf_hash(b"fork")
    if proof:
        yield []
    for place in range(len(proof) + 1):
        yield [*proof[:place], other, *proof[place:]]
    for place in range(len(proof)):
        yield [*proof[:place], *proof[place + 1 :]]
        yield [*proof[:place], other, *proof[place + 1 :]]


@pytest.mark.parametrize("size", range(1, 18))
def test_nothing_else_proves_a_leafs_place(size: int, read: merkle.NodeReader) -> None:
    root = merkle.root_hash(size, read)
    for index in range(size):
        leaf, proof = LEAVES[index], merkle.inclusion_proof(index, size, read)
        assert not any(merkle.verify_inclusion(leaf, index, size, each, root) for each in altered(proof))
        assert not any(
            merkle.verify_inclusion(leaf, place, size, proof, root)
            for place in range(-1, size + 2)
            if place != index
        )


@pytest.mark.parametrize("second", range(1, 18))
def test_nothing_else_proves_that_a_tree_grew(second: int, read: merkle.NodeReader) -> None:
    roots = [merkle.root_hash(size, read) for size in range(second + 1)]
    for first in range(1, second + 1):
        old, new, proof = roots[first], roots[second], merkle.consistency_proof(first, second, read)
        assert not any(merkle.verify_consistency(first, second, old, new, each) for each in altered(proof))
        assert not merkle.verify_consistency(first, second, merkle.leaf_hash(b"fork"), new, proof)
        assert not merkle.verify_consistency(second + 1, second, old, new, proof)
        assert not merkle.verify_consistency(0, second, roots[0], new, proof)


def test_a_leaf_outside_the_tree_has_no_proof(read: merkle.NodeReader) -> None:
    for index in (-1, 3):
        with pytest.raises(ValueError, match=f"^leaf {index} is not in a tree of 3$"):
            merkle.inclusion_proof(index, 3, read)
    assert not merkle.verify_inclusion(LEAVES[3], 3, 3, [], LEAVES[3])


@pytest.mark.parametrize("first", [0, 6])
def test_what_is_no_prefix_has_no_proof(first: int, read: merkle.NodeReader) -> None:
    with pytest.raises(ValueError, match=f"^no tree of {first} leaves is a prefix of one of 5$"):
        merkle.consistency_proof(first, 5, read)


# Against an independent implementation ------------------------------------------------------------


def splits_as_pymerkle(first: int, size: int) -> bool:
    """Tell whether pymerkle's proof has the nodes of RFC 6962 §2.1.2.

    Where the older tree ends at a split it goes on into the newer half, and where both are one it names it.
    """
    while first < size:
        split = 1 << ((size - 1).bit_length() - 1)
        if first == split:
            return False
        first, size = (first, split) if first < split else (first - split, size - split)
    return True


def compare_with_pymerkle(sizes: Sequence[int], stride: int) -> None:
    """Compare roots and proofs with pymerkle's, which hashes as RFC 6962 does (prefixes 0x00 and 0x01).

    Of each size every so many leaves and older sizes are compared, another rest at each size, and the last.
    """
    leaves = [f"leaf {number}".encode() for number in range(max(sizes))]
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for leaf in leaves:
        tree.append_entry(leaf)
    levels = merkle.complete_subtrees([merkle.leaf_hash(leaf) for leaf in leaves])

    def read(level: int, index: int) -> bytes:
        return levels[level][index]

    for size in sizes:
        root = merkle.root_hash(size, read)
        assert root == tree.get_root(size)
        for index in {*range(size % stride, size, stride), size - 1}:
            proof, leaf = tree.prove_inclusion(index + 1, size), levels[0][index]
            pymerkle.verify_inclusion(leaf, root, proof)
            assert [leaf, *merkle.inclusion_proof(index, size, read)] == proof.path
            assert merkle.verify_inclusion(leaf, index, size, proof.path[1:], root)
        for first in {*range(1 + size % stride, size, stride), size}:
            theirs, old_root = tree.prove_consistency(first, size), merkle.root_hash(first, read)
            pymerkle.verify_consistency(old_root, root, theirs)
            ours = merkle.consistency_proof(first, size, read)
            if splits_as_pymerkle(first, size):
                assert ours == (theirs.path[1:] if first == size else theirs.path)
            assert merkle.verify_consistency(first, size, old_root, root, ours)


def test_small_trees_agree_with_an_independent_implementation() -> None:
    compare_with_pymerkle([*range(1, 80), 255, 256, 257, 1023, 1999, 2000], stride=11)


@pytest.mark.proof
def test_trees_of_every_size_to_2000_agree_with_an_independent_implementation() -> None:
    compare_with_pymerkle(range(1, 2001), stride=13)
