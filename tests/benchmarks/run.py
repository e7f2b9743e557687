"""Measure the service against its peers in one run, and print one Markdown table of ratios.

`make bench` runs this. `--permits 1000000` fills a larger register; `--write docs/benchmarks.md` puts the
table between that file's marks.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import beside_bombs  # noqa: E402
import issuing_permits  # noqa: E402
import place  # noqa: E402
import registers  # noqa: E402
import signing_documents  # noqa: E402
import verifying_codes  # noqa: E402
import verifying_uploads  # noqa: E402
from measuring import table  # noqa: E402

SMALL = 10_000
"""Permits in a register of some years; a larger one is measured beside it."""
BEGIN, END = "<!-- table -->", "<!-- end of table -->"


def main() -> None:
    """Measure every subject, print the table, and write it where asked."""
    arguments = _arguments()
    (ROOT / "var").mkdir(exist_ok=True)
    # Beside the service's own data rather than in a temporary folder, which may lie in memory.
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / "var") as folder:
        text = _measure(Path(folder), arguments.permits)
    print(text)
    if arguments.write:
        page = arguments.write.read_text()
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        arguments.write.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--permits", type=int, default=SMALL, help="permits in the larger register (10000)")
    parser.add_argument("--write", type=Path, help="a Markdown file with marks for the table")
    return parser.parse_args()


def _measure(folder: Path, permits: int) -> str:
    city = place.build(folder)
    pdf = registers.issue_one(city)
    codes = registers.fill(city, min(permits, SMALL))
    rows, shares = issuing_permits.measure(city)
    rows += signing_documents.measure()
    rows += verifying_codes.measure(city, codes)
    if permits > SMALL:
        codes += registers.fill(city, permits, already=SMALL)
        rows += verifying_codes.measure(city, codes)
    rows += verifying_uploads.measure(city, pdf)
    rows += beside_bombs.measure(city, pdf)
    city.workshop.engine.dispose()
    parts = ", ".join(f"{part} {share:.0%}" for part, share in shares.items())
    return f"{table(rows)}\n\nOf issuing a permit: {parts}."


if __name__ == "__main__":
    main()
