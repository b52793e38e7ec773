//! Exponentiated coefficients of generalised fits: odds ratios, rate ratios, hazard ratios.

use crate::layout::Column;
use crate::numbers::{column, trim_number};
use crate::section::{Note, Section};
use serde::{Deserialize, Serialize};
use tiers_glmm::{GlmmFit, Link};

/// Significant digits, as in lme4's summary.
const DIGITS: usize = 4;

/// What an exponentiated coefficient is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RatioKind {
    /// Of the logit link.
    OddsRatio,
    /// Of the log link.
    RateRatio,
    /// Of the complementary log-log link: a ratio of hazards if the outcome is an event within an interval.
    HazardRatio,
}

/// Exponentiated coefficients with their confidence intervals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratios {
    /// What they are.
    pub kind: RatioKind,
    /// One per fixed effect.
    pub terms: Vec<Ratio>,
}

/// One exponentiated coefficient; what does not exist is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Name of the coefficient.
    pub term: String,
    /// exp(b).
    pub ratio: Option<f64>,
    /// Its standard error, exp(b) times that of b (delta method).
    pub std_error: Option<f64>,
    /// exp of the lower end of the confidence interval of b.
    pub lower: Option<f64>,
    /// exp of the upper end.
    pub upper: Option<f64>,
}

impl RatioKind {
    /// Returns what exponentiated coefficients of a link are; `None` for probit, where they mean nothing.
    pub fn of(link: Link) -> Option<RatioKind> {
        match link {
            Link::Logit => Some(RatioKind::OddsRatio),
            Link::Log => Some(RatioKind::RateRatio),
            Link::Cloglog => Some(RatioKind::HazardRatio),
            _ => None,
        }
    }

    fn title(self) -> &'static str {
        match self {
            RatioKind::OddsRatio => "Odds ratios",
            RatioKind::RateRatio => "Rate ratios",
            RatioKind::HazardRatio => "Hazard ratios",
        }
    }
}

impl Ratios {
    /// Exponentiates the coefficients of a fit; `None` for the probit link.
    pub fn of(fit: &GlmmFit) -> Option<Ratios> {
        let terms = fit.fixed_effects.iter().map(|effect| {
            let ratio = effect.estimate.map(f64::exp);
            Ratio {
                term: effect.term.clone(),
                ratio,
                std_error: ratio.zip(effect.std_error).map(|(ratio, error)| ratio * error),
                lower: effect.lower.map(f64::exp),
                upper: effect.upper.map(f64::exp),
            }
        });
        RatioKind::of(fit.link).map(|kind| Ratios { kind, terms: terms.collect() })
    }

    /// Returns the table; `level` is that of the confidence intervals.
    pub(crate) fn section(&self, level: f64) -> Section {
        let cells = |value: fn(&Ratio) -> Option<f64>| -> Vec<String> {
            let known: Vec<f64> = self.terms.iter().filter_map(value).collect();
            let mut cells = column(&known, DIGITS).into_iter();
            let one = |ratio: &Ratio| value(ratio).and_then(|_| cells.next()).unwrap_or_else(|| "NA".to_owned());
            self.terms.iter().map(one).collect()
        };
        let tail = 0.5 * (1.0 - level);
        let percent = |share: f64| format!("{} %", trim_number(100.0 * share));
        let columns = vec![
            Column::names("", self.terms.iter().map(|ratio| ratio.term.clone()).collect()),
            Column::numbers("exp(Est.)", cells(|ratio| ratio.ratio)),
            Column::numbers("Std. Error", cells(|ratio| ratio.std_error)),
            Column::numbers(&percent(tail), cells(|ratio| ratio.lower)),
            Column::numbers(&percent(1.0 - tail), cells(|ratio| ratio.upper)),
        ];
        let notes = vec![Note::new("Given the random effects: for a group, not for the population", 0)];
        Section { title: format!("{}:", self.kind.title()), columns, notes, ..Section::default() }
    }
}
