#!/usr/bin/env python3
"""Checks that --memory-limit is respected: peak memory of small fits that need much, at several limits.

For every case and limit, a run must end with code 1 and a message, or with code 0 (or 2) and a peak
that exceeds the limit by at most a tenth of it or 40 MB. Prints a table in Markdown.

    benches/memory.py --tiers target/release/tiers
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MB = 1_000_000
ALLOWED = 40 * MB


def wide(folder, rows, columns, groups, name, in_order=False):
    rng = np.random.default_rng(1)
    group = rng.integers(0, groups, rows)
    table = {"y": rng.normal(size=rows), "g": np.sort(group) if in_order else group}
    table |= {f"x{i}": rng.normal(size=rows).astype(np.float32) for i in range(columns)}
    pq.write_table(pa.table(table), f"{folder}/{name}.parquet")
    return "y~" + "+".join(f"x{i}" for i in range(columns)) + "+(1|g)"


def factors(folder):
    rng = np.random.default_rng(2)
    n = 40_000
    pick = lambda k: [f"l{i}" for i in rng.integers(0, k, n)]
    pq.write_table(
        pa.table({"y": rng.normal(size=n), "a": pick(30), "b": pick(32), "g": rng.integers(0, 500, n)}),
        f"{folder}/factors.parquet",
    )
    return "y~a*b+(1|g)"


def label(folder):
    rng = np.random.default_rng(3)
    n, g = 600, np.repeat(np.arange(30), 20)
    labels = pa.array(["z" * 400_000_000 if i == 5 else str(v) for i, v in enumerate(g)])
    pq.write_table(
        pa.table({"y": rng.normal(size=n), "x": rng.normal(size=n), "g": labels}), f"{folder}/label.parquet", compression="zstd"
    )
    return "y~x+(1|g)"


def row_groups(folder):
    rng = np.random.default_rng(4)
    n = 100_000
    table = pa.table({"y": rng.normal(size=n), "x": rng.normal(size=n), "g": np.repeat(np.arange(1000), 100)})
    pq.write_table(table, f"{folder}/groups.parquet", row_group_size=1)
    return "y~x+(1|g)"


def cases(folder):
    """Yields name, table, formula, further options and limits in MB."""
    yield "300 columns", "wide", wide(folder, 40_000, 300, 500, "wide"), [], [62, 120, 238, 400, 800]
    yield "960 columns of two factors", "factors", factors(folder), ["--df", "none"], [100, 400, 800, 1500]
    yield "Kenward-Roger, 150 columns", "kr", wide(folder, 20_000, 150, 400, "kr"), ["--df", "kenward-roger"], [60, 100, 150, 250]
    yield "CR2, 120 columns, 4,000 clusters", "cr", wide(folder, 40_000, 120, 4000, "cr", True), ["--robust", "CR2"], [200, 600, 1000, 1500]
    yield "a label of 400 MB", "label", label(folder), [], [200, 1000, 3000]
    yield "100,000 row groups", "groups", row_groups(folder), [], [100, 200, 400, 1000]


def peak(command):
    """Runs a process and returns its exit code, peak memory in bytes, seconds and standard error.

    Uses GNU time, because the peak of a direct child of this process would include this process's memory.
    """
    with tempfile.NamedTemporaryFile("r") as report:
        began = time.time()
        done = subprocess.run(["/usr/bin/time", "-q", "-f", "%M", "-o", report.name, *command], capture_output=True, text=True)
        return done.returncode, int(report.read().split()[-1]) * 1024, time.time() - began, done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiers", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release/tiers"))
    parser.add_argument("--only", help="only cases whose name contains this")
    args = parser.parse_args()
    kept = True
    print("| case | limit | code | peak | kept |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, table, formula, options, limits in cases(folder):
            if args.only and args.only not in name:
                continue
            for limit in limits:
                command = [args.tiers, "fit", formula, f"{folder}/{table}.parquet", "-q", "--memory-limit", f"{limit}MB"]
                code, bytes_, seconds, err = peak(command + options)
                within = bytes_ <= limit * MB + max(ALLOWED, limit * MB // 10) and code in (0, 1, 2)
                kept &= within
                print(f"| {name} | {limit} MB | {code} | {bytes_ // MB} MB | {'yes' if within else 'NO'} |", flush=True)
                print(f"    {seconds:.1f} s {err.strip()[:300]}", file=sys.stderr)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
