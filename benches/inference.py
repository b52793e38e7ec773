#!/usr/bin/env python3
"""Measures inference in addition to the fit: degrees of freedom, robust errors, intervals, influence,
prediction. Uses model B; every run is a whole process. Commands on a saved fit read the data again if
they need it.

    benches/inference.py --data DIR [--size 1e7] [--repeats 3]

Writes benches/results/<date>-inference.json (raw figures) and .md.
"""

import json
import sys
import tempfile
from pathlib import Path

import measure
import models
from measure import number

FEW, MANY = 40, 80


def main() -> int:
    arguments = measure.of_tiers(__doc__)
    tiers = arguments.tiers
    about = measure.about(sys.argv)
    data = str(arguments.data / models.B.path(arguments.size))
    with tempfile.TemporaryDirectory(dir=arguments.data) as folder:
        saved, out = f"{folder}/fit", f"{folder}/out"
        fit = [tiers, "fit", models.B.formula, data, "--quiet"]
        bootstrap = [tiers, "confint", saved, "--method", "bootstrap", "--seed", "1", "--quiet", "--replicates"]
        commands = {
            "fit, everything written": [*fit, "--out", saved],
            "fit, printed only": [*fit, "--json"],
            "fit --df kenward-roger": [*fit, "--json", "--df", "kenward-roger"],
            "fit --robust CR1S": [*fit, "--json", "--robust", "CR1S"],
            "fit --robust CR2": [*fit, "--json", "--robust", "CR2"],
            "anova": [tiers, "anova", saved],
            "confint --method profile": [tiers, "confint", saved, "--quiet"],
            f"confint, {FEW} replicates": [*bootstrap, str(FEW)],
            f"confint, {MANY} replicates": [*bootstrap, str(MANY)],
            "influence": [tiers, "influence", saved, "--out", out, "--quiet"],
            "predict": [tiers, "predict", saved, data, "--out", f"{folder}/p.parquet", "--quiet"],
            "predict --se --interval prediction": [
                tiers, "predict", saved, data, "--out", f"{folder}/p.parquet", "--quiet", "--se", "--interval", "prediction",
            ],
        }  # fmt: skip
        runs = {name: lambda command=command: measure.run(command, arguments.limit) for name, command in commands.items()}
        series = measure.interleave(runs, arguments.repeats, False, lambda line: print(line, flush=True))
    plain = series["fit, printed only"].good()
    timing = [json.loads(run.stdout)["timing_seconds"] | {"evaluations": json.loads(run.stdout)["optimizer"]["evaluations"]} for run in plain]
    kenward_roger = [json.loads(run.stdout)["timing_seconds"]["inference"] for run in series["fit --df kenward-roger"].good()]
    robust = [json.loads(run.stdout)["timing_seconds"]["inference"] for run in series["fit --robust CR2"].good()]
    more, fewer = (series[f"confint, {count} replicates"].median() for count in (MANY, FEW))
    parts = {
        "one step of the search": min(t["search"] / t["evaluations"] for t in timing),
        "Kenward and Roger": min(kenward_roger, default=None),
        "CR2, with its pass over the rows": min(robust, default=None),
        "a bootstrap replicate": None if more is None or fewer is None else (more - fewer) / (MANY - FEW),
    }
    document = {"about": about, "rows": arguments.size, "repeats": arguments.repeats, "formula": models.B.formula}
    document |= {"parts": parts, "commands": {name: of.raw() for name, of in series.items()}}
    text = page(document)
    print("\n" + text)
    path = measure.write(arguments.results, "inference", document, text)
    print(f"written: {path.name} and .md in {path.parent.name}/")
    return 0


def page(document: dict) -> str:
    """Formats the results as a page."""
    lines = [
        "# Inference",
        "",
        measure.about_in_words(document["about"]),
        f"Model B, `{document['formula']}`, {document['rows']} rows; medians of {document['repeats']} interleaved runs of whole processes.",
        "",
        "| command | total, s | spread | MB | |",
        "|---|--:|--:|--:|---|",
    ]
    for name, of in document["commands"].items():
        failed = "" if all(code == 0 for code in of["exit_codes"]) else f"exit codes {of['exit_codes']}"
        lines.append(f"| {name} | {number(of['median_seconds'], 2)} | {number(of['spread'])} | {number(of['peak_mb'], 0)} | {failed} |")
    lines += ["", "Parts, in milliseconds:", ""]
    lines += [f"- {name}: {'–' if seconds is None else f'{1e3 * seconds:.0f}'}" for name, seconds in document["parts"].items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
