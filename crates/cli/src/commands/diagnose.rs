//! `tiers diagnose`: whether a saved fit converged or is singular, and which parameters it hardly determines.

use crate::args::DiagnoseArgs;
use crate::exit::{Outcome, print};
use crate::saved::Saved;
use serde_json::json;
use tiers_moments::Until;
use tiers_reml::{Diagnosis, Fit, Objective, Status};
use tiers_report::layout::{Column, paragraph, table};
use tiers_report::summary;

/// Smallest eigenvalue of the scaled Hessian below which the data hardly distinguish parameters:
/// standard errors are ten times what they would be if the other parameters were known.
const WEAK: f64 = 0.01;
/// Number of groups of a level below which its variances are hardly determined.
const FEW: usize = 6;

/// Reads the data of a fit again and judges its optimum.
pub(crate) fn run(args: &DiagnoseArgs) -> anyhow::Result<Outcome> {
    let saved = Saved::open(&args.fit)?;
    let (model, _) = saved.read(&args.refit, Until::Estimates)?;
    let objective = Objective::new(&model, saved.fit().method);
    let optimum = saved.optimum(&objective, &args.refit)?;
    let diagnosis = Diagnosis::new(&objective, &optimum);
    let findings = findings(saved.fit(), &diagnosis);
    if args.json {
        let fit = saved.fit();
        let value = json!({
            "formula": fit.formula, "status": fit.status, "evaluations": fit.optimizer.evaluations,
            "diagnosis": diagnosis, "findings": findings,
        });
        print(&tiers_report::json(&value))?;
    } else {
        print(&text(saved.fit(), &diagnosis, &findings))?;
    }
    Ok(Outcome::Done)
}

/// Returns the findings, a sentence or two each.
fn findings(fit: &Fit, diagnosis: &Diagnosis) -> Vec<String> {
    let mut findings = Vec::new();
    findings.push(match fit.status {
        Status::Converged => "The search converged: a further step would not lower the criterion noticeably, and all \
        variances are inside their range."
            .to_owned(),
        Status::Boundary | Status::NotConverged => summary::verdict_in_words(fit).join(" "),
    });
    if let Some(least) = diagnosis.least_curvature {
        let names: Vec<&str> = diagnosis.weakest.iter().map(|weak| weak.parameter.as_str()).collect();
        if least <= 0.0 {
            findings.push(format!(
                "The criterion does not rise in every direction ({}): do not rely on this minimum.",
                names.join("; ")
            ));
        } else if least < WEAK {
            findings.push(format!(
                "The data hardly distinguish these parameters: {}. Their standard errors are {:.0} times what they \
            would be if the others were known. Leave out one of them, or centre the variables with random slopes.",
                names.join("; "),
                1.0 / least.sqrt()
            ));
        } else {
            findings.push("The data distinguish the variance parameters well.".to_owned());
        }
    }
    for level in fit.levels.iter().filter(|level| level.groups < FEW) {
        findings.push(format!(
            "{} has only {} groups: its variances are hardly known beyond their order of magnitude.",
            level.name, level.groups
        ));
    }
    findings
}

fn text(fit: &Fit, diagnosis: &Diagnosis, findings: &[String]) -> String {
    let mut text = paragraph(&format!("Diagnosis of {}", fit.formula), 2);
    text.push('\n');
    for finding in findings {
        text += &paragraph(&format!("- {finding}"), 2);
    }
    let number = |value: f64| format!("{value:.2e}");
    let or_none = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), |value| format!("{value:.4}"));
    let rows = [
        ("evaluations of the likelihood", fit.optimizer.evaluations.to_string()),
        ("largest gradient, over the root of its curvature", number(diagnosis.gradient)),
        ("Newton decrement (twice the remaining decrease)", number(diagnosis.decrement)),
        ("least eigenvalue of the Hessian, unit diagonal", or_none(diagnosis.least_curvature)),
        (
            "condition number of the Hessian, unit diagonal",
            diagnosis.condition.map_or_else(|| "none".to_owned(), |c| format!("{c:.1}")),
        ),
    ];
    let (names, values): (Vec<&str>, Vec<String>) = rows.into_iter().unzip();
    text.push('\n');
    text +=
        &table(1, &[Column::names("", names.into_iter().map(str::to_owned).collect()), Column::numbers("", values)]);
    if !diagnosis.weakest.is_empty() {
        let share = |weak: &tiers_reml::Weak| format!("{} ({:.0} %)", weak.parameter, 100.0 * weak.share);
        let shares: Vec<String> = diagnosis.weakest.iter().map(share).collect();
        text += &paragraph(&format!(" Determined least: {}", shares.join("; ")), 3);
    }
    if !diagnosis.flat.is_empty() {
        text += &paragraph(&format!(" On the boundary: {}", diagnosis.flat.join("; ")), 3);
    }
    text
}
