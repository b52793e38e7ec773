"""Generates models: data, a formula, and a description of both from which the dense criterion is built.

A case depends only on the seed, its kind and its number. `KINDS` gives the number of cases of each kind in a
run of 300 models; other numbers of models have the same proportions.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

KINDS = {
    "intercepts": 15,  # 1 to 3 nested levels, random intercepts
    "slopes": 25,  # correlated random slopes at one or two levels
    "double_bar": 35,  # (x || g), numbers and factors, at one or two levels
    "several_terms": 15,  # several terms at one level
    "factors": 25,  # factors, interactions, factors as random slopes, dependent columns
    "weights": 15,
    "offsets": 15,
    "missing": 15,
    "tiny": 30,  # 10 to 30 rows
    "medium": 15,  # 1,000 to 5,000 rows
    "singles": 15,  # most groups have one row
    "singular": 20,  # a variance of zero, or effects that are perfectly correlated
    "scales": 20,  # columns and responses far from zero, very large, very small
    "nearly_exact": 30,  # residual sd 1e-2 to 1e-8 times that of the groups
    "exact": 10,  # the groups explain the response exactly
}


@dataclass
class Term:
    """One random term as written: `(1 + x | a:b)`."""

    keys: tuple[str, ...]
    intercept: bool
    variables: list[str]
    correlated: bool = True

    def text(self) -> str:
        inside = " + ".join((["1"] if self.intercept else ["0"]) + self.variables)
        return f"({inside} {'|' if self.correlated else '||'} {':'.join(self.keys)})"


@dataclass
class Case:
    """A model with its data; `columns` contains lists, with `None` for missing values."""

    number: int
    kind: str
    method: str
    columns: dict[str, list]
    fixed: list[tuple[str, ...]]  # () is the intercept
    random: list[Term]
    offset: str | None = None
    weights: str | None = None
    note: str = ""
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = f"{self.number:04d}-{self.kind}"

    @property
    def rows(self) -> int:
        return len(self.columns["y"])

    def formula(self) -> str:
        terms = [":".join(term) for term in self.fixed if term]
        first = ["1" if () in self.fixed else "0"]
        offset = [f"offset({self.offset})"] if self.offset else []
        return "y ~ " + " + ".join(first + terms + offset + [term.text() for term in self.random])

    def write(self, path: Path) -> None:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(self.columns)
            for row in zip(*self.columns.values()):
                writer.writerow(["" if v is None else repr(v) if isinstance(v, float) else v for v in row])


def kinds_of(models: int) -> list[str]:
    """Returns the kinds of the cases in order, in the proportions of `KINDS`, evenly mixed."""
    total = sum(KINDS.values())
    spread = [((i + 0.5) / count, kind) for kind, count in KINDS.items() for i in range(count)]
    order = [kind for _, kind in sorted(spread)]
    return [order[(i * total // models) if models < total else i % total] for i in range(models)]


def cases(models: int, seed: int) -> list[Case]:
    """Returns all cases of a run."""
    return [draw(number, kind, seed) for number, kind in enumerate(kinds_of(models), 1)]


def draw(number: int, kind: str, seed: int) -> Case:
    rng = np.random.default_rng([seed, number])
    if kind == "exact":
        return exact(rng, number)
    return sampled(rng, number, kind)


LEVELS = ("a", "b", "c")


def size_of(rng: np.random.Generator, kind: str) -> int:
    low, high = {"tiny": (10, 30), "medium": (1000, 5000), "nearly_exact": (12, 90)}.get(kind, (40, 500))
    return int(round(math.exp(rng.uniform(math.log(low), math.log(high)))))


def groups(rng: np.random.Generator, n: int, depth: int, kind: str) -> list[np.ndarray]:
    """Draws the group numbers by level; those of finer levels are unique within their parent or overall."""
    many = {"singles": (0.55, 0.85), "tiny": (0.25, 0.6), "medium": (0.01, 0.06)}.get(kind, (0.06, 0.3))
    top = max(3, int(n * rng.uniform(*many) / 2 ** (depth - 1)))
    parent = rng.integers(0, top, n)
    if rng.random() < 0.5:
        parent = np.sort(parent)
    levels = [parent]
    for _ in range(1, depth):
        children = rng.integers(1, 5 if kind != "singles" else 8, top + 1)
        levels.append(np.array([rng.integers(0, children[g]) for g in parent]))
    if depth > 1 and rng.random() < 0.3:  # ids that are unique overall
        for d in range(1, depth):
            path = list(zip(*(level.tolist() for level in levels[: d + 1])))
            numbers = {key: i for i, key in enumerate(dict.fromkeys(path))}
            levels[d] = np.array([numbers[key] for key in path])
    return levels


def labels(rng: np.random.Generator, values: np.ndarray) -> list:
    if rng.random() < 0.5:
        return [int(v) + 1 for v in values]
    return [f"g{int(v):03d}" for v in values]


def keys(depth: int) -> list[tuple[str, ...]]:
    return [LEVELS[: d + 1] for d in range(depth)]


def predictors(rng: np.random.Generator, n: int, top: np.ndarray) -> dict[str, np.ndarray]:
    count = top.max() + 1
    return {
        "x1": np.round(rng.normal(size=n), 6),
        "x2": np.round(rng.normal(size=count)[top], 6),
        "t": rng.integers(0, 5, n).astype(float),
        "f": np.array(["p", "q", "r"])[rng.choice(3, n, p=[0.5, 0.3, 0.2])],
        "h": np.array(["lo", "hi"])[rng.integers(0, 2, count)[top]],
    }


def fixed_terms(rng: np.random.Generator, kind: str) -> list[tuple[str, ...]]:
    if kind == "tiny":
        choices = [[], [("x1",)], [("t",)], [("x1",), ("f",)], [("h",)]]
    elif kind == "factors":
        choices = [
            [("f",), ("h",), ("f", "h")],
            [("x1",), ("f",), ("x1", "f")],
            [("f",), ("f", "x1")],
            [("t",), ("h",), ("t", "h"), ("x2",)],
            [("f",), ("f2",)],  # f2 has the levels of f with other names: linearly dependent columns
            [("x1",), ("f",), ("h",), ("f", "h"), ("x1", "h")],
        ]
    else:
        choices = [[], [("x1",)], [("x1",), ("x2",)], [("t",), ("f",)], [("x1",), ("t",), ("x1", "t")], [("x1",), ("I(x1^2)",), ("h",)]]
    terms = choices[rng.integers(len(choices))]
    if kind == "factors" and terms[0] == ("f",) and rng.random() < 0.3:
        return terms  # without an intercept: f has all its levels
    return [()] + terms


def random_terms(rng: np.random.Generator, kind: str, depth: int) -> list[Term]:
    levels = keys(depth)
    terms = [Term(level, True, []) for level in levels]
    variables = ["x1", "t", "x2"]
    at = int(rng.integers(depth))
    if kind in ("slopes", "medium", "singular", "scales", "nearly_exact", "tiny", "weights", "missing", "offsets"):
        if kind == "slopes" or rng.random() < 0.5:
            terms[at].variables = [str(rng.choice(["x1", "t"]))]
        if kind == "slopes" and rng.random() < 0.4:
            other = int(rng.integers(depth))
            terms[other].variables = ["x1", "t"] if rng.random() < 0.5 else ["x1"]
        if kind in ("scales", "nearly_exact") and terms[at].variables and rng.random() < 0.4:
            terms[at].correlated = False
    elif kind == "double_bar":
        for d in {at, int(rng.integers(depth))}:
            terms[d] = Term(levels[d], bool(rng.random() < 0.85), list(rng.permutation(variables[:2])[: rng.integers(1, 3)]), False)
        if rng.random() < 0.2:
            terms[at].variables.append("f")
    elif kind == "several_terms":
        slope = str(rng.choice(["x1", "t"]))
        choices = [
            [Term(levels[at], False, [slope])],
            [Term(levels[at], False, ["x1"]), Term(levels[at], False, ["t"])],
            [Term(levels[at], False, ["x1", "t"])],
        ]
        terms += choices[rng.integers(3)]
    elif kind == "factors":
        terms[at].variables = [["f"], ["h"], ["f"], []][rng.integers(4)]
        terms[at].intercept = not terms[at].variables or bool(rng.random() < 0.6)
    if kind != "several_terms" and depth > 1 and rng.random() < 0.15:
        terms.pop(int(rng.integers(depth)))  # a level without random effects of its own
    return terms


def sampled(rng: np.random.Generator, number: int, kind: str) -> Case:
    n = size_of(rng, kind)
    depth = int(rng.choice([1, 2, 3], p=[0.45, 0.4, 0.15])) if kind != "tiny" else int(rng.choice([1, 2], p=[0.8, 0.2]))
    levels = groups(rng, n, depth, kind)
    data = predictors(rng, n, levels[0])
    data["f2"] = np.array([{"p": "u", "q": "v", "r": "w"}[v] for v in data["f"]])
    fixed, random = fixed_terms(rng, kind), random_terms(rng, kind, depth)
    method = "REML" if rng.random() < 0.6 else "ML"
    note = []

    if kind == "scales":
        note.append(stretch(rng, data))
    columns: dict[str, list] = {name: labels(rng, level) for name, level in zip(LEVELS, levels)}
    columns |= {k: v.tolist() for k, v in data.items()}

    case = Case(number, kind, method, columns | {"y": [0.0] * n}, fixed, random)
    residual = 10 ** rng.uniform(-8, -2) if kind == "nearly_exact" else 1.0
    case.columns["y"] = response(rng, case, data, residual, kind).tolist()
    if kind == "nearly_exact":
        note.append(f"residual sd {residual:.1e}")
    if kind == "offsets" or rng.random() < 0.05:
        offset = np.round(rng.normal(rng.choice([0, 10, 1000]), 2, n), 4)
        case.offset, case.columns["o"] = "o", offset.tolist()
        case.columns["y"] = (np.array(case.columns["y"]) + offset).tolist()
    if kind == "weights" or rng.random() < 0.05:
        case.weights, case.columns["w"] = "w", np.round(rng.uniform(0.2, 3, n), 3).tolist()
    if kind == "missing":
        for name in ("y", "x1", "t", "f", "a"):
            for i in rng.choice(n, max(1, n // 30), replace=False):
                case.columns[name][i] = None
    case.note = ", ".join(note)
    return case


def stretch(rng: np.random.Generator, data: dict[str, np.ndarray]) -> str:
    """Shifts and scales the numeric predictors."""
    changes = []
    for name in ("x1", "x2", "t"):
        scale = float(10.0 ** rng.integers(-6, 7))
        shift = float(rng.choice([0, 0, 100, 1e4, 1e6])) * scale
        data[name] = data[name] * scale + shift
        changes.append(f"{name} by {scale:g} at {shift:g}")
    return ", ".join(changes)


def response(rng: np.random.Generator, case: Case, data: dict[str, np.ndarray], residual: float, kind: str) -> np.ndarray:
    n = case.rows
    y = np.zeros(n)
    for term in case.fixed:
        if len(term) == 1 and term[0] in data and data[term[0]].dtype.kind == "f":
            y += rng.normal() * standardised(data[term[0]])
    if ("f",) in case.fixed:
        y += np.array([{"p": 0.0, "q": 0.7, "r": -0.4}[v] for v in data["f"]])
    for term in case.random:
        path = list(zip(*(case.columns[key] for key in term.keys)))
        index = {key: i for i, key in enumerate(dict.fromkeys(path))}
        group = np.array([index[key] for key in path])
        parts = ([np.ones(n)] if term.intercept else []) + [effect_column(data, v) for v in term.variables]
        shared = rng.normal(size=len(index))
        for column in parts:
            sd = rng.uniform(0.4, 1.5)
            effects = rng.normal(size=len(index))
            if kind == "singular":
                sd, effects = (0.0, effects) if rng.random() < 0.5 else (sd, shared)
            y += sd * effects[group] * column
    y += residual * rng.normal(size=n)
    if kind == "scales":
        scale = float(10.0 ** rng.integers(-5, 8))
        y = y * scale + float(rng.choice([0, 0, 100, 1e5])) * scale
    return y + (5.0 if kind != "scales" and () in case.fixed else 0.0)


def standardised(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / (x.std() or 1.0)


def effect_column(data: dict[str, np.ndarray], name: str) -> np.ndarray:
    values = data[name]
    if values.dtype.kind == "f":
        return standardised(values) if np.abs(values).max() > 50 else values
    return (values == values[0]).astype(float)


def exact(rng: np.random.Generator, number: int) -> Case:
    """Draws a response that the groups explain exactly, with values that are exact binary fractions."""
    n = int(rng.integers(12, 120))
    depth = int(rng.integers(1, 3))
    levels = groups(rng, n, depth, "exact")
    data = predictors(rng, n, levels[0])
    data["x1"] = rng.integers(-3, 4, n).astype(float)
    columns: dict[str, list] = {name: labels(rng, level) for name, level in zip(LEVELS, levels)}
    columns |= {k: v.tolist() for k, v in data.items()}
    terms = [Term(level, True, []) for level in keys(depth)]
    slopes = rng.random() < 0.3
    if slopes:
        terms[-1].variables = ["x1"]
    y = np.zeros(n)
    for term in terms:
        path = list(zip(*(columns[key] for key in term.keys)))
        index = {key: i for i, key in enumerate(dict.fromkeys(path))}
        group = np.array([index[key] for key in path])
        y += rng.integers(-40, 41, len(index))[group] / 8
        if term.variables:
            y += rng.integers(-9, 10, len(index))[group] / 8 * data["x1"]
    fixed = [()] + [[], [("x2",)], [("x1",)]][rng.integers(3)]
    if ("x1",) in fixed:
        y += 0.5 * data["x1"]
    columns["y"] = y.tolist()
    return Case(number, "exact", "REML" if rng.random() < 0.6 else "ML", columns, fixed, terms, note="exact")
