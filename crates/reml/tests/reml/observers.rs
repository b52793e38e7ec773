//! Observers: what they receive, and computations that they cancel.

use crate::common::model;
use std::sync::Mutex;
use tiers_reml::{
    BootstrapSettings, Method, Model, NewtonSettings, Objective, Profile, Step, Target, Trial, bootstrap, optimise,
};
use tiers_testdata::Memory;

fn sleepstudy() -> Model {
    let table = Memory::of_dataset("sleepstudy", &["Reaction", "Days"], &["Subject"]);
    model(&table, "Reaction ~ Days + (1 + Days | Subject)", None).expect("a model").0
}

#[test]
fn trials_report_the_theta_of_lme4() {
    let model = sleepstudy();
    let objective = Objective::new(&model, Method::Reml);
    let mut thetas: Vec<Vec<f64>> = Vec::new();
    optimise(&objective, &NewtonSettings::default(), &mut |trial: &Trial<'_>, _: &Step| thetas.push(trial.theta()));
    // getME(lmer(Reaction ~ Days + (1 + Days | Subject), sleepstudy), "theta")
    let lme4 = [0.966_734_1, 0.015_169_06, 0.230_909_95];
    let distance = |theta: &Vec<f64>| theta.iter().zip(lme4).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(thetas.iter().map(distance).fold(f64::INFINITY, f64::min) < 1e-4, "{thetas:?}");
    assert!(thetas.iter().all(|theta| theta[0] >= 0.0 && theta[2] >= 0.0), "diagonals are not negative");
}

/// Records the progress reports, and cancels the work at the `at_most`th.
#[derive(Default)]
struct Reports {
    done: Mutex<Vec<u64>>,
}

impl Reports {
    fn observe(&self, done: u64, at_most: usize) -> bool {
        let mut reports = self.done.lock().expect("no panic");
        reports.push(done);
        reports.len() < at_most
    }

    fn all(self) -> Vec<u64> {
        self.done.into_inner().expect("no panic")
    }
}

/// Computes profiles, cancelled at the `at_most`th progress report.
fn profiles(model: &Model, at_most: usize) -> (Option<Profile>, Vec<u64>) {
    let objective = Objective::new(model, Method::Reml);
    let (targets, reports) = (Target::all(&objective), Reports::default());
    let observe = |done| reports.observe(done, at_most);
    let found = tiers_reml::profile(&objective, &targets, 0.95, &NewtonSettings::default(), &observe);
    (found.expect("no failure"), reports.all())
}

#[test]
fn a_cancelled_profile_stops_at_once() {
    let model = sleepstudy();
    let (whole, reports) = profiles(&model, usize::MAX);
    assert_eq!(whole.expect("not cancelled").curves.len(), 6);
    // One report per evaluation, in order; the last one reports all curves.
    assert!(reports.len() > 100 && reports.is_sorted(), "{reports:?}");
    assert_eq!((reports[0], reports[reports.len() - 1]), (0, 6));
    // Cancel in the search for the estimates, within profiles of all kinds, and at the very end.
    for at_most in [1, 5, 20, reports.len() / 2, reports.len() - 5, reports.len()] {
        let (found, received) = profiles(&model, at_most);
        assert!(found.is_none(), "cancelled at {at_most}");
        assert_eq!(received, reports[..at_most], "no further report");
    }
}

#[test]
fn a_cancelled_bootstrap_stops_at_once() {
    let model = sleepstudy();
    let objective = Objective::new(&model, Method::Reml);
    let optimum = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
    let settings = BootstrapSettings { replicates: 40, seed: 3 };
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let with = |at_most: usize| {
            let reports = Reports::default();
            let found =
                pool.install(|| bootstrap(&objective, &optimum, &settings, &|done| reports.observe(done, at_most)));
            (found, reports.all())
        };
        let (whole, reports) = with(usize::MAX);
        assert_eq!(whole.expect("not cancelled").replicates.len(), 40);
        assert_eq!((reports.len(), reports.iter().min(), reports.iter().max()), (41, Some(&0), Some(&40)));
        for at_most in [1, 2, 17, 41] {
            let (found, reports) = with(at_most);
            assert!(found.is_none(), "cancelled at {at_most}");
            // A thread that is busy with a replicate may report once more.
            assert!(reports.len() < at_most + threads, "{reports:?}");
        }
    }
}
