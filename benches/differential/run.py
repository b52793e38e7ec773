#!/usr/bin/env python3
"""Fits generated models with tiers and with lme4, and judges the fits by a dense criterion.

    benches/differential/run.py --tiers target/release/tiers [--models 300] [--seed 1] [--out RESULTS.json]

Needs numpy and python-flint, and Rscript with lme4 and jsonlite. Without R it prints one line and runs
nothing. Exits with 1 if any case has a fault. `--only 17,23` or `--only nearly_exact` selects cases;
`--keep DIR` keeps their csv files and prints the command of each case with a fault.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiers", default=str(HERE.parents[1] / "target/release/tiers"))
    parser.add_argument("--models", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="numbers or kinds of cases, separated by commas")
    parser.add_argument("--out", type=Path, help="file for all verdicts as JSON")
    parser.add_argument("--keep", type=Path, help="folder in which to keep the csv files")
    parser.add_argument("--reuse", action="store_true", help="use lme4's answers of an earlier run in --keep")
    parser.add_argument("--jobs", type=int, default=2)
    return parser.parse_args()


def r_is_absent() -> str | None:
    if not shutil.which("Rscript"):
        return "Rscript is not installed"
    probe = subprocess.run(["Rscript", "-e", "library(lme4); library(jsonlite)"], capture_output=True, text=True)
    return None if probe.returncode == 0 else "R has no lme4 or no jsonlite"


def command(tiers: str, case, csv: Path) -> list[str]:
    weights = ["--weights", case.weights] if case.weights else []
    return [tiers, "fit", case.formula(), str(csv), "--reml" if case.method == "REML" else "--ml", "--json", "-q", *weights]


def fit_by_tiers(tiers: str, case, csv: Path) -> tuple[int, dict | None, str]:
    try:
        done = subprocess.run(command(tiers, case, csv), capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        return -1, None, "no answer in 120 s"
    fit = json.loads(done.stdout) if done.returncode in (0, 2) and done.stdout.strip() else None
    return done.returncode, fit, done.stderr


def read_answers(folder: Path) -> dict[str, dict]:
    lines = [line for path in folder.glob("lme4-*.jsonl") for line in path.read_text().splitlines()]
    return {answer["name"]: answer for answer in map(json.loads, lines)}


def fit_by_lme4(work: list[tuple], folder: Path, jobs: int) -> dict[str, dict]:
    """Returns lme4's answers by name of the case; `jobs` processes of R share the cases."""
    from judge import tiers_theta

    processes = []
    for part in range(jobs):
        cases, out = folder / f"cases{part}.jsonl", folder / f"lme4-{part}.jsonl"
        with cases.open("w") as file:
            for case, csv, (_, fit, _) in work[part::jobs]:
                line = {"name": case.name, "csv": str(csv), "formula": case.formula(), "reml": case.method == "REML",
                        "weights": case.weights, "seed": case.number, "theta": tiers_theta(fit) if fit else None}
                file.write(json.dumps({k: v for k, v in line.items() if v is not None}) + "\n")
        processes.append(subprocess.Popen(["Rscript", str(HERE / "lme4.R"), str(cases), str(out)]))
    for process in processes:
        if process.wait() != 0:
            sys.exit(f"lme4.R ended with {process.returncode}")
    return read_answers(folder)


def check_the_judge(seed: int) -> None:
    """Checks that the two computations of the dense criterion agree on small cases at random points."""
    import numpy as np
    from dense import Dense, plain
    from design import design, independent
    from generate import cases

    rng = np.random.default_rng(seed)
    small = [c for c in cases(300, seed) if c.rows <= 120 and c.kind not in ("scales", "exact", "nearly_exact")][:40]
    for case in small:
        d = design(case)
        kept, theta = independent(d.x), rng.normal(size=len(d.theta_names()))
        exact, rounded = (f(theta) for f in (Dense(d, kept, case.method == "REML").value,
                                             lambda t: plain(d, kept, case.method == "REML", t)))
        if abs(exact - rounded) > 1e-8 * max(1, abs(exact)):
            sys.exit(f"{case.name}: the dense criterion is {exact!r} in balls and {rounded!r} in f64")


def one(task: tuple):
    from judge import judge

    return judge(*task)


def main() -> int:
    a = arguments()
    absent = r_is_absent()
    if absent:
        print(f"skipped: {absent}")
        return 0
    from generate import cases

    only = [part for part in a.only.split(",") if part]
    chosen = [c for c in cases(a.models, a.seed) if not only or str(c.number) in only or c.kind in only]
    check_the_judge(a.seed)
    started = time.time()
    with tempfile.TemporaryDirectory() as scratch:
        folder = a.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        work = []
        for case in chosen:
            csv = folder / f"{case.name}.csv"
            case.write(csv)
            work.append((case, csv, fit_by_tiers(a.tiers, case, csv)))
        print(f"{len(work)} models fitted by tiers after {time.time() - started:.0f} s", file=sys.stderr)
        answers = read_answers(folder) if a.reuse else fit_by_lme4(work, folder, a.jobs)
        print(f"by lme4 after {time.time() - started:.0f} s", file=sys.stderr)
        tasks = [(case, code, fit, stderr, answers.get(case.name)) for case, _, (code, fit, stderr) in work]
        with ProcessPoolExecutor(a.jobs) as pool:
            verdicts = list(pool.map(one, tasks))
    report(verdicts, work, a)
    print(f"judged after {time.time() - started:.0f} s", file=sys.stderr)
    if a.out:
        kept = [asdict(v) | {"note": case.note} for v, (case, *_) in zip(verdicts, work)]
        a.out.write_text(json.dumps({"models": a.models, "seed": a.seed, "verdicts": kept}, indent=1) + "\n")
    return 1 if any(v.faults for v in verdicts) else 0


def report(verdicts: list, work: list[tuple], a: argparse.Namespace) -> None:
    import shlex

    from generate import KINDS
    from judge import OUTCOMES

    print("| kind | models | " + " | ".join(OUTCOMES) + " | with a fault |")
    print("|---|--:" + "|--:" * (len(OUTCOMES) + 1) + "|")
    for kind in [*KINDS, "all"]:
        of_kind = [v for v, (case, *_) in zip(verdicts, work) if kind in (case.kind, "all")]
        counts = Counter(v.outcome for v in of_kind)
        if of_kind:
            cells = [len(of_kind), *(counts[o] for o in OUTCOMES), sum(bool(v.faults) for v in of_kind)]
            print(f"| {kind} | " + " | ".join(str(c) if c else "" for c in cells) + " |")
    worst: dict[str, tuple[float, str]] = {}
    for v in verdicts:
        if v.outcome in ("converged", "boundary"):
            for key, value in v.figures.items():
                if key != "singularity" and value > worst.get(key, (-1e300, ""))[0]:
                    worst[key] = (value, v.name)
    print("\nLargest figures of fits that are converged or on the boundary:")
    for key, (value, name) in worst.items():
        print(f"  {key}: {value:.1e} ({name})")
    for v, (case, csv, _) in zip(verdicts, work):
        if v.faults or v.notes or v.outcome == "not_converged":
            print(f"\n{v.name} {v.method} {v.rows} rows {v.outcome}, lme4 {v.lme4}{'; ' + case.note if case.note else ''}\n  {v.formula}")
            for text in ([v.what] if v.what else []) + [f"FAULT {f}" for f in v.faults] + v.notes:
                print(f"  {text}")
            if v.faults and a.keep:
                print(f"  {shlex.join(command(a.tiers, case, csv))}")


if __name__ == "__main__":
    sys.exit(main())
