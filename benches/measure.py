"""Code shared by the benchmark scripts: timed processes, the machine, medians, result files.

Every run is a separate process under GNU time, so that its peak memory can be measured. The runs of
compared programs are interleaved (one of each, then one of each again), so that a temporary slowdown
of the machine affects all of them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

BENCHES = Path(__file__).resolve().parent
ROOT = BENCHES.parent
RESULTS = BENCHES / "results"


@dataclass
class Run:
    """One timed process."""

    seconds: float
    peak_mb: float | None
    code: int | None  # None: stopped at its time limit
    stdout: str = ""
    stderr: str = ""

    @property
    def ok(self) -> bool:
        # tiers exits with 2 if a fit did not converge, which is not a success here.
        return self.code == 0


@dataclass
class Series:
    """Repeats of one command."""

    runs: list[Run] = field(default_factory=list)

    def good(self) -> list[Run]:
        return [run for run in self.runs if run.ok]

    def seconds(self) -> list[float]:
        return [run.seconds for run in self.good()]

    def median(self) -> float | None:
        return statistics.median(self.seconds()) if self.good() else None

    def spread(self) -> float | None:
        """(slowest - fastest) / median."""
        times = self.seconds()
        return (max(times) - min(times)) / statistics.median(times) if times else None

    def peak_mb(self) -> float | None:
        peaks = [run.peak_mb for run in self.good() if run.peak_mb is not None]
        return max(peaks) if peaks else None

    def raw(self) -> dict:
        return {
            "median_seconds": self.median(),
            "spread": self.spread(),
            "peak_mb": self.peak_mb(),
            "seconds": [round(run.seconds, 4) for run in self.runs],
            "peak_mb_of_each": [run.peak_mb for run in self.runs],
            "exit_codes": [run.code for run in self.runs],
        }


def run(command: list[str], limit: float | None = None, env: dict[str, str] | None = None) -> Run:
    """Runs a command to its end or its time limit (seconds)."""
    gnu_time = shutil.which("time", path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    with tempfile.NamedTemporaryFile("r", suffix=".time") as peak:
        prefix = [gnu_time, "-f", "%M", "-o", peak.name] if gnu_time else []
        start = time.perf_counter()
        process = subprocess.Popen(
            prefix + command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **(env or {})},
        )
        try:
            stdout, stderr = process.communicate(timeout=limit)
            code: int | None = process.returncode
        except subprocess.TimeoutExpired:
            # The command has its own session: this kills it and all its child processes.
            os.killpg(process.pid, signal.SIGKILL)
            stdout, stderr = process.communicate()
            code = None
        seconds = time.perf_counter() - start
        kilobytes = re.findall(r"^\d+$", peak.read(), re.MULTILINE)
        peak_mb = int(kilobytes[-1]) * 1024 / 1e6 if kilobytes else None
    return Run(seconds, peak_mb, code, stdout, stderr)


def interleave(
    commands: dict[str, Callable[[], Run]], repeats: int, warm_up: bool = True, report: Callable[[str], None] = print
) -> dict[str, Series]:
    """Runs all commands in turn, `repeats` times; a command that fails or times out is not run again."""
    series = {name: Series() for name in commands}
    given_up: set[str] = set()
    for repeat in range(-1 if warm_up else 0, repeats):
        for name, command in commands.items():
            if name in given_up:
                continue
            done = command()
            report(f"  {name:24} {'warm-up' if repeat < 0 else repeat + 1:>7} {describe(done)}")
            if not done.ok:
                given_up.add(name)
            if repeat >= 0 or not done.ok:
                series[name].runs.append(done)
    return series


def describe(done: Run) -> str:
    memory = "" if done.peak_mb is None else f" {done.peak_mb:8.0f} MB"
    how = {0: "", None: " stopped at its time limit"}.get(done.code, f" exit code {done.code}: {done.stderr.strip()[-300:]}")
    return f"{done.seconds:9.3f} s{memory}{how}"


def machine() -> dict:
    """Returns the processor, cores, memory and system."""
    processor = platform.processor()
    memory = None
    try:
        about = Path("/proc/cpuinfo").read_text()
        processor = re.findall(r"^model name\s*:\s*(.+)$", about, re.MULTILINE)[0]
        kilobytes = re.findall(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)[0]
        memory = round(int(kilobytes) * 1024 / 1e9, 1)
    except (OSError, IndexError):
        pass
    system = f"{platform.system()} {platform.release()}"
    return {"processor": processor, "cores": os.cpu_count(), "memory_gb": memory, "system": system}


def load() -> list[float] | None:
    """Returns the load averages: measurements on a busy machine are unreliable."""
    return [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else None


def commit() -> str:
    """Returns the measured commit, marked if the working tree differs from it."""
    git = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "--", "crates", "Cargo.lock"], capture_output=True, text=True)
        return head.stdout.strip() + (" with changes" if changed.stdout.strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def about(arguments: list[str]) -> dict:
    """Returns the metadata of a result file. Paths are shortened to file names."""
    return {
        "date": datetime.date.today().isoformat(),
        "command": " ".join([Path(arguments[0]).name] + [Path(a).name if os.sep in a else a for a in arguments[1:]]),
        "commit": commit(),
        "machine": machine(),
        "load_before": load(),
    }


def about_in_words(about: dict) -> str:
    machine = about["machine"]
    memory = f", {machine['memory_gb']} GB" if machine["memory_gb"] else ""
    return (
        f"`{about['command']}`, commit {about['commit']}, {about['date']}, on {machine['processor']}, "
        f"{machine['cores']} cores{memory}, {machine['system']}; load before {about['load_before']}."
    )


def program(name: str, given: str | None) -> str | None:
    """Returns the path of a program of this workspace: as given, or in the target folder."""
    if given:
        return given if Path(given).exists() else None
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = target / "release" / name
    return str(path) if path.exists() else None


def of_tiers(about: str | None, **further) -> argparse.Namespace:
    """Parses the common arguments of scripts that measure only tiers, and `further` ones; finds the program."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the files that models.py names")
    parser.add_argument("--size", default="1e7")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=float, default=900.0, help="seconds per run")
    parser.add_argument("--tiers", help="the program (default: from the target folder)")
    parser.add_argument("--results", type=Path, default=RESULTS)
    for name, settings in further.items():
        parser.add_argument("--" + name.replace("_", "-"), **settings)
    arguments = parser.parse_args()
    arguments.tiers = program("tiers", arguments.tiers)
    if arguments.tiers is None:
        sys.exit("tiers is not in the target folder; build it, or name it with --tiers")
    return arguments


def numbered(path: Path) -> Path:
    """Returns the path, with -2, -3, … appended if the file exists, so that results are not overwritten."""
    candidates = [path] + [path.with_name(f"{path.stem}-{n}{path.suffix}") for n in range(2, 100)]
    return next(candidate for candidate in candidates if not candidate.exists())


def write(results: Path, name: str, document: dict, text: str) -> Path:
    """Writes `<date>-<name>.json` and `.md`."""
    results.mkdir(parents=True, exist_ok=True)
    path = numbered(results / f"{document['about']['date']}-{name}.json")
    path.write_text(json.dumps(document, indent=1) + "\n")
    path.with_suffix(".md").write_text(text)
    return path


def number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def ratio(a: float | None, b: float | None) -> float | None:
    return a / b if a is not None and b else None
