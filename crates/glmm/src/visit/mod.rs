//! One evaluation on the rows of some top-level groups: conditional modes, criterion, gradient and Hessian.
//!
//! Given β and Λ, the conditional modes minimise `h(u) = -Σ l_i + u'u/2` and Laplace's criterion is
//! `f = 2 h + log|A|` with `A = Λ'Z'WZΛ + I` and the weights W at the modes. All quantities of a top-level group
//! follow from its own rows, which a visit meets while they are in cache; small groups share a visit. See `docs/theory.md`, "Generalised
//! models".

mod directions;
mod effects;
mod gradient;
mod hessian;
mod modes;
mod products;

use crate::family::Distribution;
use tiers_equations::reweighted::{Factor, Groups, PathShape, Solution};

/// What all visits of a model share.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) distribution: Distribution,
    /// Number of coefficients.
    pub(crate) p: usize,
    /// Random coefficients along a path.
    pub(crate) path: PathShape,
    /// Free entries of the factors Λ: (level, row, column).
    pub(crate) entries: Vec<(usize, usize, usize)>,
}

/// A point: β and the factors of each level, r×r row-major.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) beta: Vec<f64>,
    pub(crate) lambda: Vec<Vec<f64>>,
}

/// The rows of a visit, in the order of their finest groups.
#[derive(Clone, Debug, Default)]
pub(crate) struct VisitRows {
    /// X, rows × p, row-major.
    pub(crate) x: Vec<f64>,
    /// The distinct z columns, rows × D, row-major.
    pub(crate) z: Vec<f64>,
    /// Successes or weighted counts.
    pub(crate) k: Vec<f64>,
    /// Trials or weights.
    pub(crate) m: Vec<f64>,
    /// Offsets.
    pub(crate) offset: Vec<f64>,
    /// For each finest group, the end of its rows.
    pub(crate) ends: Vec<usize>,
}

impl VisitRows {
    /// The rows of each finest group, in order.
    pub(crate) fn by_group(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        (0..self.ends.len()).map(|g| if g == 0 { 0..self.ends[0] } else { self.ends[g - 1]..self.ends[g] })
    }
}

/// What to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Modes, criterion and gradient.
    Gradient,
    /// The Hessian, too.
    Hessian,
}

/// Sums over top-level groups.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sums {
    /// `Σ (2h + log|A|)`.
    pub(crate) value: f64,
    /// df/dβ.
    pub(crate) beta: Vec<f64>,
    /// Γ of each level, r×r: `df/dΛ = 2 Γ Λ`.
    pub(crate) gamma: Vec<Vec<f64>>,
    /// For each direction (β, then the entries of Λ): the derivative of df/dβ.
    pub(crate) beta_dot: Vec<f64>,
    /// For each direction and level: the derivative of Γ.
    pub(crate) gamma_dot: Vec<Vec<Vec<f64>>>,
    /// Whether the modes of every group were found.
    pub(crate) solved: bool,
}

impl Sums {
    pub(crate) fn new(shape: &Shape, want: Want) -> Sums {
        let levels = || (0..shape.path.levels()).map(|k| vec![0.0; shape.path.r(k).pow(2)]).collect::<Vec<_>>();
        let (p, directions) = (shape.p, if want == Want::Hessian { shape.p + shape.entries.len() } else { 0 });
        Sums {
            value: 0.0,
            beta: vec![0.0; p],
            gamma: levels(),
            beta_dot: vec![0.0; directions * p],
            gamma_dot: (0..directions).map(|_| levels()).collect(),
            solved: true,
        }
    }

    /// Adds the sums of other groups.
    pub(crate) fn merge(&mut self, other: &Sums) {
        let add = |a: &mut [f64], b: &[f64]| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        let add_levels = |a: &mut [Vec<f64>], b: &[Vec<f64>]| a.iter_mut().zip(b).for_each(|(a, b)| add(a, b));
        self.value += other.value;
        add(&mut self.beta, &other.beta);
        add_levels(&mut self.gamma, &other.gamma);
        add(&mut self.beta_dot, &other.beta_dot);
        self.gamma_dot.iter_mut().zip(&other.gamma_dot).for_each(|(a, b)| add_levels(a, b));
        self.solved &= other.solved;
    }
}

/// The modes of a visit's groups: u of each level, r numbers a group.
pub(crate) type Modes = Vec<Vec<f64>>;

/// Memory of visits, reused from group to group.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    pub(crate) rows: VisitRows,
    pub(crate) u: Modes,
    trial: Modes,
    factor: Factor,
    solution: Solution,
    /// `b = Λu` of each level, and its sums along the path of each group in the distinct z columns.
    effects: Modes,
    b: Vec<Vec<f64>>,
    xb: Vec<f64>,
    eta: Vec<f64>,
    l: Vec<f64>,
    s: Vec<f64>,
    w: Vec<f64>,
    w1: Vec<f64>,
    w2: Vec<f64>,
    /// `ẑ'Wẑ` and `ẑ's` of each finest group.
    p: Vec<f64>,
    t: Vec<f64>,
    /// D̂ of each finest group; `Var(η_i | y)`, c̃ and ẑ'v̂ of each row.
    d: Vec<f64>,
    variance: Vec<f64>,
    c: Vec<f64>,
    zv: Vec<f64>,
    v: Vec<f64>,
    /// `c̃ - 2s` of each row.
    score: Vec<f64>,
    /// `ẑ'c` and `ẑ'c̃` of each finest group.
    t_c: Vec<f64>,
    t_tilde: Vec<f64>,
    a: Vec<Vec<f64>>,
    a_tilde: Vec<Vec<f64>>,
    /// Products of a few rows with weights.
    weighted: Vec<f64>,
    hessian: hessian::Scratch,
}

impl Visit {
    /// Evaluates the groups whose rows are in `self.rows`, from the modes in `self.u`, which it moves.
    pub(crate) fn run(&mut self, shape: &Shape, groups: &Groups<'_>, at: &Point, want: Want, sums: &mut Sums) {
        self.find_modes(shape, groups, at, sums);
        self.add_gradient(shape, groups, at, sums);
        if want == Want::Hessian {
            self.add_hessian(shape, groups, at, sums);
        }
    }

    /// The linear predictors at the modes.
    pub(crate) fn eta(&self) -> &[f64] {
        &self.eta
    }
}

pub(crate) use effects::VisitEffects;

#[cfg(test)]
mod tests;
