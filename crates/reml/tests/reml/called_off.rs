//! Profiles and bootstraps that are called off by whoever watches.

use crate::common::model;
use crate::memory::Memory;
use std::sync::Mutex;
use tiers_reml::{BootstrapSettings, Method, Model, NewtonSettings, Objective, Profile, Target, bootstrap, optimise};

fn sleepstudy() -> Model {
    let table = Memory::of_dataset("sleepstudy", &["Reaction", "Days"], &["Subject"]);
    model(&table, "Reaction ~ Days + (1 + Days | Subject)", None).expect("a model").0
}

/// What an observer is told that lets the work go on so many times.
#[derive(Default)]
struct Told {
    done: Mutex<Vec<u64>>,
}

impl Told {
    fn observe(&self, done: u64, at_most: usize) -> bool {
        let mut told = self.done.lock().expect("no panic");
        told.push(done);
        told.len() < at_most
    }

    fn all(self) -> Vec<u64> {
        self.done.into_inner().expect("no panic")
    }
}

/// Profiles, called off when whoever watches is told for the `at_most`th time.
fn profiles(model: &Model, at_most: usize) -> (Option<Profile>, Vec<u64>) {
    let objective = Objective::new(model, Method::Reml);
    let (targets, told) = (Target::all(&objective), Told::default());
    let observe = |done| told.observe(done, at_most);
    let found = tiers_reml::profile(&objective, &targets, 0.95, &NewtonSettings::default(), &observe);
    (found.expect("no failure"), told.all())
}

#[test]
fn a_profile_ends_when_it_is_told_to() {
    let model = sleepstudy();
    let (whole, told) = profiles(&model, usize::MAX);
    assert_eq!(whole.expect("not called off").curves.len(), 6);
    // Of every evaluation, in their order; the last time that all are done.
    assert!(told.len() > 100 && told.is_sorted(), "{told:?}");
    assert_eq!((told[0], told[told.len() - 1]), (0, 6));
    // In the search for the estimates, within profiles of all kinds, and at the very end.
    for at_most in [1, 5, 20, told.len() / 2, told.len() - 5, told.len()] {
        let (found, heard) = profiles(&model, at_most);
        assert!(found.is_none(), "called off at {at_most}");
        assert_eq!(heard, told[..at_most], "not asked again");
    }
}

#[test]
fn a_bootstrap_ends_when_it_is_told_to() {
    let model = sleepstudy();
    let objective = Objective::new(&model, Method::Reml);
    let optimum = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
    let settings = BootstrapSettings { replicates: 40, seed: 3 };
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let with = |at_most: usize| {
            let told = Told::default();
            let found =
                pool.install(|| bootstrap(&objective, &optimum, &settings, &|done| told.observe(done, at_most)));
            (found, told.all())
        };
        let (whole, told) = with(usize::MAX);
        assert_eq!(whole.expect("not called off").replicates.len(), 40);
        assert_eq!((told.len(), told.iter().min(), told.iter().max()), (41, Some(&0), Some(&40)));
        for at_most in [1, 2, 17, 41] {
            let (found, told) = with(at_most);
            assert!(found.is_none(), "called off at {at_most}");
            // A thread that is at a replicate may tell of it once more.
            assert!(told.len() < at_most + threads, "{told:?}");
        }
    }
}
