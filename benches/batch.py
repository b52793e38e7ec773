#!/usr/bin/env python3
"""Measures a job of many models: `tiers run` with twelve models that share one read, compared with the
largest of them alone and with twelve jobs of one model each.

    benches/batch.py --data DIR [--size 1e7] [--repeats 3] [--memory-limit 2GB] [--no-separate]

Every run is a whole process; runs are interleaved. The files are those of models.py.
Writes benches/results/<date>-batch.json (raw figures) and .md.
"""

import json
import sys
import tempfile
from pathlib import Path

import measure
import models
from measure import number, ratio

NAMES = ["pretest", "ses", "female", "minority", "treat", "class_size"]
NESTED = " + (1 | school/class)"
TWELVE = [
    *["score ~ " + " + ".join(NAMES[: i + 1]) + NESTED for i in range(len(NAMES))],
    models.FIXED + " + pretest:ses" + NESTED,
    models.FIXED + " + treat:pretest" + NESTED,
    models.FIXED + " + (1 + ses | school) + (1 | school:class)",
    "pretest ~ ses + female + minority" + NESTED,
    models.FIXED + " + (1 | school)",
    models.B.formula,
]


def main() -> int:
    arguments = measure.of_tiers(
        __doc__,
        memory_limit={"default": "80%"},
        no_separate={"action": "store_true", "help": "leave out the jobs of one model each"},
    )
    tiers = arguments.tiers
    about = measure.about(sys.argv)
    data = arguments.data / models.A.path(arguments.size)
    with tempfile.TemporaryDirectory(dir=arguments.data) as folder:
        jobs = {"one model": TWELVE[-1:], "twelve models": TWELVE}
        if not arguments.no_separate:
            jobs |= {f"separately: {i}": [formula] for i, formula in enumerate(TWELVE, 1)}
        files = {name: job(Path(folder), i, data, of, arguments) for i, (name, of) in enumerate(jobs.items())}
        commands = {
            name: lambda file=file: measure.run([tiers, "run", str(file), "--fresh", "--quiet"], arguments.limit)
            for name, file in files.items()
        }
        series = measure.interleave(commands, arguments.repeats, True, lambda line: print(line, flush=True))
        if failed := [name for name, of in series.items() if not of.good()]:
            sys.exit(f"no run of these jobs succeeded: {', '.join(failed)}")
        reads = {name: json.loads((file.parent / "results" / "job.json").read_text())["reads"] for name, file in files.items()}
    document = {"about": about, "repeats": arguments.repeats, "memory_limit": arguments.memory_limit, "rows": arguments.size}
    document["formulas"] = TWELVE
    document["jobs"] = {name: of.raw() | {"reads": reads[name]} for name, of in series.items()}
    text = page(document)
    print("\n" + text)
    path = measure.write(arguments.results, "batch", document, text)
    print(f"written: {path.name} and .md in {path.parent.name}/")
    return 0


def job(folder: Path, number: int, data: Path, formulas: list[str], arguments) -> Path:
    """Writes a job file in its own folder, where its results go too."""
    lines = ["[data]", f"paths = [{json.dumps(str(data.resolve()))}]", "[output]", 'folder = "results"', "[run]"]
    lines.append(f"memory_limit = {json.dumps(arguments.memory_limit)}")
    for i, formula in enumerate(formulas, 1):
        lines += ["[[models]]", f'name = "m{i}"', f"formula = {json.dumps(formula)}"]
    own = folder / str(number)
    own.mkdir()
    (own / "job.toml").write_text("\n".join(lines) + "\n")
    return own / "job.toml"


def page(document: dict) -> str:
    """Formats the results as a page."""
    jobs = document["jobs"]
    one = jobs["one model"]["median_seconds"]
    lines = [
        "# A job of twelve models",
        "",
        measure.about_in_words(document["about"]),
        f"Medians of {document['repeats']} interleaved runs of `tiers run`, all results of all models written;"
        f" {document['rows']} rows, memory limit {document['memory_limit']}.",
        "",
        "| job | total, s | spread | × one | passes over the rows | seconds of reading | MB |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    separate = [of for name, of in jobs.items() if name.startswith("separately")]
    rows = [(name, of["median_seconds"], of["spread"], of["reads"], of["peak_mb"]) for name, of in jobs.items() if of not in separate]
    if separate:
        reads = [read for of in separate for read in of["reads"]]
        total = sum(of["median_seconds"] for of in separate)
        rows.append(("twelve jobs, one after the other", total, None, reads, max(of["peak_mb"] for of in separate)))
    for name, seconds, spread, reads, peak in rows:
        passes, reading = sum(read["passes"] for read in reads), sum(read["seconds"] for read in reads)
        cells = [name, number(seconds, 2), number(spread), number(ratio(seconds, one), 2), str(passes), number(reading, 2), number(peak, 0)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
