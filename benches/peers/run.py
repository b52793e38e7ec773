#!/usr/bin/env python3
"""Compares tiers with its peers on the same files: a table of ratios and of differences in the REML criterion.

    benches/peers/run.py --data DIR [--sizes 1e5,1e6,1e7] [--models A,B] [--repeats 3] [--limit 900]
                         [--only tiers,lme4,glmm]

Every run is a separate process that reads the file and fits the model, with a time limit. Repeats are
interleaved. A peer that fails or times out is not run again at that size or a larger one. A peer that is
not installed is reported as absent. lme4 and glmmTMB read a CSV file, which is written first.

Writes benches/results/<date>-peers.json (raw figures) and .md.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import measure  # noqa: E402
import models  # noqa: E402
from measure import number, ratio  # noqa: E402

HERE = Path(__file__).resolve().parent
COLUMNS = {
    "score": "number", "pretest": "number", "ses": "number", "female": "number", "minority": "label",
    "treat": "number", "class_size": "number", "school": "label", "class": "label", "district": "label",
}  # fmt: skip


@dataclass
class Peer:
    """A program that fits a model: the command to run, or why it is absent."""

    name: str
    command: Callable[[models.Model, Path, Path | None], list[str]] | None
    absent: str = ""
    csv: bool = False


def peers(arguments) -> list[Peer]:
    tiers = measure.program("tiers", arguments.tiers)
    found = [Peer("tiers", lambda model, file, _: [tiers, "fit", model.formula, str(file), "--json", "--quiet"])]
    if tiers is None:
        sys.exit("tiers is not in the target folder; build it, or name it with --tiers")
    for package in ("lme4", "glmmTMB"):
        found.append(r_package(package))
    try:
        import statsmodels  # noqa: F401

        script = str(HERE / "statsmodels_mixedlm.py")
        found.append(Peer("statsmodels", lambda model, file, _: [sys.executable, script, model.name, str(file)]))
    except ImportError:
        found.append(Peer("statsmodels", None, "not installed"))
    folder = arguments.rust or HERE / "rust" / "target" / "release"
    for name in ("glmm", "mixeff", "lme"):
        found.append(rust_program(name, folder / f"peer-{name}"))
    return found


def r_package(package: str) -> Peer:
    rscript = shutil.which("Rscript")
    question = f"quit(status = if (requireNamespace('{package}', quietly = TRUE)) 0 else 1)"
    if rscript is None:
        return Peer(package, None, "R is not installed")
    if subprocess.run([rscript, "-e", question], capture_output=True).returncode != 0:
        return Peer(package, None, "not installed")
    script = str(HERE / "lme4.R")
    return Peer(package, lambda model, _, csv: [rscript, script, package, model.formula, str(csv)], csv=True)


def rust_program(name: str, program: Path) -> Peer:
    crate = {"glmm": "glmm 0.8.0", "mixeff": "mixeff-rs 1.0.0-rc.5", "lme": "lme-rs 0.2.7"}[name]
    if not program.exists():
        return Peer(crate, None, "not built")

    def command(model: models.Model, file: Path, _: Path | None) -> list[str]:
        used = [name for name in COLUMNS if name in model.formula]
        return [str(program), model.formula, str(file), *(f"{COLUMNS[name]}:{name}" for name in used)]

    return Peer(crate, command)


def main() -> int:
    arguments = parse()
    about = measure.about(sys.argv)
    wanted = arguments.only.split(",") if arguments.only else None
    candidates = [p for p in peers(arguments) if wanted is None or p.name == "tiers" or p.name.split()[0] in wanted]
    for peer in candidates:
        if peer.command is None:
            print(f"{peer.name}: absent ({peer.absent})")
    cases, gave_up = [], set()
    for size in sorted(arguments.sizes.split(","), key=float):
        for name in arguments.models.split(","):
            model = models.ALL[name.strip()]
            file = arguments.data / model.path(size)
            if not file.exists():
                print(f"{name}, {size} rows: no file {file.name}: left out")
                continue
            with tempfile.TemporaryDirectory() as folder:
                csv = None
                if any(peer.csv and peer.command for peer in candidates) and float(size) <= arguments.csv_up_to:
                    csv = as_csv(file, model, Path(folder))
                able = [peer for peer in candidates if (model.name, peer.name) not in gave_up]
                case = compare(model, size, file, csv, able, arguments)
                gave_up |= {(model.name, peer) for peer, of in case["results"].items() if of["why_none"]}
                cases.append(case)
    absent = {peer.name: peer.absent for peer in candidates if peer.command is None}
    document = {"about": about, "repeats": arguments.repeats, "limit": arguments.limit, "absent": absent, "cases": cases}
    text = page(document)
    print("\n" + text)
    path = measure.write(arguments.results, "peers", document, text)
    print(f"written: {path.name} and .md in {path.parent.name}/")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the files that models.py names")
    parser.add_argument("--sizes", default="1e5,1e6,1e7")
    parser.add_argument("--models", default="A,B")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=float, default=900.0, help="seconds per run")
    parser.add_argument("--csv-up-to", type=float, default=1e7, help="largest size for the peers that read CSV")
    parser.add_argument("--only", help="only these peers, by the first word of their names")
    parser.add_argument("--tiers", help="the program (default: from the target folder)")
    parser.add_argument("--rust", type=Path, help="folder of the programs of peers/rust (default: its target folder)")
    parser.add_argument("--results", type=Path, default=measure.RESULTS)
    return parser.parse_args()


def as_csv(file: Path, model: models.Model, folder: Path) -> Path:
    """Writes the columns of the model as CSV."""
    import pyarrow.csv
    import pyarrow.parquet

    csv = folder / f"{file.stem}.csv"
    source = pyarrow.parquet.ParquetFile(file)
    columns = [name for name in source.schema_arrow.names if name in model.formula]
    with open(csv, "wb") as out:
        writer = None
        for batch in source.iter_batches(columns=columns):
            writer = writer or pyarrow.csv.CSVWriter(out, batch.schema)
            writer.write_batch(batch)
        if writer:
            writer.close()
    return csv


def compare(model, size: str, file: Path, csv: Path | None, candidates: list[Peer], arguments) -> dict:
    print(f"model {model.name}, {size} rows ({file.name})", flush=True)
    commands = {}
    for peer in candidates:
        if peer.command is not None and (csv is not None or not peer.csv):
            command = peer.command(model, file, csv)
            commands[peer.name] = lambda command=command: measure.run(command, arguments.limit)
    # No warm-up: the first run of tiers counts like all others, and slow peers take too long to run once more.
    series = measure.interleave(commands, arguments.repeats, False, lambda line: print(line, flush=True))
    ours = series["tiers"]
    results = {name: result(name, of, ours) for name, of in series.items()}
    return {"model": model.name, "size": size, "file": file.name, "formula": model.formula, "results": results}


def output(run: measure.Run) -> dict:
    """Parses the JSON that a program printed: all of its output, or the last line."""
    text = run.stdout.strip()
    return json.loads(text if text.startswith("{\n") else text.splitlines()[-1])


def result(name: str, series: measure.Series, ours: measure.Series) -> dict:
    raw = series.raw()
    raw["ratio_to_tiers"] = ratio(series.median(), ours.median())
    raw["why_none"] = next((measure.describe(run).strip() for run in series.runs if not run.ok), None)
    if series.good():
        outputs = [output(run) for run in series.good()]
        raw["criterion"] = outputs[0]["criterion"]
        raw["converged"] = outputs[0].get("converged", outputs[0].get("status") != "not_converged")
        fit = [o["fit_seconds"] if "fit_seconds" in o else o["timing_seconds"]["fit"] for o in outputs]
        raw["fit_seconds"] = sorted(fit)[len(fit) // 2]
        if ours.good():
            raw["criterion_minus_tiers"] = outputs[0]["criterion"] - output(ours.good()[0])["criterion"]
    return raw


def page(document: dict) -> str:
    """Formats the results as a page."""
    lines = [
        "# tiers and its peers",
        "",
        measure.about_in_words(document["about"]),
        f"Medians of up to {document['repeats']} interleaved runs of whole processes, reading included, with at most"
        f" {document['limit']:.0f} s each; REML. A criterion above tiers' (+) is a worse fit.",
        "",
        "| model | rows | program | total, s | spread | fit alone, s | MB | × tiers | criterion − tiers' | |",
        "|---|--:|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for case in document["cases"]:
        for name, of in case["results"].items():
            apart = of.get("criterion_minus_tiers")
            remark = of["why_none"] or ("" if of.get("converged", True) else "says it did not converge")
            cells = [
                case["model"],
                case["size"],
                name,
                number(of["median_seconds"], 3),
                number(of["spread"]),
                number(of.get("fit_seconds"), 3),
                number(of["peak_mb"], 0),
                number(of["ratio_to_tiers"], 1),
                "–" if apart is None else f"{apart:+.1e}",
                remark.replace("|", "\\|").replace("\n", " ")[:120],
            ]
            lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    lines += [f"Absent: {name} ({why})." for name, why in document["absent"].items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
