//! A report as text, in sections with the order and digits of lme4's summary.
//!
//! ```text
//! sections  heading, criterion, random effects, intraclass correlations
//! fixed     table of the coefficients with their uncertainty
//! verdict   explanation of singular fits and fits that did not converge
//! ```

mod fixed;
mod sections;
mod verdict;

pub use fixed::{coefficients, fixed_effects};
pub(crate) use sections::{breakable, components, source_lines};
pub use sections::{correlations, criterion, heading, random_effects};
pub use verdict::{verdict, verdict_in_words};

use crate::layout::{paragraph, table};
use crate::report::Report;

/// Significant digits, as in lme4's summary.
const DIGITS: usize = 4;

const RESIDUALS: &str = "\
Scaled residuals: not computed from the sums that the fit uses;
--fitted writes them row by row
";

/// Returns the whole summary.
pub fn text(report: &Report) -> String {
    let fit = &report.fit;
    let criterion = criterion(fit);
    let criteria = [criterion.head(), table(criterion.indent, &criterion.columns), RESIDUALS.to_owned()].join("\n");
    let mut parts = vec![heading(report).text(), criteria, random_effects(fit).text(), correlations(report).text()];
    parts.push(fixed_effects(report).text());
    parts.extend(verdict(fit).map(|(title, text)| paragraph(&format!("{title}: {text}"), 2)));
    parts.extend(fit.notes.iter().map(|note| paragraph(&format!("Note: {note}"), 2)));
    parts.join("\n")
}
