//! How the summary of a generalised model reports the accuracy of its criterion.

use crate::layout::paragraph;
use crate::numbers::fixed_point;
use tiers_glmm::{GlmmFit, LaplaceError, LaplaceErrorMethod, LaplaceErrorStatus};

/// Nodes that do where Laplace's approximation does not, unless it took more to measure that.
const NODES: usize = 15;

/// A change of -2 log-likelihood with more nodes that is worth another fit.
const CHANGE: f64 = 0.01;

/// Returns the paragraphs on quadrature or on the error of Laplace's approximation; none if there is nothing to say.
pub(crate) fn accuracy(fit: &GlmmFit) -> Option<String> {
    match (&fit.laplace_error, fit.agq_change) {
        (Some(error), _) => Some(of_laplace(error)),
        (None, Some(change)) => Some(of_quadrature(fit.n_agq, change)),
        (None, None) => None,
    }
}

fn of_quadrature(nodes: usize, change: f64) -> String {
    let more = 2 * nodes + 1;
    let text = format!("Quadrature: with {more} nodes in place of {nodes}, -2logLik changes by {change:.1e}");
    let advice = match change.abs() < CHANGE {
        true => "; more nodes are not needed.".to_owned(),
        false if more <= tiers_glmm::MAX_NODES => format!(": use\u{a0}--agq\u{a0}{more}."),
        false => ": the estimates depend on the number of nodes.".to_owned(),
    };
    paragraph(&(text + &advice), 2).replace('\u{a0}', " ")
}

fn of_laplace(error: &LaplaceError) -> String {
    let Some((term, shift)) = error.largest().filter(|_| error.status != LaplaceErrorStatus::Unknown) else {
        let reason = error.reason.as_deref().unwrap_or("it could not be measured");
        return paragraph(&format!("The error of Laplace's approximation is unknown: {reason}."), 2);
    };
    let nodes = error.nodes.unwrap_or(NODES);
    let how = match error.method {
        Some(LaplaceErrorMethod::Refit) => format!("by a fit with {nodes} nodes"),
        _ => format!("estimated with {nodes} nodes"),
    };
    let term = together(term);
    let lead = match error.status {
        LaplaceErrorStatus::Small => {
            let largest = fixed_point(shift.abs(), 2);
            format!(
                "The error of Laplace's approximation is small: at most {largest} standard errors, of {term} ({how})."
            )
        }
        _ => format!(
            "LAPLACE'S APPROXIMATION IS POOR HERE: quadrature moves {term} by {} standard errors ({how}). Use\u{a0}--agq\u{a0}{}.",
            fixed_point(shift, 2),
            nodes.max(NODES)
        ),
    };
    let each = |(name, shift): &(String, f64)| format!("{}\u{a0}{}", together(name), fixed_point(*shift, 2));
    let shifts: Vec<String> = error.shift_in_se.iter().map(each).collect();
    let list = format!("  Quadrature less Laplace, in standard errors: {}.", shifts.join(", "));
    (paragraph(&lead, 2) + &paragraph(&list, 4)).replace('\u{a0}', " ")
}

/// Keeps a name on one line.
fn together(name: &str) -> String {
    name.replace(' ', "\u{a0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(json: &str) -> LaplaceError {
        serde_json::from_str(json).expect("an error of Laplace's approximation")
    }

    #[test]
    fn a_small_error_is_one_sentence_and_the_shifts() {
        let text = of_laplace(&error(
            r#"{"method": "estimate", "nodes": 15, "delta_criterion": -0.08, "status": "small",
                "shift_in_se": {"(Intercept)": -0.012, "sd((Intercept) | herd)": 0.066}}"#,
        ));
        let expected = "\
The error of Laplace's approximation is small: at most 0.07 standard errors, of
  sd((Intercept) | herd) (estimated with 15 nodes).
  Quadrature less Laplace, in standard errors: (Intercept) -0.01,
    sd((Intercept) | herd) 0.07.
";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_large_error_comes_with_what_to_do() {
        let text = of_laplace(&error(
            r#"{"method": "refit", "nodes": 31, "delta_criterion": -63.5, "status": "large",
                "shift_in_se": {"kid2pY": 2.724}}"#,
        ));
        assert!(text.starts_with("LAPLACE'S APPROXIMATION IS POOR HERE: quadrature moves kid2pY by 2.72"), "{text}");
        assert!(text.contains("(by a fit with 31 nodes)") && text.contains("Use --agq 31."), "{text}");
    }

    #[test]
    fn an_unknown_error_says_why() {
        let text = of_laplace(&error(
            r#"{"method": null, "nodes": null, "delta_criterion": null, "status": "unknown", "shift_in_se": {},
                "reason": "quadrature is not available for these random effects"}"#,
        ));
        assert!(text.contains("unknown: quadrature is not"), "{text}");
    }

    #[test]
    fn quadrature_reports_what_more_nodes_change() {
        assert!(of_quadrature(15, 3.2e-6).contains("with 31 nodes in place of 15, -2logLik changes by 3.2e-6; more"));
        assert!(of_quadrature(7, -0.5).contains("use --agq 15"));
        assert!(of_quadrature(101, -0.5).contains("depend on the number of nodes"));
    }
}
