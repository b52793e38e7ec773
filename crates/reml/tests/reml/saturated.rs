//! Models whose effects together fit every row, though no single level does.

use crate::common::{METHODS, diagonal, go_on, model};
use tiers_equations::Want;
use tiers_reml::{Method, NewtonSettings, Objective, find_optimum};
use tiers_testdata::table_of;
use tiers_testkit::{Shape, simulate_nested};

/// For ML their criterion decreases without bound as the variances grow; such a fit was once reported as
/// converged at a theta above a thousand, because of rounding error. For REML it has a limit, and a returned
/// fit must lie below it.
#[test]
fn effects_that_leave_no_residual_are_refused_where_there_is_no_maximum() {
    let (mut unbounded, mut inside) = (0, 0);
    for seed in (1300..1500).chain([44687]) {
        let sample = simulate_nested(seed, &Shape::any(seed));
        let problem = sample.problem();
        let z = problem.z_full();
        let p = problem.x.ncols();
        let mut all = problem.x.clone().resize_horizontally(p + z.ncols(), 0.0);
        all.columns_mut(p, z.ncols()).copy_from(&z);
        if all.rank(1e-8) < sample.n() {
            continue;
        }
        let (table, formula) = table_of(&sample);
        let Ok((model, _)) = model(&table, &formula, sample.weights.as_ref().map(|_| "w")) else { continue };
        for method in METHODS {
            let objective = Objective::new(&model, method);
            let found = find_optimum(&objective, &NewtonSettings::default(), &mut go_on);
            match (method, found) {
                (Method::Ml, Ok(_)) => assert_eq!(z.rank(1e-8), sample.n(), "seed {seed}: {formula} has no maximum"),
                (Method::Ml, Err(_)) => unbounded += 1,
                (Method::Reml, Ok(found)) => {
                    let far = objective.evaluate(&diagonal(&objective, 1e3), Want::Value, &mut objective.scratch());
                    assert!(found.at.criterion < far.criterion, "seed {seed}: {formula}: the limit is lower");
                    inside += 1;
                }
                (Method::Reml, Err(_)) => {}
            }
        }
    }
    assert!(unbounded >= 3 && inside >= 1, "{unbounded} without a maximum, {inside} with one");
}
