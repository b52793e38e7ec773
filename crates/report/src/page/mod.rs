//! `report.html`: a report as one self-contained HTML page, without scripts or external resources.
//!
//! The page has the sections of the summary, and figures. Nothing on it differs between runs.
//!
//! ```text
//! html     sections, tables and figures as HTML
//! figures  coefficients and random effects with their intervals, as SVG
//! ranks    the groups of a level, ordered by a random effect
//! ```

mod figures;
mod html;
mod ranks;

use crate::error::ReportError;
use crate::numbers::trim_number;
use crate::report::Report;
use crate::section::{Note, Section};
use crate::summary::{coefficients, correlations, criterion, fixed_effects, heading, random_effects, verdict};
use crate::{anova, extremes, visible};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use ranks::Ranked;
use tiers_reml::{AnovaType, Fit, LevelEffects, Status, normal_quantile};

/// Name of the page in the folder of results.
pub const PAGE: &str = "report.html";

const STYLE: &str = include_str!("style.css");

/// Largest number of coefficients in a figure.
const COEFFICIENTS: usize = 100;

/// Returns the page of a fit; `top` are the random effects of its top level, `intervals` those of all
/// parameters.
pub fn page(report: &Report, top: Option<&LevelEffects>, intervals: Option<&Section>) -> Result<String, ReportError> {
    let fit = &report.fit;
    let mut heading = heading(report);
    heading.rows.get_or_insert_with(|| format!("{} used, none dropped", fit.n_obs));
    let (coefficients, groups) = (coefficients_drawn(report)?, top.map(|top| groups(report, top)).transpose()?);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (heading.formula()) }
                style { (PreEscaped(STYLE)) }
            }
            body { main {
                header {
                    h1 { (heading.title) }
                    code.formula { (heading.formula()) }
                    (html::facts(&heading.facts()))
                }
                @if let Some((title, text)) = verdict(fit) {
                p.verdict.failed[fit.status == Status::NotConverged] { strong { (title) ":" } " " (text) }
                }
                @for note in &fit.notes { p.verdict { strong { "Note:" } " " (note) } }
                (html::section(&fixed_effects(report)))
                (html::section(&tests_of_terms(report)))
                (html::section(&random_effects(fit)))
                (html::section(&correlations(report)))
                @if let Some(intervals) = intervals { (html::section(intervals)) }
                @if let Some(coefficients) = coefficients { (coefficients) }
                @if let Some(groups) = groups { (groups) }
                (search(fit))
                footer { "tiers " (fit.tiers) }
            } }
        }
    };
    Ok(visible::lines(&page.into_string()).into_owned() + "\n")
}

/// Returns the type III F tests of terms.
fn tests_of_terms(report: &Report) -> Section {
    let (fit, weighted) = (&report.fit, report.data.weights.is_some());
    let mut section = anova::section(AnovaType::Three, fit.df_method, &fit.anova, weighted);
    if fit.robust.is_some() && !fit.anova.is_empty() {
        section.notes.push(Note::new("by the covariance of the model, not by the robust one", 0));
    }
    section
}

/// Draws the coefficients, unless there are none or too many.
fn coefficients_drawn(report: &Report) -> Result<Option<Markup>, ReportError> {
    let effects = coefficients(&report.fit);
    if effects.len() > COEFFICIENTS {
        return Ok(None);
    }
    let lead = format!("with {} % confidence intervals", trim_number(100.0 * report.confidence_level));
    let caption = "Without the intercept, each per unit of its own column; blue where the interval is without zero.";
    let figure = figures::coefficients(effects)?;
    Ok(figure.map(|svg| html::drawn("Coefficients", &lead, &svg, caption)))
}

/// Shows the groups of the top level, ordered by their first random effect, and the extreme ones.
fn groups(report: &Report, top: &LevelEffects) -> Result<Markup, ReportError> {
    let (level, term) = (&top.level, &top.terms[0]);
    let component = report.fit.variance_components.iter().find(|component| component.level == *level);
    let variance = component.map_or(f64::NAN, |component| component.variance[0]);
    let title = format!("{term} | {level}");
    if variance == 0.0 {
        let note = Note::new("The variance is estimated as zero, and so are the random effects of all groups.", 0);
        return Ok(html::section(&Section { title, notes: vec![note], ..Section::default() }));
    }
    let Ranked { points, extremes } = Ranked::new(top, variance);
    let lead = match extremes.groups - points.len() {
        0 => format!("all {} groups in the order of their random effects", extremes.groups),
        _ => format!("{} of {} groups, at even distances in the order of all", points.len(), extremes.groups),
    };
    let z = normal_quantile(0.5 - 0.5 * report.confidence_level);
    let caption = format!(
        "Random effects with {} % intervals by the normal distribution, the uncertainty of the fixed effects included; \
         blue where the interval is without zero.",
        trim_number(100.0 * report.confidence_level)
    );
    let figure = figures::caterpillar(&points, z)?;
    let ids: Vec<String> = top.keys.iter().map(|key| key.name.clone()).collect();
    let mut table = extremes.section(level, z, &ids);
    table.notes.push(extremes::note(report.confidence_level));
    Ok(html! {
        @if let Some(svg) = figure { (html::drawn(&title, &lead, &svg, &caption)) }
        (html::section(&table))
    })
}

/// Shows the course and the result of the search for the optimum.
fn search(fit: &Fit) -> Markup {
    let Section { title, lead, columns, .. } = criterion(fit);
    let status = match fit.status {
        Status::Converged => "converged",
        Status::Boundary => "converged, on the boundary",
        Status::NotConverged => "not converged",
    };
    let optimizer = &fit.optimizer;
    let facts = [
        ("Status", status.to_owned()),
        (title.trim_end_matches(':'), lead),
        ("Evaluations", format!("{} of the likelihood with its derivatives", optimizer.evaluations)),
        ("Newton decrement", format!("{:.1e}, twice the predicted decrease of a further step", optimizer.decrement)),
    ];
    html! {
        section {
            h2 { "Search for the optimum" }
            (html::facts(&facts))
            (html::table(&columns))
        }
    }
}
