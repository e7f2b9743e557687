"""Blind damage: flips, cuts and insertions anywhere in a signed document."""

import random
from collections.abc import Iterator

LONGEST = 1000
"""Bytes that one cut takes out or one insertion brings in, at most."""


def mutations(pdf: bytes, draw: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield without end: a few flipped bits, a cut, or an insertion of noise or of the file's own bytes."""
    while True:
        place, begin = draw.randrange(len(pdf)), draw.randrange(len(pdf))
        length = draw.randint(1, LONGEST)
        match kind := draw.choice(("flips", "cut", "noise", "repetition")):
            case "flips":
                mutant = _flip_bits(pdf, draw)
            case "cut":
                mutant = pdf[:place] + pdf[place + length :]
            case "noise":
                mutant = pdf[:place] + draw.randbytes(length) + pdf[place:]
            case _:
                mutant = pdf[:place] + pdf[begin : begin + length] + pdf[place:]
        if mutant != pdf:
            yield f"{kind} of {length} at {place}", mutant


def _flip_bits(pdf: bytes, draw: random.Random) -> bytes:
    altered = bytearray(pdf)
    for _ in range(draw.randint(1, 8)):
        altered[draw.randrange(len(pdf))] ^= 1 << draw.randrange(8)
    return bytes(altered)
