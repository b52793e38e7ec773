"""The models and files of the benchmarks.

The data are students in classes in schools; class ids repeat in every school, and `minority` is a factor
with four levels. The files in the data folder are named `nested_<size>.parquet`, with `_shuffled` if the
rows are in random order and `_slopes` if slopes vary between schools, and `nested3_<size>.parquet` with
districts above the schools. `tiers simulate` makes them (see README).
"""

from dataclasses import dataclass

FIXED = "score ~ pretest + ses + female + minority + treat + class_size"


@dataclass(frozen=True)
class Model:
    name: str
    formula: str
    file: str  # with {size}
    keys: tuple[str, ...]

    def path(self, size: str) -> str:
        return self.file.format(size=size)


A = Model("A", f"{FIXED} + (1 | school/class)", "nested_{size}.parquet", ("school", "class"))
SHUFFLED = Model("A shuffled", A.formula, "nested_{size}_shuffled.parquet", A.keys)
B = Model("B", f"{FIXED} + (1 + pretest | school) + (1 | school:class)", "nested_{size}_slopes.parquet", A.keys)
C = Model("C", f"{FIXED} + (1 | district/school/class)", "nested3_{size}.parquet", ("district", "school", "class"))

ALL = {model.name: model for model in (A, SHUFFLED, B, C)}
