"""Builds the design matrices of a case from its description, by R's rules of coding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generate import Case


@dataclass
class Block:
    """A random term, with `||` expanded: Z has these columns for each of the groups."""

    level: str  # keys sorted by name, joined by ':'
    names: list[str]
    values: np.ndarray  # n × k
    group: np.ndarray  # n
    groups: int

    def theta_names(self) -> list[str]:
        """Returns the names in lme4's order: the lower triangle of the relative covariance factor, by column."""
        k = len(self.names)
        return [theta_name(self.level, self.names[i], self.names[j]) for j in range(k) for i in range(j, k)]


@dataclass
class Design:
    """The complete cases, in the order of the file."""

    y: np.ndarray  # minus the offset
    weights: np.ndarray
    x: np.ndarray
    x_names: list[str]
    blocks: list[Block]

    def theta_names(self) -> list[str]:
        return [name for block in self.blocks for name in block.theta_names()]


def theta_name(level: str, row: str, column: str) -> str:
    return f"{level}|{row}" if row == column else f"{level}|{row}.{column}"


def level_name(name: str) -> str:
    """Returns the name of a level with its keys sorted, because lme4 calls a/b `b:a`."""
    return ":".join(sorted(name.split(":")))


def coefficient_name(name: str) -> str:
    return ":".join(sorted(name.split(":")))


def design(case: Case) -> Design:
    used = ["y"] + [k for term in case.random for k in term.keys]
    used += [v for term in case.fixed for v in term] + [v for term in case.random for v in term.variables]
    used += [name for name in (case.offset, case.weights) if name]
    used = ["x1" if name == "I(x1^2)" else name for name in used]
    keep = [i for i in range(case.rows) if all(case.columns[name][i] is not None for name in used)]
    data = {name: [case.columns[name][i] for i in keep] for name in dict.fromkeys(used)}
    n = len(keep)
    y = np.array(data["y"]) - (np.array(data[case.offset]) if case.offset else 0.0)
    weights = np.array(data[case.weights]) if case.weights else np.ones(n)
    names, columns = fixed_columns(case, data, n)
    blocks = [block for term in case.random for block in term_blocks(term, data, n)]
    return Design(y, weights, np.column_stack(columns) if columns else np.zeros((n, 0)), names, blocks)


def fixed_columns(case: Case, data: dict[str, list], n: int) -> tuple[list[str], list[np.ndarray]]:
    names, columns, all_levels = [], [], False
    for term in sorted(case.fixed, key=len):
        product = [("", np.ones(n))] if term else [("(Intercept)", np.ones(n))]
        for variable in term:
            margin = tuple(v for v in term if v != variable)
            contrasts = any(set(other) == set(margin) for other in case.fixed)
            if not margin and not contrasts:  # without an intercept only the first factor has all its levels
                contrasts, all_levels = all_levels, all_levels or not is_number(variable, data)
            coded = coded_columns(variable, data, contrasts)
            # In R the levels of the first factor vary fastest.
            product = [(f"{a}:{b}".lstrip(":"), u * v) for b, v in coded for a, u in product]
        names += [name for name, _ in product]
        columns += [column for _, column in product]
    return names, columns


def is_number(variable: str, data: dict[str, list]) -> bool:
    return variable == "I(x1^2)" or isinstance(data[variable][0], float)


def coded_columns(variable: str, data: dict[str, list], contrasts: bool) -> list[tuple[str, np.ndarray]]:
    if variable == "I(x1^2)":
        return [(variable, np.array(data["x1"]) ** 2)]
    values = data[variable]
    if is_number(variable, data):
        return [(variable, np.array(values))]
    levels = sorted(set(values))[1 if contrasts else 0 :]
    return [(f"{variable}{level}", np.array([float(v == level) for v in values])) for level in levels]


def term_blocks(term, data: dict[str, list], n: int) -> list[Block]:
    path = list(zip(*(data[key] for key in term.keys)))
    index = {key: i for i, key in enumerate(dict.fromkeys(path))}
    group = np.array([index[key] for key in path])
    level = level_name(":".join(term.keys))
    ones = [("(Intercept)", np.ones(n))]
    if term.correlated:
        parts, contrasts = [ones[:] if term.intercept else []], term.intercept
        for variable in term.variables:
            coded = coded_columns(variable, data, contrasts)
            contrasts = contrasts or len(coded) > 1
            parts[0] += coded
    else:
        parts = ([ones] if term.intercept else []) + [coded_columns(v, data, False) for v in term.variables]
    return [
        Block(level, [name for name, _ in part], np.column_stack([c for _, c in part]), group, len(index)) for part in parts
    ]


def independent(x: np.ndarray, tolerance: float = 1e-9) -> list[int]:
    """Returns the columns that are not linear combinations of preceding ones."""
    kept: list[int] = []
    basis = np.zeros((x.shape[0], 0), dtype=np.longdouble)
    for j in range(x.shape[1]):
        column = x[:, j].astype(np.longdouble)
        rest = column.copy()
        for _ in range(2):
            rest -= basis @ (basis.T @ rest)
        if np.sqrt(rest @ rest) > tolerance * np.sqrt(column @ column):
            kept.append(j)
            basis = np.column_stack([basis, rest / np.sqrt(rest @ rest)])
    return kept
