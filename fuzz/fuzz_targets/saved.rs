//! Reads any texts as `fit.json` and `model.json`, or as `moments.json`. The result must be a fit on which all
//! inference without data works, moments with known columns, or a printable error.

#![no_main]
#![allow(dead_code, unused_imports)]

use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use tiers_moments::{MomentsHeader, Totals};
use tiers_report::saved;
use tiers_reml::{AnovaType, Averaging, FixedPart, Grid, Predictor};

/// The line between the two files of a fit; an input without it is a header of moments.
const MODEL: &str = "\n== model.json ==\n";

fuzz_target!(|text: &str| {
    match text.split_once(MODEL) {
        Some((fit, model)) => match saved::Texts::read("saved", fit, model) {
            Ok(texts) => ask(&texts),
            Err(error) => drop(error.to_string()),
        },
        None => match MomentsHeader::parse(text, "moments.json") {
            Ok(header) => columns(&header),
            Err(error) => drop(error.to_string()),
        },
    }
});

/// Computes what `tiers anova`, `tiers means` and `tiers predict --population` compute.
fn ask(texts: &saved::Texts) {
    let (fixed, recipe, fit) = (&texts.model.fixed, &texts.recipe, &texts.report.fit);
    for kind in [AnovaType::One, AnovaType::Three] {
        let _ = fixed.anova(recipe, kind, fit.sigma);
    }
    let _ = fixed.inference.coefficients(fit.fixed_effects.iter().map(|effect| effect.term.as_str()));
    for averaging in [Averaging::Equal, Averaging::Proportional] {
        let grid = Grid::new(fixed, recipe, averaging);
        for name in grid.variables() {
            let settings = grid.settings(&name, None).or_else(|_| grid.settings(&name, Some(&[0.5])));
            if let Ok(settings) = settings {
                let _ = grid.means(&fixed.inference, &[(name, settings)], &[], &BTreeMap::new());
            }
        }
    }
    let aliases = fixed.aliases(recipe);
    let (coefficients, beta) = (&fixed.coefficients[..], &fixed.inference.beta);
    let part = FixedPart { recipe, coefficients, beta, aliases: &aliases };
    let _ = Predictor::of_population(part, &fixed.inference, fit.sigma, Some(0.9));
}

/// Checks the columns as `tiers fit --moments` does before it reads the cells.
fn columns(header: &MomentsHeader) {
    if let Ok(recipe) = header.definition.recipe() {
        let m = recipe.columns.len() + 1;
        // Totals of version 1.1 may hold the number of rows in place of the header.
        let (rows, sum_log_weights) = (header.rows.unwrap_or(1), header.sum_log_weights);
        let totals = Totals { rows, sum_log_weights, cross: vec![1.0; m * m] };
        let _ = totals.check_products(&recipe);
    }
}
