//! Fits tables in memory.

use tiers_design::{Formula, Plan, Settings, Source};
use tiers_glmm::{Distribution, Family, FittedGlmm, GlmmError, GlmmObserver, GlmmSettings, Link, fit_glmm};
use tiers_moments::{ReadObserver, accumulate};
use tiers_reml::{NewtonSettings, Step};
use tiers_testdata::Memory;

struct Silent;

impl GlmmObserver for Silent {
    fn second_pass(&mut self, _: u64) -> &mut dyn ReadObserver {
        Box::leak(Box::new(()))
    }

    fn evaluated(&mut self, _: f64, _: &Step) -> bool {
        true
    }
}

pub(crate) fn fit(
    table: &Memory,
    formula: &str,
    weights: Option<&str>,
    family: Family,
    link: Link,
) -> Result<FittedGlmm, GlmmError> {
    fit_with(table, formula, weights, family, link, 1)
}

/// Fits with a number of quadrature nodes; with one, the error of Laplace's approximation is measured.
pub(crate) fn fit_with(
    table: &Memory,
    formula: &str,
    weights: Option<&str>,
    family: Family,
    link: Link,
    nodes: usize,
) -> Result<FittedGlmm, GlmmError> {
    let formula: Formula = formula.parse().expect("a formula");
    let settings = Settings { weights: weights.map(str::to_owned), generalised: true, ..Settings::default() };
    let plan = Plan::new(&formula, table.fields(), &settings).expect("a plan");
    let ingested = accumulate(table, &plan, &mut ()).expect("moments");
    let distribution = Distribution::new(family, Some(link)).expect("a link of the family");
    let newton = NewtonSettings::default();
    let settings = GlmmSettings { distribution, newton, confidence: 0.95, nodes, laplace_error: true };
    fit_glmm(ingested, table, &settings, &mut Silent)
}
