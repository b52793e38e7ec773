"""The profiled criterion by its textbook formula, in ball arithmetic with 320 bits, or more if needed.

With H = I + Z G(theta) Z' (rows scaled by the roots of their weights) and r² = min over beta of
(y - X beta)' H⁻¹ (y - X beta),

    ML    log|H| - Σ log w + n (1 + log(2 π r² / n))
    REML  log|H| - Σ log w + log|X'H⁻¹X| + (n - p)(1 + log(2 π r² / (n - p)))

as in lme4 (deviance, REMLcrit). Nothing is eliminated, centred or reused: H is only split by the groups of
the coarsest level, which share no effects. Balls carry bounds of their rounding errors, so every number
that is returned is correct; otherwise `Undetermined` is raised.
"""

from __future__ import annotations

from dataclasses import dataclass

import flint
import numpy as np

from design import Design

BITS = (320, 1280)


class Undetermined(ArithmeticError):
    """The ball is too wide: the number cannot be computed in this precision."""


@dataclass
class At:
    """The criterion and the estimates at one theta."""

    criterion: float
    beta: np.ndarray
    vcov: np.ndarray
    sigma: float


def components(design: Design) -> list[list[int]]:
    """Returns the rows of each group of the coarsest level in the model; these groups share no effects."""
    coarsest = min(design.blocks, key=lambda block: block.groups)
    order = np.argsort(coarsest.group, kind="stable")
    return [rows.tolist() for rows in np.split(order, np.cumsum(np.bincount(coarsest.group))[:-1])]


def factors(design: Design, theta) -> list[np.ndarray]:
    """Returns the relative covariance factor of each block, whose entries are those of theta."""
    result, at = [], 0
    for block in design.blocks:
        k = len(block.names)
        factor = np.zeros((k, k), dtype=object)
        for j in range(k):
            for i in range(j, k):
                factor[i, j] = theta[at]
                at += 1
        result.append(factor)
    return result


class Dense:
    """The criterion of a design as a function of theta."""

    def __init__(self, design: Design, kept: list[int], reml: bool):
        flint.ctx.prec = BITS[-1]
        arb = flint.arb
        self.design, self.reml = design, reml
        self.n, self.p = len(design.y), len(kept)
        root = [arb(w).sqrt() for w in design.weights]
        self.log_w = sum((arb(w).log() for w in design.weights), arb(0))
        self.k = [[arb(v) * r for v in [*design.x[i, kept], design.y[i]]] for i, r in enumerate(root)]
        self.values = [[[arb(v) * r for v in block.values[i]] for i, r in enumerate(root)] for block in design.blocks]
        self.parts = components(design)
        self.size = np.concatenate([unit_of(block) for block in design.blocks])

    def balls(self, theta) -> tuple:
        """Returns criterion, beta, vcov and sigma² as narrow balls; theta may be floats or balls."""
        for bits in BITS:
            flint.ctx.prec = bits
            try:
                result = self.evaluate(theta)
            except ZeroDivisionError:  # the ball of a pivot contains zero
                continue
            if result[0].rel_accuracy_bits() > 200:
                return result
        raise Undetermined("the criterion at " + str([float(flint.arb(t).mid()) for t in theta]))

    def evaluate(self, theta) -> tuple:
        """Computes `balls` in the current precision."""
        arb, mat = flint.arb, flint.arb_mat
        lambdas = factors(self.design, [arb(t) for t in theta])
        m = self.p + 1
        log_det, a = arb(0), mat(m, m)
        for rows in self.parts:
            k = mat(len(rows), m, [v for i in rows for v in self.k[i]])
            z = self.z(rows, lambdas)
            if z.ncols() < len(rows):  # use Woodbury's identity for the determinant and the products
                inner = z.transpose() * z + identity(z.ncols())
                zk = z.transpose() * k
                a += k.transpose() * k - zk.transpose() * inner.solve(zk)
            else:
                inner = z * z.transpose() + identity(len(rows))
                a += k.transpose() * inner.solve(k)
            log_det += inner.det().log()
        p, freedom = self.p, self.n - self.p if self.reml else self.n
        xx = mat(p, p, [a[i, j] for i in range(p) for j in range(p)])
        xy = mat(p, 1, [a[i, p] for i in range(p)])
        beta = xx.solve(xy) if p else xy
        r2 = a[p, p] - sum((a[i, p] * beta[i, 0] for i in range(p)), arb(0))
        sigma2 = r2 / freedom
        criterion = log_det - self.log_w + freedom * (1 + (2 * arb.pi() * sigma2).log())
        if self.reml and p:
            criterion += xx.det().log()
        return criterion, beta, (xx.inv() if p else xx) * sigma2, sigma2

    def z(self, rows: list[int], lambdas: list[np.ndarray]):
        """Returns Z Λ of some rows, as a dense matrix."""
        zero = flint.arb(0)
        parts: list[list[list]] = []
        for values, block, factor in zip(self.values, self.design.blocks, lambdas):
            k = len(block.names)
            index = {g: i for i, g in enumerate(dict.fromkeys(block.group[rows].tolist()))}
            part = [[zero] * (k * len(index)) for _ in rows]
            for line, i in zip(part, rows):
                at = index[block.group[i]] * k
                for j in range(k):
                    line[at + j] = sum((values[i][l] * factor[l, j] for l in range(j, k)), zero)
            parts.append(part)
        joined = [sum(lines, []) for lines in zip(*parts)]
        return flint.arb_mat(len(rows), len(joined[0]), [v for line in joined for v in line])

    def units(self, theta) -> np.ndarray:
        """Returns the unit of each entry of theta: an effect the size of the residual, or |theta| if larger."""
        return np.maximum(self.size, np.abs(np.array(theta, float)))

    def value(self, theta) -> float:
        """Returns the criterion, correct to the last digit of a float."""
        return number(self.balls(theta)[0])

    def at(self, theta) -> At:
        criterion, beta, vcov, sigma2 = self.balls(theta)
        p = self.p
        return At(
            number(criterion),
            np.array([number(beta[i, 0]) for i in range(p)]),
            np.array([[number(vcov[i, j]) for j in range(p)] for i in range(p)]).reshape(p, p),
            number(sigma2.sqrt()),
        )

    def derivatives(self, theta) -> tuple[np.ndarray, np.ndarray]:
        """Returns gradient and Hessian in `units`, by differences, which are exact because of the many bits."""
        flint.ctx.prec = BITS[0]
        arb = flint.arb
        step = arb(1e-14)
        sizes = [step * u for u in self.units(theta)]
        theta = [arb(t) for t in theta]
        k = len(theta)

        def f(*moves):
            point = list(theta)
            for i, sign in moves:
                point[i] += sign * sizes[i]
            return self.balls(point)[0]

        middle = f()
        gradient, hessian = np.zeros(k), np.zeros((k, k))
        ups, downs = [f((i, 1)) for i in range(k)], [f((i, -1)) for i in range(k)]
        for i in range(k):
            gradient[i] = float(((ups[i] - downs[i]) / (2 * step)).mid())
            hessian[i, i] = float(((ups[i] + downs[i] - 2 * middle) / (step * step)).mid())
            for j in range(i):
                mixed = f((i, 1), (j, 1)) + f((i, -1), (j, -1)) - ups[i] - downs[i] - ups[j] - downs[j] + 2 * middle
                hessian[i, j] = hessian[j, i] = float((mixed / (2 * step * step)).mid())
        return gradient, hessian


def plain(design: Design, kept: list[int], reml: bool, theta) -> float:
    """Computes the criterion in f64 with an explicit n × n matrix V, to check `Dense` on small cases."""
    v = np.diag(1 / design.weights)
    for block, factor in zip(design.blocks, factors(design, theta)):
        u = block.values @ factor.astype(float)
        v += (u @ u.T) * (block.group[:, None] == block.group[None, :])
    x, n, p = design.x[:, kept], len(design.y), len(kept)
    vx, vy = np.linalg.solve(v, x), np.linalg.solve(v, design.y)
    r = design.y - x @ np.linalg.solve(x.T @ vx, x.T @ vy)
    freedom = n - p if reml else n
    sigma2 = r @ np.linalg.solve(v, r) / freedom
    criterion = np.linalg.slogdet(v)[1] + freedom * (1 + np.log(2 * np.pi * sigma2))
    return float(criterion + (np.linalg.slogdet(x.T @ vx)[1] if reml else 0.0))


def unit_of(block) -> np.ndarray:
    """Returns the value of each entry of theta at which its column of Z has effects the size of the residual."""
    size = np.sqrt(np.mean(block.values**2, axis=0))
    return np.array([1 / (size[i] or 1.0) for j in range(len(size)) for i in range(j, len(size))])


def minimise(dense: Dense, start, most: int = 60) -> tuple[np.ndarray, float, bool]:
    """Minimises by Newton's method with absolute eigenvalues; returns theta, criterion, and whether it converged."""
    theta, value = np.array(start, float), dense.value(start)
    for _ in range(most):
        gradient, hessian = dense.derivatives(theta)
        eigenvalues, vectors = np.linalg.eigh(hessian)
        part = vectors.T @ gradient
        # at a saddle point the gradient along the descent direction is zero
        floor = 1e-9 * max(1e-3, np.abs(eigenvalues).max())
        part = np.where((eigenvalues < -1e-7) & (np.abs(part) < 1e-4), 1e-2, part)
        step = -vectors @ (part / np.maximum(np.abs(eigenvalues), floor))
        length = np.linalg.norm(step)
        if length > 2:
            step *= 2 / length
        size, moved = 1.0, False
        for _ in range(40):
            trial = theta + size * step * dense.units(theta)
            trial_value = dense.value(trial)
            if trial_value < value:
                moved = True
                break
            size /= 2
        if not moved:
            return theta, value, True
        fall, theta, value = value - trial_value, trial, trial_value
        if fall < 1e-12:
            return theta, value, True
    return theta, value, False


def number(ball) -> float:
    middle, radius = float(ball.mid()), float(ball.rad())
    if not radius <= 1e-13 * max(abs(middle), 1e-30):
        raise Undetermined(str(ball))
    return middle


def identity(n: int):
    return flint.arb_mat(n, n, [flint.arb(int(i == j)) for i in range(n) for j in range(n)])
