//! Checks the identities of docs/theory.md, except the elimination, on small problems.

use nalgebra::{DMatrix, DVector};
use tiers_testkit::{Checks, Method, NestedSample, Problem, Shape, Tolerance, check, simulate_nested};

type M = DMatrix<f64>;
const TIGHT: Tolerance = Tolerance::both(1e-8, 1e-8);

fn cases() -> impl Iterator<Item = (u64, NestedSample, Problem, Vec<f64>)> {
    (0..24).map(|seed| {
        let sample = simulate_nested(seed, &Shape::any(seed));
        let (problem, theta) = (sample.problem(), sample.theta_near_truth(seed));
        (seed, sample, problem, theta)
    })
}

fn log_det(a: &M) -> f64 {
    2.0 * a.clone().cholesky().expect("positive definite").l().diagonal().iter().map(|d| d.ln()).sum::<f64>()
}

fn lambda_full(problem: &Problem, theta: &[f64]) -> M {
    problem.g_full(&problem.lambdas(theta))
}

/// Section 2: REML is the likelihood of Ly, L = I − P_X, in any basis of the range of L.
#[test]
fn reml_is_the_likelihood_of_the_residuals() {
    for (seed, _, problem, theta) in cases() {
        let (n, p) = problem.x.shape();
        let l = M::identity(n, n)
            - &problem.x * (problem.x.transpose() * &problem.x).try_inverse().unwrap() * problem.x.transpose();
        let eigen = l.clone().symmetric_eigen();
        let range: Vec<_> = (0..n).filter(|&i| eigen.eigenvalues[i] > 0.5).collect();
        let k = eigen.eigenvectors.select_columns(&range);
        let parts = problem.parts(&theta);
        let kvk = k.transpose() * &parts.v * &k;
        let s = problem.solve(&theta, Method::Reml);
        let log_xx = log_det(&(problem.x.transpose() * &problem.x));
        let ky = k.transpose() * &problem.y;
        let quadratic = ky.dot(&(kvk.clone().try_inverse().unwrap() * &ky)) / s.sigma2;
        let density = ((n - p) as f64) * (2.0 * std::f64::consts::PI * s.sigma2).ln() + log_det(&kvk) + quadratic;
        Checks::new(format!("seed {seed}"))
            .matrix("KK'", &(&k * k.transpose()), &l, TIGHT)
            .check("log|K'VK|", log_det(&kvk), s.log_det_v + s.log_det_x - log_xx, TIGHT)
            .matrix("P", &(&k * kvk.try_inverse().unwrap() * k.transpose()), &parts.p, TIGHT)
            .check("-2 log density of K'y", density, s.criterion - log_xx, TIGHT)
            .check("unprofiled", problem.criterion_unprofiled(&theta, s.sigma2, Method::Reml), s.criterion, TIGHT);
    }
}

/// Sections 2 and 4.4: Henderson's equations, spherical and classical, give β, b, |V| and pwrss.
#[test]
fn hendersons_equations_give_the_same_solution() {
    for (seed, _, problem, theta) in cases() {
        let (s, p) = (problem.solve(&theta, Method::Ml), problem.p());
        let (z, lambda) = (problem.z_full(), lambda_full(&problem, &theta));
        let w = M::from_diagonal(&problem.w_inv().map(|v| 1.0 / v));
        let q = z.ncols();
        let b = DVector::from_vec(s.b.iter().flat_map(|b| b.transpose().as_slice().to_vec()).collect());
        let mut checks = Checks::new(format!("seed {seed}"));

        let zl = &z * &lambda;
        let a = zl.transpose() * &w * &zl + M::identity(q, q);
        let log_w: f64 = problem.w_inv().iter().map(|v| -v.ln()).sum();
        checks.check("log|V| = log|A| − Σ log w", log_det(&a) - log_w, s.log_det_v, TIGHT);

        let solve = |zz: &M, corner: M| {
            let mut c = M::zeros(p + q, p + q);
            c.view_mut((0, 0), (p, p)).copy_from(&(problem.x.transpose() * &w * &problem.x));
            c.view_mut((0, p), (p, q)).copy_from(&(problem.x.transpose() * &w * zz));
            c.view_mut((p, 0), (q, p)).copy_from(&(zz.transpose() * &w * &problem.x));
            c.view_mut((p, p), (q, q)).copy_from(&corner);
            let mut right = DVector::zeros(p + q);
            right.rows_mut(0, p).copy_from(&(problem.x.transpose() * &w * &problem.y));
            right.rows_mut(p, q).copy_from(&(zz.transpose() * &w * &problem.y));
            c.lu().solve(&right).unwrap()
        };
        let spherical = solve(&zl, a);
        let u = spherical.rows(p, q).into_owned();
        checks.vector("beta", &spherical.rows(0, p).into_owned(), &s.beta, TIGHT).vector(
            "Λu",
            &(&lambda * &u),
            &b,
            TIGHT,
        );
        let residual = &problem.y - &problem.x * &s.beta - &zl * &u;
        checks.check("pwrss", residual.dot(&(&w * &residual)) + u.dot(&u), s.pwrss, TIGHT);

        let g = &lambda * lambda.transpose();
        let smallest = g.clone().symmetric_eigen().eigenvalues.min();
        if smallest > 1e-3 {
            let classical = solve(&z, z.transpose() * &w * &z + g.try_inverse().unwrap());
            checks.vector("classical beta", &classical.rows(0, p).into_owned(), &s.beta, TIGHT);
            checks.vector("classical b", &classical.rows(p, q).into_owned(), &b, TIGHT);
        }
    }
}

/// Section 3.2: shifts of the columns of X, of y and of a random slope can be undone exactly.
#[test]
fn shifts_are_undone() {
    for (seed, sample, problem, theta) in cases() {
        let (p, shift, y_shift) = (problem.p(), [0.0, 3.0, -2.0], 5.0);
        let mut t = M::identity(p, p);
        (1..p).for_each(|j| t[(0, j)] = -shift[j]);
        let mut shifted = problem.clone();
        shifted.x = &problem.x * &t;
        shifted.y.add_scalar_mut(-y_shift);
        // Columns of X in random terms that span the constant are shifted too.
        let terms: Vec<_> = sample.levels.iter().flat_map(|l| l.terms.clone()).collect();
        let mut relative = problem.relative(&theta);
        for (k, z) in terms.iter().enumerate().filter(|(_, z)| z[0] == 0) {
            let mut tz = M::identity(z.len(), z.len());
            (1..z.len()).for_each(|j| tz[(0, j)] = -shift.get(z[j]).unwrap_or(&0.0));
            shifted.terms[k].z = &problem.terms[k].z * &tz;
            let back = tz.try_inverse().unwrap();
            relative[k] = &back * &relative[k] * back.transpose();
        }
        let theta_shifted = shifted.theta_of(&relative);
        let (a, b) = (problem.solve(&theta, Method::Reml), shifted.solve(&theta_shifted, Method::Reml));
        let mut beta = &t * &b.beta;
        beta[0] += y_shift;
        Checks::new(format!("seed {seed}"))
            .check("criterion", b.criterion, a.criterion, TIGHT)
            .check("det T", t.determinant(), 1.0, TIGHT)
            .vector("beta", &beta, &a.beta, TIGHT)
            .matrix("Cov(beta)", &(&t * &b.cov_beta * t.transpose()), &a.cov_beta, TIGHT);
    }
}

/// Section 7: the criterion is even in each column of Λ, and at a zero column its second
/// derivative is twice Γ, the derivative in the variance.
#[test]
fn the_criterion_is_even_in_the_columns_of_lambda() {
    for seed in [0, 1, 2, 3] {
        let sample = simulate_nested(seed, &Shape { slopes: 0, ..Shape::any(seed) });
        let (problem, mut theta) = (sample.problem(), sample.theta.clone());
        let at = problem.criterion(&theta, Method::Reml);
        theta[0] = -theta[0];
        check("other sign", problem.criterion(&theta, Method::Reml), at, Tolerance::relative(1e-13));
        theta[0] = 0.0;
        check("gradient at zero", problem.gradient(&theta, Method::Reml)[0], 0.0, Tolerance::absolute(1e-12));
        let by_variance = |variance: f64| problem.criterion(&[&[variance.sqrt()], &theta[1..]].concat(), Method::Reml);
        let h = 1e-4;
        let slope = (4.0 * by_variance(h) - by_variance(2.0 * h) - 3.0 * by_variance(0.0)) / (2.0 * h);
        check(
            "half the curvature",
            problem.hessian(&theta, Method::Reml)[(0, 0)] / 2.0,
            slope,
            Tolerance::both(1e-4, 1e-4),
        );
    }
}

/// Section 8: multiplying the weights by c multiplies σ² by c, divides G by c and keeps the criterion.
#[test]
fn a_common_factor_of_the_weights_changes_only_sigma_and_g() {
    for (seed, _, problem, theta) in cases().filter(|(_, s, _, _)| s.weights.is_some()) {
        let mut heavier = problem.clone();
        heavier.weights = problem.weights.as_ref().map(|w| w * 4.0);
        let halved: Vec<_> = theta.iter().map(|t| t / 2.0).collect();
        for method in [Method::Reml, Method::Ml] {
            let (a, b) = (problem.solve(&theta, method), heavier.solve(&halved, method));
            Checks::new(format!("seed {seed}"))
                .check("criterion", b.criterion, a.criterion, TIGHT)
                .check("sigma2", b.sigma2, 4.0 * a.sigma2, TIGHT)
                .matrix("Cov(beta)", &b.cov_beta, &a.cov_beta, TIGHT)
                .matrix("prediction error", &b.prediction, &a.prediction, TIGHT);
        }
    }
}
