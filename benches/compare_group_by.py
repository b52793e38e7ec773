#!/usr/bin/env python3
"""Compares `tiers fit` with a lower bound: polars' own streaming group_by of the same file.

Fitting a model requires reading and grouping every row, so this ratio shows the cost of the fit itself.
Both run as whole processes, interleaved.

    benches/compare_group_by.py --data DIR [--sizes 1e7,1e8] [--models "A,A shuffled,B,C"] [--repeats 5]

Writes benches/results/<date>-group-by.json (raw figures) and .md.
"""

import argparse
import json
import sys
from pathlib import Path

import measure
import models
from measure import number, ratio


def main() -> int:
    arguments = parse()
    tiers = measure.program("tiers", arguments.tiers)
    group_by = measure.program("examples/group_by", arguments.group_by)
    for name, path in (("tiers", tiers), ("examples/group_by", group_by)):
        if path is None:
            print(f"{name} is not in the target folder; see README.md on how to build it", file=sys.stderr)
            return 1
    about = measure.about(sys.argv)
    cases = []
    for size in arguments.sizes.split(","):
        for name in arguments.models.split(","):
            model = models.ALL[name.strip()]
            file = arguments.data / model.path(size)
            if file.exists():
                cases.append(compare(model, size, file, tiers, group_by, arguments))
            else:
                print(f"{name}, {size} rows: no file {file.name}: left out")
    document = {"about": about, "threads": arguments.threads, "repeats": arguments.repeats, "cases": cases}
    text = page(document)
    print("\n" + text)
    path = measure.write(arguments.results, "group-by", document, text)
    print(f"written: {path.name} and .md in {path.parent.name}/")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the files that models.py names")
    parser.add_argument("--sizes", default="1e7")
    parser.add_argument("--models", default=",".join(models.ALL))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, help="for both (default: all cores)")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds per run")
    parser.add_argument("--tiers", help="the program (default: from the target folder)")
    parser.add_argument("--group-by", help="the example group_by of tiers-tables (default: from the target folder)")
    parser.add_argument("--results", type=Path, default=measure.RESULTS)
    return parser.parse_args()


def compare(model: models.Model, size: str, file: Path, tiers: str, group_by: str, arguments) -> dict:
    print(f"model {model.name}, {size} rows ({file.name})", flush=True)
    fit = [tiers, "fit", model.formula, str(file), "--json", "--quiet"]
    env = {}
    if arguments.threads:
        fit += ["--threads", str(arguments.threads)]
        env = {"POLARS_MAX_THREADS": str(arguments.threads)}
    floor = [group_by, str(file), *model.keys]
    commands = {
        "group_by": lambda: measure.run(floor, arguments.limit, env),
        "tiers fit": lambda: measure.run(fit, arguments.limit),
    }
    series = measure.interleave(commands, arguments.repeats, report=lambda line: print(line, flush=True))
    fits = [json.loads(run.stdout) for run in series["tiers fit"].good()]
    return {
        "model": model.name,
        "size": size,
        "file": file.name,
        "bytes": file.stat().st_size,
        "formula": model.formula,
        "rows": fits[0]["n_obs"] if fits else None,
        "levels": fits[0]["levels"] if fits else None,
        "criterion": fits[0]["criterion"] if fits else None,
        "evaluations": fits[0]["optimizer"]["evaluations"] if fits else None,
        "group_by": series["group_by"].raw(),
        "tiers": series["tiers fit"].raw() | {"timing_seconds": [fit["timing_seconds"] for fit in fits]},
        "ratio": ratio(series["tiers fit"].median(), series["group_by"].median()),
    }


def page(document: dict) -> str:
    """Formats the results as a page."""
    threads = document["threads"] or "all"
    lines = [
        "# `tiers fit` against a streaming group-by",
        "",
        measure.about_in_words(document["about"]),
        f"Medians of {document['repeats']} interleaved runs of whole processes with {threads} threads, after one that"
        " does not count; spread is (slowest − fastest) / median.",
        "",
        "| model | rows | group_by, s | spread | MB | tiers fit, s | spread | MB | ratio | fit's share | evaluations |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for case in document["cases"]:
        floor, tiers = case["group_by"], case["tiers"]
        timings = tiers["timing_seconds"]
        share = sorted(t["fit"] / t["total"] for t in timings)[len(timings) // 2] if timings else None
        cells = [
            case["model"],
            case["size"],
            number(floor["median_seconds"], 3),
            number(floor["spread"]),
            number(floor["peak_mb"], 0),
            number(tiers["median_seconds"], 3),
            number(tiers["spread"]),
            number(tiers["peak_mb"], 0),
            f"**{number(case['ratio'])}**",
            number(share),
            str(case["evaluations"]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "Models:", ""]
    formulas = {case["model"]: case["formula"] for case in document["cases"]}
    lines += [f"- {name}: `{formula}`" for name, formula in formulas.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
