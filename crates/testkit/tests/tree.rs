//! Compares the elimination on the tree, written as in docs/theory.md, with the formulas with V. It is
//! slow and simple: its purpose is to check the equations of the document.
//!
//! Every quantity is computed with its derivative in one direction Ġ (the tangent).

use nalgebra::{DMatrix, DVector};
use tiers_testkit::{Checks, Method, NestedSample, Shape, Tolerance, simulate_nested};

type M = DMatrix<f64>;

/// A matrix and its derivative in the direction Ġ.
#[derive(Clone)]
struct Dual {
    v: M,
    d: M,
}

impl Dual {
    fn fixed(v: M) -> Dual {
        Dual { d: M::zeros(v.nrows(), v.ncols()), v }
    }
    fn times(&self, o: &Dual) -> Dual {
        Dual { v: &self.v * &o.v, d: &self.d * &o.v + &self.v * &o.d }
    }
    fn plus(&self, o: &Dual, sign: f64) -> Dual {
        Dual { v: &self.v + &o.v * sign, d: &self.d + &o.d * sign }
    }
    fn t(&self) -> Dual {
        Dual { v: self.v.transpose(), d: self.d.transpose() }
    }
    fn columns(&self, at: &[usize]) -> Dual {
        Dual { v: self.v.select_columns(at), d: self.d.select_columns(at) }
    }
}

/// One level: its columns of C, G_k and Ġ_k, the groups' parents, and the quantities per group.
struct Level {
    z: Vec<usize>,
    g: Dual,
    parent: Vec<usize>,
    n: Vec<Dual>,
    k: Vec<Dual>,
    y: Vec<Dual>,
    f: Vec<Dual>,
    h: Vec<Dual>,
    /// Conditional covariance, divided by σ², of the effects on the path from the top to the group.
    path: Vec<(Vec<usize>, Dual)>,
}

struct Tree {
    levels: Vec<Level>,
    log_det_a: f64,
    log_det_a_dot: f64,
    s: Dual,
}

/// Returns C = [columns, y] and the weights.
fn c_and_w(sample: &NestedSample) -> (M, DVector<f64>) {
    let mut columns: Vec<_> = sample.columns.iter().map(|c| DVector::from_column_slice(c)).collect();
    columns.push(DVector::from_column_slice(&sample.y));
    let w = sample.weights.clone().unwrap_or_else(|| vec![1.0; sample.n()]);
    (M::from_columns(&columns), DVector::from_vec(w))
}

/// Returns Λ_k of each level; several terms of a level are blocks of one Λ_k.
fn lambdas(sample: &NestedSample, theta: &[f64]) -> Vec<(Vec<usize>, M)> {
    let mut blocks = sample.problem().lambdas(theta).into_iter();
    let level = |terms: &Vec<Vec<usize>>| {
        let z: Vec<usize> = terms.concat();
        let mut lambda = M::zeros(z.len(), z.len());
        let mut at = 0;
        for block in blocks.by_ref().take(terms.len()) {
            lambda.view_mut((at, at), block.shape()).copy_from(&block);
            at += block.ncols();
        }
        (z, lambda)
    };
    sample.levels.iter().map(|l| &l.terms).map(level).collect()
}

fn build(sample: &NestedSample, relative: Vec<(Vec<usize>, Dual)>) -> Tree {
    let (c, w) = c_and_w(sample);
    let m = c.ncols();
    let mut tree = Tree {
        levels: Vec::new(),
        log_det_a: 0.0,
        log_det_a_dot: 0.0,
        s: Dual::fixed(c.transpose() * M::from_diagonal(&w) * &c),
    };
    for (k, (z, g)) in relative.into_iter().enumerate() {
        let group = &sample.levels[k].group;
        let count = 1 + group.iter().max().unwrap();
        let mut parent = vec![0; count];
        if let Some(above) = sample.levels.get(k + 1) {
            group.iter().zip(&above.group).for_each(|(&a, &b)| parent[a] = b);
        }
        let mut level = Level { z, g, parent, n: vec![], k: vec![], y: vec![], f: vec![], h: vec![], path: vec![] };
        for at in 0..count {
            // §4.2: N_g row by row
            let mut n = Dual::fixed(M::zeros(level.z.len(), m));
            for (row, &col) in level.z.iter().enumerate() {
                let from = n_row(sample, &tree, k, at, col, &c, &w);
                n.v.row_mut(row).copy_from(&from.v.row(0));
                n.d.row_mut(row).copy_from(&from.d.row(0));
            }
            // §4.1: J = (I + N_zz G)⁻¹, K = G J, Y = J N, and their tangents (§6.1)
            let nzz = n.columns(&level.z);
            let j = (M::identity(nzz.v.nrows(), nzz.v.nrows()) + &nzz.v * &level.g.v).try_inverse().unwrap();
            let kg = Dual { v: &level.g.v * &j, d: j.transpose() * &level.g.d * &j };
            let kg = Dual { d: &kg.d - &kg.v * &nzz.d * &kg.v, v: kg.v };
            let yv = &j * &n.v;
            let yzz = yv.select_columns(&level.z);
            let y = Dual { d: &j * (&n.d - &nzz.d * &kg.v * &n.v) - &yzz * &level.g.d * &yv, v: yv };
            tree.log_det_a -= j.determinant().ln();
            tree.log_det_a_dot += (&kg.v * &nzz.d).trace() + (&yzz * &level.g.d).trace();
            tree.s = tree.s.plus(&n.t().times(&kg).times(&n), -1.0);
            level.n.push(n);
            level.k.push(kg);
            level.y.push(y);
        }
        tree.levels.push(level);
    }
    top_down(&mut tree);
    tree
}

/// Returns the row of N_g for column `col` of C: c'V_{<k}⁻¹C over the rows of group `at` of level k.
fn n_row(sample: &NestedSample, tree: &Tree, k: usize, at: usize, col: usize, c: &M, w: &DVector<f64>) -> Dual {
    if k > 0
        && let Some(row) = tree.levels[k - 1].z.iter().position(|&z| z == col)
    {
        // Additive, because the children have the same column.
        let below = &tree.levels[k - 1];
        let mut sum = Dual::fixed(M::zeros(1, c.ncols()));
        for child in (0..below.n.len()).filter(|&g| below.parent[g] == at) {
            let y = &below.y[child];
            sum = sum.plus(&Dual { v: y.v.rows(row, 1).into(), d: y.d.rows(row, 1).into() }, 1.0);
        }
        return sum;
    }
    let mut moments = M::zeros(1, c.ncols());
    for i in (0..w.len()).filter(|&i| sample.levels[k].group[i] == at) {
        moments += c.row(i) * (w[i] * c[(i, col)]);
    }
    let mut row = Dual::fixed(moments);
    for (below, level) in tree.levels.iter().enumerate() {
        let is_below = |g: usize| (below..k - 1).fold(level.parent[g], |up, l| tree.levels[l + 1].parent[up]) == at;
        for g in (0..level.n.len()).filter(|&g| is_below(g)) {
            let n = &level.n[g];
            row = row.plus(&n.columns(&[col]).t().times(&level.k[g]).times(n), -1.0);
        }
    }
    row
}

/// §5: computes F_g, H_gg and the conditional covariances along each path, from the top down.
fn top_down(tree: &mut Tree) {
    for k in (0..tree.levels.len()).rev() {
        let (low, high) = tree.levels.split_at_mut(k + 1);
        let level = &mut low[k];
        for g in 0..level.n.len() {
            let mut f = level.y[g].clone();
            let mut up = level.parent[g];
            for above in high.iter() {
                f = f.plus(&level.y[g].columns(&above.z).times(&above.g).times(&above.f[up]), -1.0);
                up = above.parent[up];
            }
            let (columns, d) = match high.first() {
                Some(above) => above.path[level.parent[g]].clone(),
                None => (vec![], Dual::fixed(M::zeros(0, 0))),
            };
            let y_anc = level.y[g].columns(&columns);
            let h = level.y[g].columns(&level.z).plus(&y_anc.times(&d).times(&y_anc.t()), -1.0);
            let w = level.k[g].times(&level.n[g].columns(&columns));
            let (da, dg) = (w.times(&d), level.k[g].plus(&w.times(&d).times(&w.t()), 1.0));
            let path = Dual { v: join(&dg.v, &da.v, &d.v), d: join(&dg.d, &da.d, &d.d) };
            level.f.push(f);
            level.h.push(h);
            level.path.push((level.z.iter().chain(&columns).copied().collect(), path));
        }
    }
}

/// Returns [[gg, −ga], [−ga', aa]].
fn join(gg: &M, ga: &M, aa: &M) -> M {
    let (r, a) = ga.shape();
    let mut all = M::zeros(r + a, r + a);
    all.view_mut((0, 0), (r, r)).copy_from(gg);
    all.view_mut((0, r), (r, a)).copy_from(&-ga);
    all.view_mut((r, 0), (a, r)).copy_from(&-ga.transpose());
    all.view_mut((r, r), (a, a)).copy_from(aa);
    all
}

struct Figures {
    criterion: f64,
    gradient: Vec<f64>,
    gradient_dot: Vec<f64>,
}

/// Returns the criterion, the gradient in θ, and the derivative of the gradient in direction `theta_dot`.
fn figures(sample: &NestedSample, theta: &[f64], theta_dot: &[f64], method: Method, checks: &mut Checks) -> Figures {
    let (lambda, lambda_dot) = (lambdas(sample, theta), lambdas(sample, theta_dot));
    let relative = lambda.iter().zip(&lambda_dot).map(|((z, l), (_, ld))| {
        (z.clone(), Dual { v: l * l.transpose(), d: ld * l.transpose() + l * ld.transpose() })
    });
    let tree = build(sample, relative.collect());

    let (p, y_col) = (sample.x.len(), sample.columns.len());
    let block = |s: &M, rows: &[usize], cols: &[usize]| s.select_rows(rows).select_columns(cols);
    let (x, y) = (sample.x.as_slice(), [y_col]);
    let (sxx, sxy, syy) = (block(&tree.s.v, x, x), block(&tree.s.v, x, &y), tree.s.v[(y_col, y_col)]);
    let m_inv = sxx.clone().try_inverse().unwrap();
    let beta = &m_inv * &sxy;
    let pwrss = syy - (sxy.transpose() * &beta)[0];
    let dof = (sample.n() - if method == Method::Reml { p } else { 0 }) as f64;
    let weights: f64 = sample.weights.iter().flatten().map(|w| w.ln()).sum();
    let fixed = if method == Method::Reml { sxx.determinant().ln() } else { 0.0 };
    let criterion = tree.log_det_a + fixed + dof * (1.0 + (2.0 * std::f64::consts::PI * pwrss / dof).ln()) - weights;

    // −β for X and 1 for y: C times this vector is e = y − Xβ.
    let mut to_e = M::zeros(sample.columns.len() + 1, 1);
    x.iter().zip(beta.iter()).for_each(|(&c, b)| to_e[c] -= b);
    to_e[y_col] = 1.0;
    let solution = sample.problem().solve(theta, method);
    let tight = Tolerance::both(1e-8, 1e-8);
    checks.vector("beta", &DVector::from_column_slice(beta.as_slice()), &solution.beta, tight).check(
        "pwrss",
        pwrss,
        solution.pwrss,
        Tolerance::relative(1e-9),
    );

    // §6: derivatives of β, pwrss and S_xx in the direction, from F alone.
    let mut sxx_dot = M::zeros(p, p);
    let mut xe_dot = M::zeros(p, 1);
    let mut pwrss_dot = 0.0;
    for level in &tree.levels {
        for f in &level.f {
            let (fx, fe) = (f.v.select_columns(x), &f.v * &to_e);
            sxx_dot -= fx.transpose() * &level.g.d * &fx;
            xe_dot -= fx.transpose() * &level.g.d * &fe;
            pwrss_dot -= (fe.transpose() * &level.g.d * &fe)[0];
        }
    }
    checks.matrix("dS", &sxx_dot, &block(&tree.s.d, x, x), tight);
    let beta_dot = &m_inv * xe_dot;
    let m_dot = -&m_inv * &sxx_dot * &m_inv;
    let (sigma2, sigma2_dot) = (pwrss / dof, pwrss_dot / dof);

    // §5.3 and §6.3: Γ_k and its tangent, then the chain rule to Λ_k.
    let (mut gradient, mut gradient_dot, mut log_det_a_dot) = (vec![], vec![], 0.0);
    for (k, level) in tree.levels.iter().enumerate() {
        let r = level.z.len();
        let (mut gamma, mut gamma_dot) = (M::zeros(r, r), M::zeros(r, r));
        for (f, h) in level.f.iter().zip(&level.h) {
            let fx = f.columns(x);
            let (fe, fe_dot) = (&f.v * &to_e, &f.d * &to_e - &fx.v * &beta_dot);
            gamma += &h.v - &fe * fe.transpose() / sigma2;
            gamma_dot += &h.d - (&fe_dot * fe.transpose() + &fe * fe_dot.transpose()) / sigma2
                + &fe * fe.transpose() * (sigma2_dot / (sigma2 * sigma2));
            log_det_a_dot += h.v.dot(&level.g.d);
            if method == Method::Reml {
                let side = &fx.d * &m_inv * fx.v.transpose();
                gamma -= &fx.v * &m_inv * fx.v.transpose();
                gamma_dot -= &side + side.transpose() + &fx.v * &m_dot * fx.v.transpose();
            }
        }
        let (l, ld) = (&lambda[k].1, &lambda_dot[k].1);
        let by_lambda = (&gamma * l * 2.0, (&gamma_dot * l + &gamma * ld) * 2.0);
        let mut at = 0;
        for term in &sample.levels[k].terms {
            for j in 0..term.len() {
                for i in j..term.len() {
                    gradient.push(by_lambda.0[(at + i, at + j)]);
                    gradient_dot.push(by_lambda.1[(at + i, at + j)]);
                }
            }
            at += term.len();
        }
    }
    checks.check("d log|A|", tree.log_det_a_dot, log_det_a_dot, tight);
    effects(sample, &tree, &to_e, &m_inv, sigma2, &solution, checks);
    Figures { criterion, gradient, gradient_dot }
}

/// Checks b̂, the conditional variances and the prediction error variances of every group.
fn effects(
    sample: &NestedSample,
    tree: &Tree,
    to_e: &M,
    m_inv: &M,
    sigma2: f64,
    solution: &tiers_testkit::Solution,
    checks: &mut Checks,
) {
    let problem = sample.problem();
    let mut term = 0;
    for (k, level) in tree.levels.iter().enumerate() {
        let mut at = 0;
        for z in &sample.levels[k].terms {
            let r = z.len();
            for g in 0..level.f.len() {
                let gf = &level.g.v * &level.f[g].v;
                let b = &gf * to_e;
                let gx = gf.select_columns(&sample.x);
                let conditional = level.path[g].1.v.view((0, 0), (level.z.len(), level.z.len())) * sigma2;
                let prediction = &conditional + &gx * m_inv * gx.transpose() * sigma2;
                let offset = problem.effect_offset(term) + g * r;
                for j in 0..r {
                    let tight = Tolerance::both(1e-8, 1e-8);
                    let (c, p) = (conditional[(at + j, at + j)], prediction[(at + j, at + j)]);
                    checks.check("b", b[at + j], solution.b[term][(g, j)], tight);
                    checks.check("conditional", c, solution.conditional[(offset + j, offset + j)], tight);
                    checks.check("prediction", p, solution.prediction[(offset + j, offset + j)], tight);
                }
            }
            at += r;
            term += 1;
        }
    }
}

#[test]
fn the_tree_agrees_with_the_textbook_formulas() {
    for seed in 0..60 {
        let sample = simulate_nested(seed, &Shape::any(seed));
        let (problem, theta) = (sample.problem(), sample.theta_near_truth(seed));
        for method in [Method::Reml, Method::Ml] {
            let mut checks = Checks::new(format!("seed {seed} {method:?}, {} levels", sample.levels.len()));
            let hessian = problem.hessian(&theta, method);
            for i in 0..theta.len() {
                let mut direction = vec![0.0; theta.len()];
                direction[i] = 1.0;
                let tree = figures(&sample, &theta, &direction, method, &mut checks);
                checks.check(
                    "criterion",
                    tree.criterion,
                    problem.criterion(&theta, method),
                    Tolerance::relative(1e-10),
                );
                checks.slice(
                    "gradient",
                    &tree.gradient,
                    problem.gradient(&theta, method).as_slice(),
                    Tolerance::of_largest(1e-8),
                );
                checks.slice(
                    "hessian",
                    &tree.gradient_dot,
                    hessian.column(i).clone_owned().as_slice(),
                    Tolerance::of_largest(1e-8),
                );
            }
        }
    }
}
