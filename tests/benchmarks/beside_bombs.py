"""How long others wait for their verification while one client sends bombs, against a quiet service."""

import itertools
import threading
import time
from collections.abc import Iterator
from statistics import quantiles

from attacks.bombs import bombs
from measuring import Row
from place import Place
from serving import server
from verifying_uploads import upload

ROUNDS = 4
PATH = "/api/v1/verifications"
REQUESTS = 25
"""For each round, quiet and beside bombs."""


def measure(place: Place, pdf: bytes) -> list[Row]:
    """Upload altered copies of a permit, in turn beside nothing and beside one bomb after the other."""
    clients = itertools.count(1)
    quiet: list[float] = []
    beside: list[float] = []
    with server(place.settings.data_folder) as port:
        for _ in range(ROUNDS):
            quiet += _time_uploads(port, pdf, clients)
            over = threading.Event()
            bomber = threading.Thread(target=_send_bombs, args=(port, clients, over))
            bomber.start()
            beside += _time_uploads(port, pdf, clients)
            over.set()
            bomber.join()
    calm, late = (quantiles(times, n=20)[-1] for times in (quiet, beside))
    subject = "Examine an upload beside a bomb, 95th percentile over HTTP"
    return [Row(subject, 1 / late, "the same without a bomb", calm / late)]


def _time_uploads(port: int, pdf: bytes, clients: Iterator[int]) -> list[float]:
    times = []
    for client in itertools.islice(clients, REQUESTS):
        # Every copy differs, for what is registered is examined once and then known for a while.
        copy = pdf + b"%% %d\n" % client
        begin = time.perf_counter()
        assert b'"altered"' in upload(port, PATH, copy, client)
        times.append(time.perf_counter() - begin)
    return times


def _send_bombs(port: int, clients: Iterator[int], over: threading.Event) -> None:
    for _, bomb in itertools.cycle(bombs()):
        if over.is_set():
            return
        assert b'"genuine"' not in upload(port, PATH, bomb, next(clients))
