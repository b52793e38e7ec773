//! What is to be said of how the search for the optimum ended, in plain words.

use tiers_reml::{Fit, Status, VarianceComponent};

/// The verdict and its title; nothing where all is well.
pub fn verdict(fit: &Fit) -> Option<(&'static str, String)> {
    let title = match fit.status {
        Status::Converged => return None,
        Status::Boundary => "On the boundary",
        Status::NotConverged => "NOT CONVERGED",
    };
    Some((title, verdict_in_words(fit).join(" ")))
}

/// The verdict sentence by sentence; nothing where all is well.
pub fn verdict_in_words(fit: &Fit) -> Vec<String> {
    match fit.status {
        Status::Converged => Vec::new(),
        Status::Boundary => {
            let mut told: Vec<String> = fit.variance_components.iter().flat_map(boundaries).collect();
            if told.is_empty() {
                told.push(
                    "A covariance matrix of the random effects is singular: some combination of them does not vary."
                        .to_owned(),
                );
            }
            told.push(
                "This is the best fit, not a failure; the model without what does not vary fits as well. There is no \
                 standard error (NA) of a variance on the boundary; `tiers confint` gives intervals."
                    .to_owned(),
            );
            told
        }
        Status::NotConverged => vec![format!(
            "the search for the optimum stopped after {} evaluations of the likelihood, so these are not the estimates. \
             Allow more by --max-evaluations; if that does not help, the data cannot tell the variances of this model \
             apart: take out random slopes or a level.",
            fit.optimizer.evaluations
        )],
    }
}

/// Variances of zero and perfect correlations of one term.
fn boundaries(component: &VarianceComponent) -> Vec<String> {
    let VarianceComponent { level, terms, variance, correlation, .. } = component;
    let mut told = Vec::new();
    for (i, term) in terms.iter().enumerate() {
        if variance[i] == 0.0 {
            told.push(format!(
                "The variance of {term} between groups of {level} is estimated as zero: they differ no more than the \
                 variation within them brings about by itself."
            ));
        }
        for (j, other) in terms.iter().enumerate().take(i) {
            if let Some(r) = correlation[i][j]
                && r.abs() > 1.0 - 1e-6
            {
                let sign = if r > 0.0 { "1" } else { "-1" };
                told.push(format!(
                    "The correlation of {other} and {term} between groups of {level} is estimated as {sign}: each \
                     determines the other, and the data do not tell two variances apart."
                ));
            }
        }
    }
    told
}
