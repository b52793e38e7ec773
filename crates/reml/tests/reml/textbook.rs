//! Elimination group by group against the textbook formulas with V written out.

use crate::common::{internal_theta, model, samples};
use tiers_equations::Want;
use tiers_reml::{Method, Objective};
use tiers_testdata::table_of;
use tiers_testkit::{Checks, Tolerance, oracle};

#[test]
fn criterion_and_derivatives_agree_with_v_written_out() {
    for (seed, name, sample) in samples(0..60) {
        let (table, formula) = table_of(&sample);
        let weights = sample.weights.as_ref().map(|_| "w");
        let (model, _) = match model(&table, &formula, weights) {
            Ok(model) => model,
            // Samples where a level equals the next one, or with one effect per row, are correctly refused.
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("same") || text.contains("residual"), "{name}: {formula}: {error}");
                continue;
            }
        };
        let raw = sample.theta_near_truth(seed);
        let problem = sample.problem();
        let mut checks = Checks::new(format!("{name}: {formula}"));
        for (method, reference) in [(Method::Reml, oracle::Method::Reml), (Method::Ml, oracle::Method::Ml)] {
            let objective = Objective::new(&model, method);
            let mut scratch = objective.scratch();
            let theta = internal_theta(&model, &objective, &raw);
            let at = objective.evaluate(&objective.parameters.covariances(&theta), Want::Derivatives, &mut scratch);
            let want = problem.solve(&raw, reference);
            checks.check("criterion", at.criterion, want.criterion, Tolerance::relative(1e-11));
            checks.check("pwrss", at.fixed.pwrss, want.pwrss, Tolerance::relative(1e-10));
            checks.check(
                "log|V|",
                at.log_det_v,
                want.log_det_v + model.totals().sum_log_weights,
                Tolerance::both(1e-11, 1e-11),
            );
            checks.check("log|X'V⁻¹X|", at.fixed.log_det_xx, want.log_det_x, Tolerance::both(1e-11, 1e-11));
            let (beta, _) = model.unshift(&at.fixed.beta, &at.fixed.xx_inverse);
            checks.vector("beta", &beta, &want.beta, Tolerance::of_largest(1e-9));

            let step = 1e-5;
            let second = objective.second_derivatives(&at);
            let (gradient, hessian) = objective.parameters.chain(&theta, &at.gradient, Some(&second.hessian));
            let hessian = hessian.expect("asked for");
            for i in 0..theta.len() {
                let mut shifted = |by: f64| {
                    let mut t = theta.clone();
                    t[i] += by;
                    let at = objective.evaluate(&objective.parameters.covariances(&t), Want::Derivatives, &mut scratch);
                    let gradient = objective.parameters.chain(&t, &at.gradient, None).0;
                    (at.criterion, gradient)
                };
                let (plus, minus) = (shifted(step), shifted(-step));
                let difference = (plus.0 - minus.0) / (2.0 * step);
                checks.check("gradient", gradient[i], difference, Tolerance::both(1e-6, 1e-5));
                let difference = (&plus.1 - &minus.1) / (2.0 * step);
                let column = hessian.column(i).clone_owned();
                checks.vector(
                    "hessian",
                    &column,
                    &difference,
                    Tolerance { relative: 1e-6, absolute: 1e-5, of_largest: 1.0 },
                );
            }
        }
        checks.finish();
    }
}
