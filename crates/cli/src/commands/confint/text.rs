//! The table of intervals as R prints it, with notes.

use super::request::IntervalRequest;
use super::result::{Interval, IntervalResult, OfFit};
use crate::args::IntervalMethod;
use tiers_reml::{DfMethod, Method};
use tiers_report::layout::Column;
use tiers_report::numbers::{column, trim_number};
use tiers_report::section::{Note, Section};

/// Significant digits.
const DIGITS: usize = 5;

impl IntervalResult {
    /// Returns the table with its notes.
    pub(crate) fn section(&self, request: &IntervalRequest, fit: OfFit<'_>) -> Section {
        let percent = |share: f64| format!("{} %", trim_number(100.0 * share));
        let tail = 0.5 - 0.5 * request.level;
        let ends = |end: fn(&Interval) -> Option<f64>| -> Vec<String> {
            let values: Vec<f64> = self.intervals.iter().filter_map(end).collect();
            let mut cells = column(&values, DIGITS).into_iter();
            let cell =
                |interval: &Interval| end(interval).and_then(|_| cells.next()).unwrap_or_else(|| "NA".to_owned());
            self.intervals.iter().map(cell).collect()
        };
        let columns = vec![
            Column::names("", self.intervals.iter().map(|interval| interval.parameter.clone()).collect()),
            Column::numbers(&percent(tail), ends(|interval| interval.lower)),
            Column::numbers(&percent(1.0 - tail), ends(|interval| interval.upper)),
        ];
        let notes = notes(request, fit, self).into_iter().map(|note| Note::new(note, 2)).collect();
        Section { title: "Intervals of all parameters".to_owned(), columns, notes, ..Section::default() }
    }
}

/// Returns notes on the method, and on intervals that need an explanation.
fn notes(request: &IntervalRequest, fit: OfFit<'_>, result: &IntervalResult) -> Vec<String> {
    let mut notes = Vec::new();
    match request.method {
        IntervalMethod::Wald => {
            let by = match fit.df {
                DfMethod::Satterthwaite => "with Satterthwaite's degrees of freedom",
                DfMethod::KenwardRoger => "with Kenward and Roger's covariance and degrees of freedom",
                DfMethod::None => "by the normal approximation",
            };
            notes.push(format!(
                "Wald intervals: coefficients {by}; standard deviations on the log scale, correlations on Fisher's z, \
                 intraclass correlations on the log odds."
            ));
        }
        IntervalMethod::Profile => {
            let reml = match fit.method {
                Method::Reml => " The fit is by REML; profiles, as lme4's, are of the maximum likelihood.",
                Method::Ml => "",
            };
            notes.push(format!("Profile likelihood intervals.{reml}"));
        }
        IntervalMethod::Bootstrap => {
            let counts = result.bootstrap.as_ref().expect("a bootstrap was made");
            notes.push(format!(
                "Parametric bootstrap, {} intervals from {} replicates (seed {}), of which {} ended on the boundary and \
                 {} did not converge{}.",
                counts.kind,
                counts.replicates,
                counts.seed,
                counts.singular,
                counts.failed,
                if counts.failed > 0 { " and are left out" } else { "" }
            ));
        }
    }
    notes.extend(special(request, result));
    if fit.on_boundary && request.method == IntervalMethod::Wald {
        notes.push(
            "On the boundary (a variance of zero, a correlation of 1 or -1) there is no standard error and no Wald \
             interval (NA); --method profile and --method bootstrap have one."
                .to_owned(),
        );
    }
    if result.lower_deviance.is_some() {
        notes.push(
            "A profile met a likelihood higher than that of the estimates: they are a local optimum, and these \
             intervals are not to be used. Look for a variance that the data hardly determine."
                .to_owned(),
        );
    }
    notes
}

/// Returns notes on ends at the bound of a parameter's range, and on missing ends.
fn special(request: &IntervalRequest, result: &IntervalResult) -> Vec<String> {
    let names = |keep: &dyn Fn(&&Interval) -> bool| -> Vec<&str> {
        result.intervals.iter().filter(keep).map(|interval| interval.parameter.as_str()).collect()
    };
    let mut notes = Vec::new();
    let bounded = names(&|interval| interval.lower_at_bound || interval.upper_at_bound);
    if !bounded.is_empty() {
        notes
            .push(format!("The data do not exclude the bound of {}: its range ends the interval.", bounded.join(", ")));
    }
    let undefined = names(&|interval| interval.estimate.is_none());
    if !undefined.is_empty() {
        notes.push(format!("Not defined, since one of the two does not vary: {}.", undefined.join(", ")));
    }
    let missing =
        names(&|interval| interval.estimate.is_some() && (interval.lower.is_none() || interval.upper.is_none()));
    if request.method == IntervalMethod::Profile && !missing.is_empty() {
        notes.push(format!("NA: the likelihood hardly changes, or cannot be followed, for {}.", missing.join(", ")));
    }
    notes
}
