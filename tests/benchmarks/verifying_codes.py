"""Verification by code, as a programme and as the QR ask for it, against a bare route of the framework."""

import random

from measuring import Row, compare, medians
from place import Place
from serving import load, server

ROUNDS = 9
REQUESTS = 400
"""For each subject and round."""


def measure(place: Place, codes: list[str]) -> list[Row]:
    """Ask for random permits of the register over HTTP."""

    def some(address: str) -> list[str]:
        return [address + code for code in random.choices(codes, k=REQUESTS)]

    folder = place.settings.data_folder
    with server(folder) as port, server(folder, is_bare=True) as bare:
        times = medians(
            {
                "api": lambda: load(port, some("/api/v1/permits/")),
                "bare": lambda: load(bare, some("/permits/")),
                "page": lambda: load(port, some("/v/")),
            },
            rounds=ROUNDS,
        )
    times = {name: seconds / REQUESTS for name, seconds in times.items()}
    size = f"{len(codes):,}".replace(",", " ")
    peers = {"bare": "a bare FastAPI `def` route"}
    return [
        *compare(f"Verify by code, JSON, register of {size}", times, "api", peers),
        *compare(f"Verify by code, the QR's page, register of {size}", times, "page", peers),
    ]
