"""No bytes of a stranger raise what is not documented: a sample in each run, minutes by `make prove`."""

import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).with_name("fuzz.py")
SEEDS: dict[str, list[bytes]] = {
    "document": [
        b"%PDF-1.7\n1 0 obj\n<</Type/Catalog/AcroForm<</Fields[2 0 R]>>>>\nendobj\n"
        b"2 0 obj\n<</FT/Sig/T(a)/V 3 0 R>>\nendobj\n3 0 obj\n<</Type/Sig/ByteRange[0 9 20 9]"
        b"/SubFilter/ETSI.CAdES.detached/Contents<3003020100>>>\nendobj\n"
        b"trailer\n<</Size 4/Root 1 0 R>>\n%%EOF\n"
    ],
    "form": [bytes(64)],
    "token": [bytes.fromhex(each) for each in ("41a04041a0", "41a0404ba1061bffffffffffffffff", "4040414040")],
    "log": ["contoh.invalid/log\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— a AAAA\n".encode()],
}
RUNS = 200
SECONDS = 120


def fuzz(target: str, folder: Path, *options: str) -> None:
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(SEEDS[target]):
        (corpus / f"seed-{number}").write_bytes(seed)
    command = [sys.executable, str(FUZZ), target, str(corpus), "-seed=20261123", "-timeout=20", *options]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]


@pytest.mark.parametrize("target", SEEDS)
def test_a_few_inputs_find_nothing(target: str, tmp_path: Path) -> None:
    fuzz(target, tmp_path, f"-runs={RUNS}")


@pytest.mark.proof
@pytest.mark.parametrize("target", SEEDS)
def test_minutes_of_inputs_find_nothing(target: str, tmp_path: Path) -> None:
    fuzz(target, tmp_path, f"-max_total_time={SECONDS}", "-rss_limit_mb=3000")
