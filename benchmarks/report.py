"""One page out of the reports of several benchmarks.

python benchmarks/report.py benchmarks/results/*.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from movierec.benchmark.page import write_page
from movierec.benchmark.report import joined, read_report
from movierec.errors import MovierecError

FOLDER = Path(__file__).resolve().parent


def main() -> int:
    """Join the reports, write the page and its pictures, say what was written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reports", nargs="+", type=Path, metavar="REPORT.json")
    parser.add_argument("--page", type=Path, default=FOLDER / "README.md")
    parser.add_argument("--pictures", type=Path, help="folder; default: pictures beside the page")
    parser.add_argument("--title", default="Benchmarks")
    options = parser.parse_args()
    pictures = options.pictures or options.page.parent / "pictures"
    try:
        report = joined(read_report(path) for path in options.reports)
        problems = write_page(report, options.page, options.title, pictures=pictures)
    except MovierecError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(report.rows)} rows on {options.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
