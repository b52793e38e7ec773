#!/usr/bin/env python3
"""What a job of many models costs, against a job of one: time and peak memory of `tiers run`.

    benches/batch.py TIERS DATA.parquet [--repeats 3] [--memory-limit 2GB] > benches/results/batch.json

DATA is what `tiers simulate` writes of the specification that --spec prints, say of ten million rows:

    benches/batch.py --spec > spec.toml
    tiers simulate spec.toml --rows 10000000 --out rows.parquet

Peak memory is that of the process (ru_maxrss), as the system measured it.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time

SPEC = """
[response]
name = "score"
residual_sd = 1.0
[[level]]
name = "school"
id = "integer"
size = { min = 2, max = 6 }
random = { "(Intercept)" = 0.5, pretest = 0.2 }
[[level]]
name = "class"
id = "C{:02}"
reuse_ids = true
size = { min = 15, max = 35 }
random = { "(Intercept)" = 0.4 }
[[covariate]]
name = "pretest"
kind = "normal"
[[covariate]]
name = "ses"
kind = "normal"
[[covariate]]
name = "age"
kind = "normal"
[[covariate]]
name = "minority"
kind = "binary"
[fixed]
"(Intercept)" = 2.0
pretest = 0.5
ses = 0.2
"""

FIXED = ["1", "pretest", "pretest + ses", "pretest + ses + minority", "pretest * minority", "pretest + ses + age"]
RANDOM = ["(1 | school/class)", "(1 + pretest | school) + (1 | school:class)"]
FORMULAS = [f"score ~ {fixed} + {random}" for random in RANDOM for fixed in FIXED]


def job(folder, data, formulas, limit):
    lines = ["[data]", f"paths = [{json.dumps(os.path.abspath(data))}]", "[output]", 'folder = "results"', "[run]"]
    lines += [f"memory_limit = {json.dumps(limit)}"]
    for i, formula in enumerate(formulas, 1):
        lines += ["[[models]]", f'name = "m{i}"', f"formula = {json.dumps(formula)}"]
    path = os.path.join(folder, "job.toml")
    with open(path, "w") as file:
        file.write("\n".join(lines))
    return path


def run(tiers, data, formulas, limit):
    with tempfile.TemporaryDirectory() as folder:
        command = [tiers, "run", job(folder, data, formulas, limit), "--quiet"]
        began = time.monotonic()
        process = subprocess.Popen(command)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        if status != 0:
            sys.exit(f"{' '.join(command)} ended with {status}")
        with open(os.path.join(folder, "results", "job.json")) as file:
            account = json.load(file)
    reads = account["reads"]
    return {
        "models": len(formulas),
        "seconds": seconds,
        "read_seconds": sum(read["seconds"] for read in reads),
        "passes": sum(read["passes"] for read in reads),
        "fit_seconds": sum(model["seconds"] for model in account["models"]),
        "peak_memory_bytes": usage.ru_maxrss * 1024,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tiers", nargs="?")
    parser.add_argument("data", nargs="?")
    parser.add_argument("--spec", action="store_true", help="print the specification of the data")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory-limit", default="80%")
    args = parser.parse_args()
    if args.spec:
        print(SPEC.strip())
        return
    if not args.data:
        parser.error("name the program and the data")
    runs = []
    for repeat in range(args.repeats):
        for count in (1, 12):
            # The last formula is the largest of them.
            runs.append(run(args.tiers, args.data, FORMULAS[-count:], args.memory_limit))
            print(json.dumps(runs[-1]), file=sys.stderr)
    machine = {"cores": os.cpu_count(), "system": platform.platform()}
    json.dump({"command": sys.argv, "machine": machine, "memory_limit": args.memory_limit, "runs": runs}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
