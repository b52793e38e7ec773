"""Job files for `tiers run`: one model, twelve that share one read, and each of the twelve by itself.

    python3 benches/many.py DATA.parquet FOLDER
    for job in one twelve each1 … each12; do tiers run FOLDER/$job.toml; done

`job.json` in each folder of results has the seconds of reading and fitting. The data are those of
`nested_<size>.parquet` (see models.py).
"""

import sys
from pathlib import Path

FIXED = ["pretest", "ses", "female", "minority", "treat", "class_size"]
FULL = "score ~ " + " + ".join(FIXED)
NESTED = " + (1 | school/class)"

TWELVE = [
    *["score ~ " + " + ".join(FIXED[: i + 1]) + NESTED for i in range(len(FIXED))],
    FULL + " + pretest:ses" + NESTED,
    FULL + " + treat:pretest" + NESTED,
    FULL + " + (1 + pretest | school) + (1 | school:class)",
    FULL + " + (1 + ses | school) + (1 | school:class)",
    "pretest ~ ses + female + minority" + NESTED,
    FULL + " + (1 | school)",
]


def write(folder: Path, name: str, data: Path, formulas: list[str]) -> None:
    lines = ["[data]", f'paths = ["{data}"]', "[output]", f'folder = "{folder / name}"']
    for i, formula in enumerate(formulas, 1):
        lines += ["[[models]]", f'name = "m{i}"', f'formula = "{formula}"']
    (folder / f"{name}.toml").write_text("\n".join(lines) + "\n")


def main() -> None:
    data, folder = (Path(argument).resolve() for argument in sys.argv[1:3])
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, "one", data, [FULL + NESTED])
    write(folder, "twelve", data, TWELVE)
    for i, formula in enumerate(TWELVE, 1):
        write(folder, f"each{i}", data, [formula])


if __name__ == "__main__":
    main()
