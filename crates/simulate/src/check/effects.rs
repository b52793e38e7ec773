//! Validates the fixed effects, which are named as in a fit, and the random effects.

use super::{finite, list, sd};
use crate::error::SpecError;
use crate::model::{Covariate, INTERCEPT, Interaction, Kind, Random, Simulation, Term};
use crate::spec::LevelSpec;
use std::collections::BTreeMap;

/// Sets the coefficients of the covariates.
pub(super) fn fixed(simulation: &mut Simulation, fixed: &BTreeMap<String, f64>) -> Result<(), SpecError> {
    check_ambiguous(&simulation.covariates)?;
    for (term, &value) in fixed {
        let key = format!("fixed.{term}");
        let value = finite(&key, value)?;
        if term == INTERCEPT {
            simulation.intercept = value;
        } else if let Some((a, b)) = term.split_once(':') {
            let covariates = [numeric(&simulation.covariates, &key, a)?, numeric(&simulation.covariates, &key, b)?];
            if simulation.interactions.iter().any(|known| same(known.covariates, covariates)) {
                return Err(SpecError::new(
                    key,
                    "the same interaction is given the other way round",
                    "leave out one of them",
                ));
            }
            simulation.interactions.push(Interaction { covariates, coefficient: value });
        } else {
            main_effect(&mut simulation.covariates, &key, term, value)?;
        }
    }
    simulation.interactions.sort_by_key(|interaction| interaction.covariates);
    Ok(())
}

fn same(a: [usize; 2], b: [usize; 2]) -> bool {
    a == b || a == [b[1], b[0]]
}

fn main_effect(covariates: &mut [Covariate], key: &str, term: &str, value: f64) -> Result<(), SpecError> {
    if let Ok(number) = numeric(covariates, key, term) {
        covariates[number].coefficient = value;
        covariates[number].in_formula = true;
        return Ok(());
    }
    for covariate in covariates.iter_mut() {
        let Kind::Categorical { labels, effects, .. } = &mut covariate.kind else { continue };
        let Some(label) = term.strip_prefix(&covariate.name) else { continue };
        let Some(at) = labels.iter().position(|known| known == label) else { continue };
        if labels.iter().min() == Some(&labels[at]) {
            let problem = format!("{label:?} is the reference, as the first of the labels in order");
            return Err(SpecError::new(key, problem, "leave it out: its effect is part of the intercept"));
        }
        effects[at] = value;
        covariate.in_formula = true;
        return Ok(());
    }
    let terms = terms(covariates);
    let remedy = format!("name one of {}", list(terms.iter().map(String::as_str)));
    Err(SpecError::new(key, "there is no such term", remedy))
}

/// Returns the names of all terms except interactions, as in a fit.
fn terms(covariates: &[Covariate]) -> Vec<String> {
    let mut terms = vec![INTERCEPT.to_owned()];
    for covariate in covariates {
        match &covariate.kind {
            Kind::Categorical { labels, .. } => {
                let reference = labels.iter().min();
                terms.extend(labels.iter().filter(|&l| Some(l) != reference).map(|l| format!("{}{l}", covariate.name)));
            }
            _ => terms.push(covariate.name.clone()),
        }
    }
    terms
}

/// Checks that no two terms have the same name, such as a factor `a` with label `b` and a covariate `ab`.
fn check_ambiguous(covariates: &[Covariate]) -> Result<(), SpecError> {
    let mut terms = terms(covariates);
    terms.sort();
    match terms.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => {
            let problem = format!("`{}` would be the name of two terms", pair[0]);
            Err(SpecError::new("covariate", problem, "rename one of the covariates or labels"))
        }
    }
}

fn numeric(covariates: &[Covariate], key: &str, name: &str) -> Result<usize, SpecError> {
    covariates.iter().position(|covariate| covariate.name == name && covariate.is_numeric()).ok_or_else(|| {
        let names = list(covariates.iter().filter(|c| c.is_numeric()).map(|c| c.name.as_str()));
        let remedy = format!("name numeric covariates, which are {names}");
        SpecError::new(key, format!("`{name}` is not a numeric covariate"), remedy)
    })
}

/// Converts the random effects of a level: the intercept, then slopes in the order of the covariates.
pub(super) fn random(covariates: &[Covariate], spec: &LevelSpec) -> Result<Random, SpecError> {
    let mut terms = Vec::new();
    for (name, &value) in &spec.random {
        let key = format!("level `{}`: random.{name}", spec.name);
        let term = if name == INTERCEPT { Term::Intercept } else { Term::Slope(numeric(covariates, &key, name)?) };
        terms.push((term, sd(&key, value)?));
    }
    terms.sort_by_key(|&(term, _)| match term {
        Term::Intercept => 0,
        Term::Slope(covariate) => covariate + 1,
    });
    let (terms, sds): (Vec<Term>, Vec<f64>) = terms.into_iter().unzip();
    let correlation = correlation(covariates, spec, &terms)?;
    let key = format!("level `{}`: correlation", spec.name);
    let factor = factor(&correlation, &sds).ok_or_else(|| {
        let remedy = "bring them nearer to 0";
        SpecError::new(key, "no random effects can have these correlations at once", remedy)
    })?;
    Ok(Random { terms, sds, correlation, factor })
}

fn correlation(covariates: &[Covariate], spec: &LevelSpec, terms: &[Term]) -> Result<Vec<Vec<f64>>, SpecError> {
    let names: Vec<&str> = terms.iter().map(|term| term.name(covariates)).collect();
    let r = terms.len();
    let mut correlation: Vec<Vec<f64>> =
        (0..r).map(|i| (0..r).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    let mut seen: Vec<[usize; 2]> = Vec::new();
    for (pair, &value) in &spec.correlation {
        let key = format!("level `{}`: correlation.{pair}", spec.name);
        let at = |name: &str| names.iter().position(|&known| known == name);
        let both = pair.split_once(':').and_then(|(a, b)| Some([at(a)?, at(b)?])).filter(|[i, j]| i != j);
        let Some([i, j]) = both else {
            let remedy = format!("write two of {} with a colon between them", list(names.iter().copied()));
            return Err(SpecError::new(key, "these are not two random effects of this level", remedy));
        };
        if seen.iter().any(|&known| same(known, [i, j])) {
            return Err(SpecError::new(
                key,
                "the same correlation is given the other way round",
                "leave out one of them",
            ));
        }
        if !(-1.0..=1.0).contains(&value) {
            return Err(SpecError::new(key, format!("{value} is not a correlation"), "give a number from -1 to 1"));
        }
        seen.push([i, j]);
        (correlation[i][j], correlation[j][i]) = (value, value);
    }
    Ok(correlation)
}

/// Returns diag(sds) · the Cholesky factor of the correlation matrix; `None` if the matrix is indefinite.
fn factor(correlation: &[Vec<f64>], sds: &[f64]) -> Option<Vec<Vec<f64>>> {
    const ROUNDING: f64 = 1e-12;
    let r = sds.len();
    let mut l = vec![vec![0.0; r]; r];
    for i in 0..r {
        for j in 0..=i {
            let rest = correlation[i][j] - (0..j).map(|k| l[i][k] * l[j][k]).sum::<f64>();
            l[i][j] = match () {
                () if i == j && rest < -ROUNDING => return None,
                () if i == j => rest.max(0.0).sqrt(),
                // The matrix is singular: the rest of this column must be zero too.
                () if l[j][j] < ROUNDING.sqrt() => (rest.abs() < ROUNDING.sqrt()).then_some(0.0)?,
                () => rest / l[j][j],
            };
        }
    }
    Some(l.iter().enumerate().map(|(i, row)| row[..=i].iter().map(|v| sds[i] * v).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::factor;

    #[test]
    fn singular_correlations_are_valid_and_indefinite_ones_are_not() {
        let of =
            |a: f64, b: f64, c: f64| factor(&[vec![1.0, a, b], vec![a, 1.0, c], vec![b, c, 1.0]], &[1.0, 2.0, 3.0]);
        assert!(of(0.3, 0.1, -0.4).is_some() && of(1.0, 0.5, 0.5).is_some());
        assert!(of(1.0, 0.5, 0.4).is_none() && of(0.9, 0.9, -0.9).is_none());
        let l = of(0.3, 0.1, -0.4).unwrap();
        assert!((l[1][0] * l[0][0] - 0.3 * 2.0).abs() < 1e-15, "covariance of the first two");
    }
}
