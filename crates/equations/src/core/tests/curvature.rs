//! Second derivatives.

use super::evaluate::ROUTES;
use super::sample::{M, Sample, close};
use crate::core::{CoreRoute, CrossedPlan, CrossedScratch};
use crate::covariances::Covariances;
use crate::tree::{CurvatureAt, Direction};

/// All directions, in the order of the levels.
pub(super) fn directions(sample: &Sample) -> Vec<Direction> {
    let of_level = |level: usize| {
        let r = sample.r(level);
        (0..r).flat_map(move |a| (a..r).map(move |b| Direction { level, a, b }))
    };
    (0..sample.factors.len()).flat_map(of_level).collect()
}

/// β, S_xx⁻¹ and γ with X the first two columns of C.
pub(super) fn fixed(sample: &Sample, vi: &M) -> (Vec<f64>, Vec<f64>) {
    let (m, c) = (sample.m(), &sample.c);
    let x = c.columns(0, 2);
    let inverse = (x.transpose() * vi * x).try_inverse().expect("full rank");
    let beta = &inverse * x.transpose() * vi * c.column(m - 1);
    let mut gamma = vec![0.0; m];
    gamma[m - 1] = 1.0;
    (0..2).for_each(|i| gamma[i] = -beta[i]);
    let mut spread = vec![0.0; m * m];
    (0..4).for_each(|k| spread[(k / 2) * m + k % 2] = inverse[(k / 2, k % 2)]);
    (gamma, spread)
}

fn check(name: &str, route: CoreRoute, sample: &Sample, at: &Covariances, tolerance: f64) {
    let design = sample.crossed(3);
    let plan = CrossedPlan::with_route(&design, route);
    let mut scratch = CrossedScratch::new(&plan, &design);
    let (vi, m) = (sample.v(at).cholesky().expect("positive definite").inverse(), sample.m());
    let (gamma, s_xx_inverse) = fixed(sample, &vi);
    let directions = directions(sample);
    let d = directions.len();
    let here = |s_xx_inverse, with_products| CurvatureAt {
        g: at.by_level(),
        directions: &directions,
        residual: &gamma,
        s_xx_inverse,
        with_products,
    };
    let got = plan.curvature(&design, at, &here(Some(&s_xx_inverse[..]), true), &mut scratch);
    let less = plan.curvature(&design, at, &here(None, false), &mut scratch);
    let v_of = |direction: &Direction| {
        let z = sample.z(direction.level);
        let r = sample.r(direction.level);
        &z * sample.spread(direction.level, &M::from_row_slice(r, r, &direction.matrix(r))) * z.transpose()
    };
    let products: Vec<M> = directions.iter().map(|direction| &vi * v_of(direction)).collect();
    let mut c = sample.c.clone();
    let e = &c * nalgebra::DVector::from_column_slice(&gamma);
    c.set_column(m - 1, &e);
    let s_xx_inverse = M::from_row_slice(m, m, &s_xx_inverse);
    for i in 0..d {
        for j in (0..d).filter(|&j| directions[j].level <= directions[i].level) {
            let name = format!("{name}: {:?} {:?}", directions[i], directions[j]);
            let inner = &products[i] * &products[j] * &vi;
            let trace = -(&products[i] * &products[j]).trace();
            close(&format!("{name}: trace"), &[got.trace[i * d + j]], &[trace], tolerance);
            let whole = -(c.transpose() * &inner * &c);
            close(&format!("{name}: residual"), &[got.residual[i * d + j]], &[whole[(m - 1, m - 1)]], tolerance);
            let of_fixed = (&s_xx_inverse * &whole).trace();
            close(&format!("{name}: fixed"), &[got.fixed[i * d + j]], &[of_fixed], tolerance);
            let product = &got.products[i * d + j];
            close(&format!("{name}: products"), product, whole.transpose().as_slice(), tolerance);
            close(&format!("{name}: trace alone"), &[less.trace[i * d + j]], &[trace], tolerance);
            close(&format!("{name}: residual alone"), &[less.residual[i * d + j]], &[whole[(m - 1, m - 1)]], tolerance);
        }
    }
}

#[test]
fn random_designs_agree_with_dense_v() {
    for seed in 0..12 {
        let sample = Sample::random(seed);
        let scale = [1.0, 0.01, 10.0][seed as usize % 3];
        let at = sample.covariances(seed, scale);
        let route = ROUTES[usize::from(seed % 4 == 3)];
        check(&format!("{route:?}, seed {seed} scale {scale}"), route, &sample, &at, 1e-9);
    }
}

#[test]
fn intercepts_agree_with_dense_v() {
    for seed in 0..12 {
        let sample = Sample::intercepts(seed);
        let scale = [1.0, 0.01, 10.0][seed as usize % 3];
        let at = sample.covariances(seed, scale);
        let route = ROUTES[usize::from(seed % 4 == 3)];
        check(&format!("{route:?}, seed {seed} scale {scale}"), route, &sample, &at, 1e-9);
    }
}

#[test]
fn a_nest_gives_the_traces_of_the_tree() {
    for (scale, route) in [1e-3, 1.0, 10.0, 1e3].into_iter().flat_map(|scale| ROUTES.map(|route| (scale, route))) {
        let (sample, at) = Sample::nest(scale);
        let design = sample.crossed(2);
        let plan = CrossedPlan::with_route(&design, route);
        let mut scratch = CrossedScratch::new(&plan, &design);
        let directions = directions(&sample);
        let here = CurvatureAt {
            g: at.by_level(),
            directions: &directions,
            residual: &[-0.5, 0.1, 1.0],
            s_xx_inverse: None,
            with_products: false,
        };
        let got = plan.curvature(&design, &at, &here, &mut scratch);
        let (plan, tree) = sample.tree();
        let want = plan.curvature(&tree, &here);
        for i in 0..3 {
            for j in 0..=i {
                let (got, want) = (got.trace[i * 3 + j], want.trace[i * 3 + j]);
                let relative = (got / want - 1.0).abs();
                assert!(relative < 1e-8, "{route:?}, scale {scale}, {i} {j}: {got} instead of {want}");
            }
        }
    }
}
