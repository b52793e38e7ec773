#!/usr/bin/env python3
"""Inserts the tables of the newest results into docs/benchmarks.md, between its markers.

    benches/page.py [--results DIR]

The markers `<!-- begin NAME -->` and `<!-- end NAME -->` enclose the results of NAME, which is
`group-by`, `peers` or `scaling`. The text between them is replaced; the rest is written by hand.
"""

import argparse
import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import compare_group_by  # noqa: E402
import measure  # noqa: E402

PAGE = measure.ROOT / "docs" / "benchmarks.md"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=measure.RESULTS)
    results = parser.parse_args().results
    text = PAGE.read_text()
    for name, make in (("group-by", group_by), ("peers", peers), ("scaling", scaling)):
        made = make(results)
        if made is None:
            print(f"{name}: no results in {results.name}/")
            continue
        marker = re.compile(f"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        text, count = marker.subn(lambda m: m[1] + made + m[2], text)
        print(f"{name}: {'replaced' if count else 'no marker in the page'}")
    PAGE.write_text(text)
    return 0


def newest(results: Path, pattern: str) -> Path | None:
    """Returns the newest file, by the date in its name and then by its number."""
    found = sorted(results.glob(pattern), key=lambda path: (path.name[:10], len(path.name), path.name))
    return found[-1] if found else None


def without_title(page: str, source: str) -> str:
    lines = page.strip().split("\n")[2:]
    return "\n".join(lines) + f"\n\nRaw figures: [benches/results/{source}](../benches/results/{source}).\n"


def group_by(results: Path) -> str | None:
    path = newest(results, "*-group-by*.json")
    return path and without_title(compare_group_by.page(json.loads(path.read_text())), path.name)


def peers(results: Path) -> str | None:
    path = newest(results, "*-peers*.json")
    if path is None:
        return None
    spec = importlib.util.spec_from_file_location("peers_run", measure.BENCHES / "peers" / "run.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["peers_run"] = module
    spec.loader.exec_module(module)
    return without_title(module.page(json.loads(path.read_text())), path.name)


def scaling(results: Path) -> str | None:
    path = newest(results, "*-scaling*/bench.json")
    if path is None:
        return None
    shutil.copy(path.parent / "scaling.svg", PAGE.parent / "scaling.svg")
    text = (path.parent / "bench.txt").read_text()
    source = f"{path.parent.name}/bench.json"
    return (
        f"![Time and memory over the number of rows, both axes logarithmic](scaling.svg)\n\n```text\n{text.strip()}\n```\n\n"
        f"Raw figures: [benches/results/{source}](../benches/results/{source}).\n"
    )


if __name__ == "__main__":
    sys.exit(main())
