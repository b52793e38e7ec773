//! A cancelled search resumes from its path, bit-identical to an uninterrupted one; a damaged path is refused.

use crate::common::{METHODS, model};
use crate::memory::Memory;
use tiers_reml::{
    CheckpointError, Method, NewtonSettings, Objective, Optimum, SearchObserver, Step, ThetaPath, optimise_while,
};

const FINGERPRINT: &str = "a model of some data";

/// Keeps the path, and cancels the search after a number of evaluations.
struct Keeping {
    path: ThetaPath,
    left: usize,
}

impl SearchObserver for Keeping {
    fn evaluated(&mut self, _: &[f64], _: &Step) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }

    fn path(&mut self) -> Option<&mut ThetaPath> {
        Some(&mut self.path)
    }
}

/// Resumes a search from a path; also returns the path afterwards.
fn search(objective: &Objective<'_>, path: ThetaPath, evaluations: usize) -> (Option<Optimum>, ThetaPath) {
    let mut observer = Keeping { path, left: evaluations };
    let found = optimise_while(objective, &NewtonSettings::default(), &mut observer);
    (found, observer.path)
}

fn to_bytes(path: &ThetaPath) -> Vec<u8> {
    let mut bytes = Vec::new();
    path.write(FINGERPRINT, &mut bytes).expect("memory can be written to");
    bytes
}

fn from_bytes(bytes: &[u8]) -> Result<ThetaPath, CheckpointError> {
    ThetaPath::read(&mut &bytes[..], FINGERPRINT)
}

/// A regular optimum, one on the boundary (with two starts), and a nest of two levels.
fn cases() -> Vec<(Memory, &'static str)> {
    let dyestuff2 = Memory::of_dataset("dyestuff2", &["Yield"], &["Batch"]);
    let sleepstudy = Memory::of_dataset("sleepstudy", &["Reaction", "Days"], &["Subject"]);
    let unbalanced = Memory::of_dataset("unbalanced_simulated", &["y", "x1", "x2"], &["mid", "top"]);
    vec![
        (dyestuff2, "Yield ~ 1 + (1 | Batch)"),
        (sleepstudy, "Reaction ~ Days + (1 + Days | Subject)"),
        (unbalanced, "y ~ x1 + x2 + (1 + x1 | top) + (1 | top:mid)"),
    ]
}

#[test]
fn a_cancelled_search_resumes_where_it_stopped() {
    for (table, formula) in cases() {
        let (model, _) = model(&table, formula, None).expect("a model");
        for method in METHODS {
            let objective = Objective::new(&model, method);
            let (want, whole) = search(&objective, ThetaPath::default(), usize::MAX);
            let want = format!("{want:?}");
            assert!(whole.len() >= 2, "{formula}: {} evaluations", whole.len());
            for after in 1..=whole.len() {
                let (found, path) = search(&objective, ThetaPath::default(), after);
                assert!(found.is_none() && path.len() >= after, "{formula}: cancelled after {after}");
                let path = from_bytes(&to_bytes(&path)).expect("what was written");
                let (got, path) = search(&objective, path, usize::MAX);
                // Debug prints numbers exactly, so equal texts mean equal bits.
                assert_eq!(format!("{got:?}"), want, "{formula} {method}: after {after}");
                assert_eq!(path.len(), whole.len(), "{formula} {method}: nothing is evaluated twice");
            }
        }
    }
}

#[test]
fn a_damaged_or_foreign_path_is_refused() {
    let (table, formula) = cases().swap_remove(1);
    let (model, _) = model(&table, formula, None).expect("a model");
    let (_, path) = search(&Objective::new(&model, Method::Reml), ThetaPath::default(), usize::MAX);
    let bytes = to_bytes(&path);
    assert_eq!(to_bytes(&from_bytes(&bytes).expect("what was written")), bytes);
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << (place % 8);
        let refused = from_bytes(&damaged).expect_err("damage");
        assert!(matches!(refused, CheckpointError::Damaged(_) | CheckpointError::Foreign), "{place}: {refused}");
        from_bytes(&bytes[..place]).expect_err("an end that is missing");
    }
    let other = ThetaPath::read(&mut &bytes[..], "other data").expect_err("other data");
    assert!(matches!(other, CheckpointError::Inputs { .. }), "{other}");
}
