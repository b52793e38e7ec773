//! Explains singular fits and fits that did not converge.

use tiers_reml::{Fit, Status, VarianceComponent};

/// Returns the verdict and its title; `None` if the fit converged to an interior optimum.
pub fn verdict(fit: &Fit) -> Option<(&'static str, String)> {
    let title = match fit.status {
        Status::Converged => return None,
        Status::Boundary => "On the boundary",
        Status::NotConverged => "NOT CONVERGED",
    };
    Some((title, verdict_in_words(fit).join(" ")))
}

/// Returns the verdict sentence by sentence; empty if the fit converged to an interior optimum.
pub fn verdict_in_words(fit: &Fit) -> Vec<String> {
    match fit.status {
        Status::Converged => Vec::new(),
        Status::Boundary => {
            let mut sentences: Vec<String> = fit.variance_components.iter().flat_map(boundaries).collect();
            if sentences.is_empty() {
                sentences.push(
                    "A covariance matrix of the random effects is singular: some combination of them does not vary."
                        .to_owned(),
                );
            }
            sentences.push(
            "This singular fit is the best fit, not a failure; the model without the effects that do not vary fits \
            as well. There is no standard error (NA) of a variance on the boundary; `tiers confint` gives intervals."
            .to_owned(),
            );
            sentences
        }
        Status::NotConverged => vec![format!(
            "the search for the optimum stopped after {} evaluations of the likelihood, so these are not the estimates. \
             Allow more with --max-evaluations; if that does not help, the data cannot distinguish the variances of \
             this model: leave out random slopes or a level.",
            fit.optimizer.evaluations
        )],
    }
}

/// Explains variances of zero and perfect correlations of one term.
fn boundaries(component: &VarianceComponent) -> Vec<String> {
    let VarianceComponent { level, terms, variance, correlation, .. } = component;
    let mut sentences = Vec::new();
    for (i, term) in terms.iter().enumerate() {
        if variance[i] == 0.0 {
            sentences.push(format!(
                "The variance of {term} between groups of {level} is estimated as zero: they differ no more than \
            expected from the variation within them."
            ));
        }
        for (j, other) in terms.iter().enumerate().take(i) {
            if let Some(r) = correlation[i][j]
                && r.abs() > 1.0 - 1e-6
            {
                let sign = if r > 0.0 { "1" } else { "-1" };
                sentences.push(format!(
                    "The correlation of {other} and {term} between groups of {level} is estimated as {sign}: each \
                determines the other, and the data do not distinguish two variances."
                ));
            }
        }
    }
    sentences
}
