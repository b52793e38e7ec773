//! Reports of generalised linear mixed models: `fit.json`, and the summary in the layout of glmer's.

use crate::approximation::accuracy;
use crate::layout::{Column, paragraph, table};
use crate::numbers::{column, decimals_of_smallest, fixed_point, p_values, round, trim_number};
use crate::ratios::Ratios;
use crate::report::Data;
use crate::section::{Note, Section};
use crate::summary::{breakable, components, source_lines};
use serde::{Deserialize, Serialize};
use tiers_glmm::{Family, GlmmEffect, GlmmFit, GlmmStatus};
use tiers_outputs::Seal;
use tiers_outputs::visible::json_of;

/// Significant digits, as in lme4's summary.
const DIGITS: usize = 4;

/// The contents of `fit.json` of a generalised model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GlmmReport {
    /// The fit.
    #[serde(flatten)]
    pub fit: GlmmFit,
    /// Exponentiated coefficients, if they were requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratios: Option<Ratios>,
    /// Source of the rows.
    pub data: Data,
    /// Level of the confidence intervals.
    pub confidence_level: f64,
    /// Seconds from the start to the estimates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Peak memory of the process, where the system reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// The files beside `fit.json`, and the fingerprint; empty if the report is only printed.
    #[serde(default, flatten)]
    pub seal: Seal,
}

impl GlmmReport {
    /// Returns the report as JSON that ends in a line feed.
    pub fn json(&self) -> String {
        json_of(self)
    }

    /// Returns the report as JSON with the fingerprint of the files that it lists.
    pub fn sealed_json(&mut self) -> String {
        let mut seal = std::mem::take(&mut self.seal);
        seal.close(|seal| {
            self.seal = seal.clone();
            self.json()
        })
    }

    /// Returns the whole summary.
    pub fn text(&self) -> String {
        let fit = &self.fit;
        let mut parts = vec![self.heading(), self.criterion(), self.random_effects().text()];
        parts.extend(self.correlations().map(|section| section.text()));
        parts.push(self.fixed_effects().text());
        parts.extend(self.ratios.iter().map(|ratios| ratios.section(self.confidence_level).text()));
        parts.extend(self.verdict().map(|text| paragraph(&text, 2)));
        parts.extend(accuracy(fit));
        parts.extend(fit.notes.iter().map(|note| paragraph(&format!("Note: {note}"), 2)));
        parts.join("\n")
    }

    fn heading(&self) -> String {
        let fit = &self.fit;
        let method = match fit.n_agq {
            1 => "Laplace Approximation".to_owned(),
            nodes => format!("Adaptive Gauss-Hermite Quadrature, nAGQ = {nodes}"),
        };
        let title = format!("Generalized linear mixed model fit by maximum likelihood ({method})");
        let formula = paragraph(&format!("Formula: {}", breakable(&fit.formula)), 9).replace('\u{a0}', " ");
        let success = fit.success.as_ref().map(|level| format!("Success: {level}\n"));
        let data = source_lines(&self.data, fit.n_obs, fit.n_dropped, &fit.missing);
        format!("{title}\n Family: {} ({})\n{formula}{}{data}", fit.family, fit.link, success.unwrap_or_default())
    }

    fn criterion(&self) -> String {
        let fit = &self.fit;
        let one = |head: &str, value: f64| Column::numbers(head, vec![fixed_point(value, 1)]);
        let columns = [
            one("     AIC", fit.aic),
            one("     BIC", fit.bic),
            one("  logLik", fit.log_likelihood),
            one("-2logLik", fit.criterion),
            Column::numbers("df.resid", vec![fit.n_obs.saturating_sub(fit.n_parameters as u64).to_string()]),
        ];
        table(1, &columns)
    }

    fn random_effects(&self) -> Section {
        components(&self.fit.variance_components, None, &self.fit.levels, self.fit.n_obs)
    }

    fn correlations(&self) -> Option<Section> {
        let fit = &self.fit;
        let levels: Vec<_> = fit.icc.iter().rev().collect();
        let finest = levels.first()?;
        let shared = |k: usize| match k {
            0 => format!("the same {}", finest.level),
            _ => format!("the same {}, different {}", levels[k].level, levels[k - 1].level),
        };
        let note = fit.r_squared.as_ref().map(|shares| {
            let [marginal, conditional] = [shares.marginal, shares.conditional].map(|share| fixed_point(share, 4));
            let text =
                format!("R-squared (latent): {marginal} by the fixed effects, {conditional} with the random effects");
            Note::new(text, 2)
        });
        Some(Section {
            title: "Intraclass correlation on the latent scale".to_owned(),
            lead: "of two observations of".to_owned(),
            indent: 1,
            columns: vec![
                Column::names("", (0..levels.len()).map(shared).collect()),
                Column::numbers("ICC", levels.iter().map(|icc| fixed_point(icc.icc, 4)).collect()),
            ],
            notes: note.into_iter().collect(),
        })
    }

    fn fixed_effects(&self) -> Section {
        let effects = &self.fit.fixed_effects;
        let level = trim_number(100.0 * self.confidence_level);
        let scale = match self.fit.family {
            Family::Poisson => "log",
            _ => self.fit.link.name(),
        };
        if effects.is_empty() {
            return Section { title: "No fixed effects".to_owned(), ..Section::default() };
        }
        let of = |value: fn(&GlmmEffect) -> Option<f64>| -> Vec<Option<f64>> { effects.iter().map(value).collect() };
        let estimates = of(|e| e.estimate);
        let both: Vec<Option<f64>> = estimates.iter().copied().chain(of(|e| e.std_error)).collect();
        let decimals = decimals_of_smallest(&both.iter().copied().flatten().collect::<Vec<_>>(), DIGITS as i32);
        let rounded: Vec<Option<f64>> = both.iter().map(|v| v.map(|v| round(v, decimals))).collect();
        let cells = known(&rounded, |values| column(values, DIGITS));
        let (estimate_cells, error_cells) = cells.split_at(effects.len());
        let decimals = estimate_cells
            .iter()
            .find(|cell| *cell != "NA")
            .and_then(|cell| cell.split_once('.'))
            .map_or(0, |(_, rest)| rest.len());
        let bound = |value: fn(&GlmmEffect) -> Option<f64>| {
            known(&of(value), |values| values.iter().map(|&v| fixed_point(v, decimals)).collect())
        };
        let statistics: Vec<Option<f64>> = of(|e| e.z_value).iter().map(|z| z.map(|z| round(z, DIGITS - 1))).collect();
        let tail = 0.5 * (1.0 - self.confidence_level);
        let percent = |share: f64| format!("{} %", trim_number(100.0 * share));
        let columns = vec![
            Column::names("", effects.iter().map(|e| e.term.clone()).collect()),
            Column::numbers("Estimate", estimate_cells.to_vec()),
            Column::numbers("Std. Error", error_cells.to_vec()),
            Column::numbers("z value", known(&statistics, |values| column(values, DIGITS))),
            Column::numbers("Pr(>|z|)", known(&of(|e| e.p_value), p_values)),
            Column::numbers(&percent(tail), bound(|e| e.lower)),
            Column::numbers(&percent(1.0 - tail), bound(|e| e.upper)),
        ];
        let mut notes = vec![Note::new(
            format!(
                "On the {scale} scale; z, Pr and the {level} % confidence intervals by the observed information of \
                 coefficients and variances together"
            ),
            0,
        )];
        let reference =
            |factor: &tiers_reml::FactorLevels| Some(format!("{} {}", factor.name, factor.reference.as_ref()?));
        let levels: Vec<String> = self.fit.factors.iter().filter_map(reference).collect();
        notes.extend((!levels.is_empty()).then(|| Note::new(format!("Reference levels: {}", levels.join(", ")), 2)));
        let dropped = &self.fit.dropped_columns;
        notes.extend((!dropped.is_empty()).then(|| {
            let names = dropped.join(", ");
            Note::new(format!("fixed-effect model matrix is rank deficient so dropping {names}"), 2)
        }));
        Section { title: "Fixed effects:".to_owned(), columns, notes, ..Section::default() }
    }

    fn verdict(&self) -> Option<String> {
        match self.fit.status {
            GlmmStatus::Boundary => Some(
                "On the boundary: a variance is estimated as zero, or a correlation as 1 or -1. This singular fit is \
                 the best fit, not a failure; the model without the effects that do not vary fits as well."
                    .to_owned(),
            ),
            GlmmStatus::Separated => {
                let terms: Vec<&str> = self.fit.separation.iter().map(|found| &found.term[..]).collect();
                let rows = self.fit.separation.first().map_or(0, |found| found.rows);
                Some(format!(
                    "SEPARATED: a combination of the covariates predicts the outcome of {rows} rows with certainty, so \
                     that the likelihood rises for ever with {} (NA: no estimate exists). Look for levels or \
                     combinations with only one outcome; merge levels, or leave the term out.",
                    terms.join(" and ")
                ))
            }
            GlmmStatus::NotIdentified => Some(
                "NOT IDENTIFIED: every group of a level has only one outcome, so that the likelihood rises for ever \
                 with the variance of that level, and the numbers above are not estimates. Leave that level out, or \
                 fit the groups' outcomes, one row a group."
                    .to_owned(),
            ),
            GlmmStatus::NotConverged => Some(format!(
                "NOT CONVERGED: the search stopped after {} evaluations of the likelihood, so these are not the \
                 estimates. Allow more with --max-evaluations; if that does not help, the data cannot distinguish the \
                 parameters of this model: leave out random slopes or a level.",
                self.fit.optimizer.evaluations
            )),
            _ => None,
        }
    }
}

/// Formats numbers; missing ones become `NA`.
fn known(values: &[Option<f64>], format: impl Fn(&[f64]) -> Vec<String>) -> Vec<String> {
    let mut cells = format(&values.iter().copied().flatten().collect::<Vec<f64>>()).into_iter();
    let cell = |value: &Option<f64>| value.and_then(|_| cells.next()).unwrap_or_else(|| "NA".to_owned());
    values.iter().map(cell).collect()
}
