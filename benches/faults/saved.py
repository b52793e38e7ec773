#!/usr/bin/env python3
"""Mutates saved fits and runs commands on them: each must exit with 0 and the same numbers, or with 1.

    benches/faults/saved.py [--tiers PATH] [--count 2000] [--seed 1]

Fits of several kinds are saved, and also converted to the format of tiers 0.1.0, which had no fingerprint.
A mutation flips bits of a file, truncates it, alters, drops or exchanges values of its JSON, or replaces it
by the file of another fit. Then a command that reads the file is run. Without a fingerprint, a wrong value
cannot be detected if nothing else in the folder determines it; such outcomes are counted by the altered key
and are not failures. Needs only Python 3.9 or later.
"""

import argparse
import collections
import copy
import json
import math
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

FITS = {
    "slopes": ["score ~ hours*arm + (1 + hours | site) + (1 | site:ward)"],
    "nested": ["score ~ hours + arm + (1 | site/ward)", "--ml"],
    "robust": ["score ~ hours*arm + (1 | site/ward)", "--df", "kenward-roger", "--robust", "CR2"],
    "normal": ["score ~ 0 + arm + (0 + hours || site)", "--df", "none", "--weights", "weight"],
    "singular": ["score ~ hours + twice + (1 | site)"],
}
COMMANDS = [
    ["anova", "{fit}"],
    ["anova", "{fit}", "--type", "1"],
    ["means", "{fit}", "arm"],
    ["means", "{fit}", "--test", "{term} = 0"],
    ["confint", "{fit}", "--method", "wald"],
    ["compare", "{fit}", "{other}"],
    ["ranef", "{fit}"],
    ["diagnose", "{fit}"],
    ["predict", "{fit}", "{data}", "--out", "{out}", "--quiet"],
    ["predict", "{fit}", "{data}", "--out", "{out}", "--population", "--se", "--quiet"],
    ["predict", "{fit}", "{data}", "--out", "{out}", "--interval", "prediction", "--quiet"],
]


def table(path):
    """Writes 72 rows of four sites with three wards each."""
    lines = ["score,hours,twice,arm,site,ward,weight"]
    for i in range(72):
        noise = 1.3 * math.sin(12.9898 * i) + math.sin(2.3 * (i // 18)) + 0.7 * math.sin(4.7 * (i // 6))
        score = 5 + 0.3 * (i % 7) + (i % 3 == 1) + noise
        lines.append(f"{score:.4f},{i % 7},{2 * (i % 7)},{'abc'[i % 3]},S{i // 18},{i // 6 % 3},{1 + i % 4}")
    path.write_text("\n".join(lines) + "\n")


def places(value, path=()):
    """Yields the paths of all values within a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, path + (key,))


def parent(value, path):
    for key in path[:-1]:
        value = value[key]
    return value


def altered(value, rng):
    """Returns a value to replace this one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice([value + 1, -value, 0, 10**9, 2**63 - 1, value + 0.5, "x", None])
    if isinstance(value, float):
        return rng.choice([value * 1.01, value + 1, -value, 0.0, 1e300, 1e-300, None, "x"])
    if isinstance(value, str):
        return rng.choice([value + "x", "", value[::-1], "converged", "boundary", "ML", 7])
    if value is None:
        return rng.choice([0.0, 1.5, -1, "x"])
    if isinstance(value, list):
        return rng.choice([[], value * 2, value[1:], value[::-1], {}, None])
    return rng.choice([{}, [], None])


def mutate_json(text, rng):
    """Alters, drops or exchanges a value; returns the text and the place."""
    value = json.loads(text)
    for _ in range(100):
        path = rng.choice([path for path in places(value) if path])
        above, key = parent(value, path), path[-1]
        how = rng.choice(["alter", "alter", "alter", "alter", "drop", "exchange"])
        before = copy.deepcopy(value)
        if how == "alter":
            above[key] = altered(above[key], rng)
        elif how == "drop":
            del above[key]
        else:
            keys = list(above) if isinstance(above, dict) else range(len(above))
            other = rng.choice(list(keys))
            above[key], above[other] = above[other], above[key]
        if value != before or how == "drop":
            name = ".".join(str(part) for part in path if not isinstance(part, int))
            return json.dumps(value), f"{how} {name}"
    return text, "nothing"


def mutate_bytes(data, rng):
    data = bytearray(data)
    if rng.random() < 0.2:
        return bytes(data[: rng.randrange(len(data))]), "cut"
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data), "flip"


def mutate(folder, others, rng):
    """Changes one file of a fit; returns a description of the change."""
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in (".json", ".parquet")]
    jsons = [path for path in files if path.suffix == ".json"]
    file = rng.choice(jsons * 3 + files)
    name = file.relative_to(folder).as_posix()
    what = rng.choice(["json", "json", "json", "bytes", "mix"])
    if what == "mix":
        other = rng.choice(others)
        from_there = other / name
        if from_there.exists() and from_there.read_bytes() != file.read_bytes():
            shutil.copy(from_there, file)
            return f"{name}: from another fit"
        what = "bytes"
    if what == "json" and file.suffix == ".json":
        text, how = mutate_json(file.read_text(), rng)
        file.write_text(text)
    else:
        data, how = mutate_bytes(file.read_bytes(), rng)
        file.write_bytes(data)
    return f"{name}: {how}"


def unseal(folder):
    """Removes the fingerprint and marks the fit as written by the first version."""
    fit, model = json.loads((folder / "fit.json").read_text()), json.loads((folder / "model.json").read_text())
    fit.pop("fingerprint"), fit.pop("files")
    model["tiers_model"] = 1
    (folder / "fit.json").write_text(json.dumps(fit)), (folder / "model.json").write_text(json.dumps(model))


class Runner:
    def __init__(self, tiers, place):
        self.tiers, self.out = tiers, place / "predictions.csv"
        self.environment = {key: value for key, value in os.environ.items() if key != "RUST_BACKTRACE"}

    def run(self, arguments):
        """Returns the exit code, what was printed and written, and the message."""
        self.out.unlink(missing_ok=True)
        done = subprocess.run([self.tiers, *arguments], capture_output=True, timeout=60, env=self.environment)
        written = self.out.read_bytes() if self.out.exists() else b""
        return done.returncode, done.stdout + written, done.stderr.decode(errors="replace")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tiers", default="target/release/tiers")
    arguments.add_argument("--count", type=int, default=2000)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    rng = random.Random(options.seed)
    outcomes, failures, unseen = collections.Counter(), [], collections.Counter()
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        runner = Runner(str(pathlib.Path(options.tiers).resolve()), place)
        data = place / "wards.csv"
        table(data)
        for name, model in FITS.items():
            done = subprocess.run([runner.tiers, "fit", *model, str(data), "--out", str(place / name), "--quiet"])
            if done.returncode != 0:
                sys.exit(f"{name} could not be fitted")
            shutil.copytree(place / name, place / f"{name}-unsealed")
            unseal(place / f"{name}-unsealed")
        expected = {}
        for number in range(options.count):
            sealed = number % 2 == 0
            name = rng.choice(list(FITS))
            kind = name if sealed else f"{name}-unsealed"
            others = [place / (other if sealed else f"{other}-unsealed") for other in FITS if other != name]
            victim = place / "fit"
            shutil.rmtree(victim, ignore_errors=True)
            shutil.copytree(place / kind, victim)
            term = json.loads((victim / "fit.json").read_text())["fixed_effects"][0]["term"]
            command = rng.choice(COMMANDS)
            # The fit has the same name in both runs, because messages and tables contain it.
            words = {"fit": victim, "other": place / "slopes", "data": data, "out": runner.out, "term": term}
            command = [word.format(**words) for word in command]
            key = (kind, *command)
            if key not in expected:
                expected[key] = runner.run(command)
            code, before, _ = expected[key]
            what = mutate(victim, others, rng)
            try:
                now, printed, message = runner.run(command)
            except subprocess.TimeoutExpired:
                now, printed, message = None, b"", "it hangs"
            group = "with fingerprint" if sealed else "without"
            if now == 1:
                outcomes[group, "code 1"] += 1
                if not message.strip().splitlines()[-1:] or "internal error" in message:
                    failures.append((kind, command, what, message))
            elif now == code and printed == before:
                outcomes[group, "the same numbers"] += 1
            elif now in (0, 2) and not sealed:
                outcomes[group, "other numbers, from a value that nothing determines"] += 1
                unseen[what] += 1
            else:
                outcomes[group, f"FAILED: code {now}"] += 1
                failures.append((kind, command, what, message))
    for (group, outcome), count in sorted(outcomes.items()):
        print(f"{group:>18}  {outcome:<54} {count:>5}")
    for what, count in unseen.most_common():
        print(f"{'unseen':>18}  {what:<54} {count:>5}")
    for kind, command, what, message in failures:
        print(f"FAILED {kind} {' '.join(map(str, command[:1] + command[2:]))}: {what}: {message.strip()}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
