"""Judges the answer of tiers to a generated model."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from dense import Dense, Undetermined, factors, minimise
from design import Design, coefficient_name, design, independent, level_name, theta_name
from generate import Case

CRITERION = 1e-6  # allowed excess of a criterion over the lowest known one, and allowed difference from its formula
ESTIMATE = 1e-6  # allowed error of coefficients (in standard errors), standard errors and sigma (relative)
FEW_DIGITS = 1e3  # theta from which a refusal for lack of digits is accepted: a residual sd of 1e-3 times that of the groups
OUTCOMES = ("converged", "boundary", "not_converged", "refused", "failed")


@dataclass
class Verdict:
    """The verdict on one case: `faults` are errors, `notes` deserve a look."""

    name: str
    outcome: str
    formula: str
    rows: int
    method: str
    what: str = ""  # the message, if refused
    lme4: str = ""  # whether lme4 fits the model, or its error
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)


def tiers_theta(fit: dict) -> dict[str, float]:
    """Returns theta of `fit.json` by name."""
    names = []
    for component in fit["variance_components"]:
        level, terms = level_name(component["level"]), component["terms"]
        names += [theta_name(level, terms[i], terms[j]) for j in range(len(terms)) for i in range(j, len(terms))]
    if len(names) != len(fit["theta"]):
        raise ValueError(f"{len(fit['theta'])} entries of theta for {names}")
    return dict(zip(names, fit["theta"]))


def judge(case: Case, code: int, fit: dict | None, stderr: str, lme4: dict | None) -> Verdict:
    outcome = fit["status"] if fit and code in (0, 2) else "refused" if code == 1 else "failed"
    verdict = Verdict(case.name, outcome, case.formula(), case.rows, case.method)
    outcome_of_lme4(verdict, lme4)
    if outcome == "failed":
        verdict.faults.append(f"exit {code}: {stderr.strip()[-300:]}")
        return verdict
    d = design(case)
    try:
        if outcome == "refused":
            verdict.what = stderr.strip()
            refused(verdict, d, case, lme4)
        else:
            fitted(verdict, d, case, fit, lme4)
    except Undetermined as error:
        verdict.notes.append(f"the dense criterion cannot be computed: {error}")
    return verdict


def outcome_of_lme4(verdict: Verdict, lme4: dict | None) -> None:
    default = (lme4 or {}).get("default") or {}
    if lme4 is None:
        verdict.lme4 = "absent"
    elif "criterion" in default:
        verdict.lme4 = "fits"
    else:
        verdict.lme4 = "refuses: " + str(default.get("error") or lme4.get("error"))[:120]


# A fit

def fitted(verdict: Verdict, d: Design, case: Case, fit: dict, lme4: dict | None) -> None:
    names = [coefficient_name(name) for name in d.x_names]
    terms = [coefficient_name(c["term"]) for c in fit["fixed_effects"]]
    if not set(terms) <= set(names):
        verdict.faults.append(f"coefficients {terms} are not among {names}")
        return
    kept = [names.index(term) for term in terms]
    if len(independent(d.x)) != len(kept):
        verdict.faults.append(f"coefficients {terms} where X has {[names[j] for j in independent(d.x)]}")
    if fit["n_obs"] != len(d.y):
        verdict.faults.append(f"{fit['n_obs']} rows are used where {len(d.y)} are complete")
        return
    by_name = tiers_theta(fit)
    if set(by_name) != set(d.theta_names()):
        verdict.faults.append(f"random effects {sorted(by_name)} where the formula has {sorted(d.theta_names())}")
        return
    theta = [by_name[name] for name in d.theta_names()]
    dense = Dense(d, kept, case.method == "REML")
    here = dense.at(theta)
    optimal = verdict.outcome in ("converged", "boundary")
    wrong = verdict.faults if optimal else verdict.notes

    off = fit["criterion"] - here.criterion
    verdict.figures["criterion_off"] = abs(off)
    if abs(off) > CRITERION:
        wrong.append(f"criterion {fit['criterion']!r} is {off:+.2e} off the dense one at its theta")
    compare_estimates(verdict, wrong, fit, here, "at its theta", ESTIMATE)
    best, least, _ = minimise(dense, theta)
    verdict.figures["above_local_minimum"] = here.criterion - least
    if here.criterion - least > CRITERION:
        wrong.append(f"criterion can fall by {here.criterion - least:.2e} from its theta")
    elif optimal:
        compare_estimates(verdict, wrong, fit, dense.at(best), "at the minimum", ESTIMATE if "exact" in case.kind else 1e-4)
    beside_lme4(verdict, wrong, d, dense, here.criterion, lme4, fit)
    if optimal:
        singular_or_not(verdict, d, theta, best, fit)


def compare_estimates(verdict: Verdict, wrong: list[str], fit: dict, at, where: str, tolerance: float) -> None:
    errors = np.sqrt(np.diag(at.vcov)) if len(at.beta) else np.zeros(0)
    beta = np.array([c["estimate"] for c in fit["fixed_effects"]])
    # Standard errors that are not available are not compared.
    given = [(i, c["std_error"]) for i, c in enumerate(fit["fixed_effects"]) if c["std_error"] is not None]
    distances = {
        "beta": float(np.max(np.abs(beta - at.beta) / errors, initial=0.0)),
        "se": max((abs(se / errors[i] - 1) for i, se in given), default=0.0),
        "sigma": abs(fit["sigma"] / at.sigma - 1),
    }
    for what, distance in distances.items():
        verdict.figures[f"{what} {where}"] = distance
        if not distance <= tolerance:
            wrong.append(f"{what} off by {distance:.1e} {where}")


def beside_lme4(verdict: Verdict, wrong: list[str], d: Design, dense: Dense, here: float, lme4: dict | None, fit: dict) -> None:
    if not lme4 or "best" not in lme4:
        return
    if {coefficient_name(n) for n in lme4["coefficients"]} != {coefficient_name(c["term"]) for c in fit["fixed_effects"]}:
        verdict.notes.append(f"lme4 has the coefficients {lme4['coefficients']}")
        return
    found = [("lme4's best", lme4["best"])] + ([("lme4's default", lme4["default"])] if "criterion" in lme4["default"] else [])
    verdict.figures["above_lme4"] = fit["criterion"] - min(f["criterion"] for _, f in found)
    least = min((dense.value(lme4_theta(d, f)), who) for who, f in found)
    verdict.figures["above_lme4_dense"] = here - least[0]
    if here - least[0] > CRITERION:
        wrong.append(f"criterion is {here - least[0]:.2e} above that of {least[1]}")
    elif verdict.figures["above_lme4"] > CRITERION:
        verdict.notes.append(
            f"lme4 reports {verdict.figures['above_lme4']:.1e} less, but the dense criterion at its theta is "
            f"{least[0] - here:+.1e} from that at theta of tiers: digits lost by lme4"
        )


def lme4_theta(d: Design, found: dict) -> list[float]:
    return [found["theta"][name] for name in d.theta_names()]


def singular_or_not(verdict: Verdict, d: Design, theta, best, fit: dict) -> None:
    """Checks that the status is `boundary` if and only if a covariance matrix is singular at the minimum.

    If V is the same along a line of covariances, this line may include one with a variance of zero. Then
    `converged` is right if a note says that the variances are not determined.
    """
    least = min(smallest(block, t) for block, t in zip(d.blocks, factors(d, [float(v) for v in best])))
    mine = min(smallest(block, t) for block, t in zip(d.blocks, factors(d, [float(v) for v in theta])))
    verdict.figures["singularity"] = mine
    if verdict.outcome == "converged" and min(mine, least) < 1e-9:
        line = along_a_line(d, 1e-5) if any("do not determine" in note for note in fit.get("notes", [])) else None
        text = f"converged, where a covariance matrix is singular ({mine:.0e}, {least:.0e} at the minimum)"
        if line:
            verdict.notes.append(f"{text}, with a note that the variances are not determined: {line}")
        else:
            verdict.faults.append(text)
    if verdict.outcome == "boundary" and mine > 1e-4:
        verdict.faults.append(f"boundary, where no covariance matrix is singular ({mine:.0e})")


def smallest(block, factor) -> float:
    """Measures how close a covariance is to singular: its least singular value in the units of Z's columns, relative
    to the residual and to the scale of the rows."""
    size = np.sqrt(np.mean(block.values**2, axis=0))
    size[size == 0] = 1
    scaled = np.array(factor, float) * size[:, None]
    singular_values = np.linalg.svd(scaled, compute_uv=False)
    rows = np.linalg.norm(scaled, axis=1)
    if rows.min() < 1e-9:
        return float(rows.min())
    correlation = np.linalg.svd(scaled / rows[:, None], compute_uv=False)
    return float(min(singular_values[-1], correlation[-1]))


# A refusal

def refused(verdict: Verdict, d: Design, case: Case, lme4: dict | None) -> None:
    dense = Dense(d, independent(d.x), case.method == "REML")
    found = [lme4_theta(d, f) for f in ((lme4 or {}).get("default"), (lme4 or {}).get("best")) if f and "theta" in f]
    try:
        ends = [minimise(dense, start) for start in [*found, dense.size * diagonal(d)]]
        theta, least, _ = min(ends, key=lambda end: end[1])
        evidence = along_rays(d, dense, theta, least)
    except Undetermined:
        verdict.notes.append("right: the fixed effects leave no residual")
        return
    evidence = evidence or along_a_line(d)
    if evidence:
        verdict.notes.append("right: " + evidence)
        return
    largest = float(np.abs(theta).max())
    text = f"there is a minimum, {least:.6f} at theta {[float(f'{t:.6g}') for t in theta]}"
    verdict.figures["largest_theta"] = largest
    if largest >= FEW_DIGITS and re.search(r"digit|precision|rounding", verdict.what):
        verdict.notes.append(f"refused for lack of digits; {text}")
    elif "has only one level" in verdict.what and "contrasts" in verdict.lme4:
        verdict.notes.append("refused by both: a factor has one level")
    elif verdict.lme4 == "fits":
        verdict.faults.append(f"refused, but {text}")
    else:
        verdict.notes.append(f"refused by both, but {text}")


def along_rays(d: Design, dense: Dense, theta, least: float) -> str | None:
    """Returns evidence that the criterion has its infimum at the end of a ray of theta, if there is any."""
    ones = dense.size * diagonal(d)
    rays = [("all variances grow", np.zeros(len(theta)), ones), ("theta of lme4 grows", np.zeros(len(theta)), np.array(theta))]
    at = 0
    for block in d.blocks:
        size = len(block.names) * (len(block.names) + 1) // 2
        only = np.where((np.arange(len(theta)) >= at) & (np.arange(len(theta)) < at + size), ones, 0.0)
        rays.append((f"the variances of {block.level} ({', '.join(block.names)}) grow", np.array(theta), only))
        rays.append((f"those of {block.level} ({', '.join(block.names)}) alone grow", np.zeros(len(theta)), only))
        at += size
    for what, start, direction in rays:
        if not np.any(direction):
            continue
        values = [dense.value(start + 10.0**k * direction) for k in range(0, 13, 2)]
        steps = np.diff(values)
        if steps[-1] < -0.1 and abs(steps[-1] - steps[-2]) < 0.01 * abs(steps[-1]) and values[-1] < least:
            return f"as {what} the criterion falls by {-steps[-1] / 2:.2f} per decade without bound"
        if abs(steps[-1]) < CRITERION and values[-1] <= least + CRITERION:
            flat = max(values) - min(values) < CRITERION
            return f"as {what} the criterion {'is flat' if flat else 'falls to its limit'}, {values[-1]:.6f}, and is nowhere lower"
    return None


def along_a_line(d: Design, tolerance: float = 1e-8) -> str | None:
    """Returns evidence that the covariances of random effects and the residual variance can change without
    changing V, if there is any."""
    parts, names = [np.diag(1 / d.weights)], ["the residual variance"]
    for block in d.blocks:
        together = block.group[:, None] == block.group[None, :]
        for j in range(len(block.names)):
            for i in range(j, len(block.names)):
                product = np.outer(block.values[:, i], block.values[:, j]) * together
                parts.append(product + product.T)
                names.append(f"{block.level}|{block.names[i]}" + (f".{block.names[j]}" if i != j else ""))
    columns = np.column_stack([part.ravel() / (np.linalg.norm(part) or 1.0) for part in parts])
    _, values, vectors = np.linalg.svd(np.linalg.qr(columns)[1])
    if values[-1] > tolerance * values[0]:
        return None
    moving = [name for name, v in zip(names, vectors[-1]) if abs(v) > 1e-6]
    return f"V, and with it the criterion, is the same along a line of covariances: {', '.join(moving)}"


def diagonal(d: Design) -> np.ndarray:
    """Returns 1 for the diagonal entries of theta and 0 for the others."""
    widths = [len(block.names) for block in d.blocks]
    return np.concatenate([[float(i == j) for j in range(k) for i in range(j, k)] for k in widths])
