//! Validates a specification and converts it to a simulation.

mod covariates;
mod effects;
mod levels;

use crate::error::SpecError;
use crate::model::{Distribution, Limit, Response, Simulation};
use crate::spec::{FamilySpec, LinkSpec, ResponseSpec, Spec};

impl Simulation {
    /// Validates a specification.
    ///
    /// # Errors
    /// If the specification is invalid; the error names the key and says what to try.
    pub fn new(spec: &Spec) -> Result<Simulation, SpecError> {
        check_names(spec)?;
        let levels = levels::levels(&spec.levels)?;
        let groups_per_block = levels::groups_per_block(&levels)?;
        let covariates = covariates::covariates(&spec.covariates, &levels)?;
        let mut simulation = Simulation {
            seed: spec.seed,
            limit: limit(spec)?,
            shuffle: spec.shuffle,
            levels,
            covariates,
            response: response(spec)?,
            intercept: 0.0,
            interactions: Vec::new(),
            groups_per_block,
        };
        effects::fixed(&mut simulation, &spec.fixed)?;
        for (level, spec) in spec.levels.iter().enumerate() {
            simulation.levels[level].random = effects::random(&simulation.covariates, spec)?;
        }
        Ok(simulation)
    }
}

fn limit(spec: &Spec) -> Result<Limit, SpecError> {
    match (spec.rows, spec.groups) {
        (Some(0), _) => Err(SpecError::new("rows", "the number of rows is 0", "ask for at least one")),
        (_, Some(0)) => Err(SpecError::new("groups", "the number of groups is 0", "ask for at least one")),
        (Some(rows), None) => Ok(Limit::Rows(rows)),
        (None, Some(groups)) => Ok(Limit::Groups(groups)),
        (Some(_), Some(_)) => Err(SpecError::new("groups", "`rows` is given too", "leave out one of the two")),
        (None, None) => Err(SpecError::new(
            "rows",
            "the amount of data is not given",
            "give `rows`, or `groups` for the number of groups of the coarsest level, or --rows",
        )),
    }
}

fn response(spec: &Spec) -> Result<Response, SpecError> {
    let response = &spec.response;
    Ok(Response {
        name: response.name.clone(),
        distribution: distribution(response)?,
        missing: missing("response.missing", response.missing)?,
    })
}

fn distribution(response: &ResponseSpec) -> Result<Distribution, SpecError> {
    if response.link.is_some() && response.family != FamilySpec::Binomial {
        let remedy = "leave it out: the mean is the linear predictor (gaussian) or its exponential (poisson)";
        return Err(SpecError::new("response.link", "it is for binomial responses", remedy));
    }
    match (response.family, response.residual_sd) {
        (FamilySpec::Gaussian, Some(value)) => Ok(Distribution::Gaussian(sd("response.residual_sd", value)?)),
        (FamilySpec::Gaussian, None) => {
            Err(SpecError::new("response.residual_sd", "it is not given", "give the residual standard deviation"))
        }
        (_, Some(_)) => {
            let why = "only gaussian responses have a residual";
            Err(SpecError::new("response.residual_sd", why, "leave it out, or leave out the family"))
        }
        (FamilySpec::Binomial, None) => Ok(Distribution::Binomial(response.link.unwrap_or(LinkSpec::Logit))),
        (FamilySpec::Poisson, None) => Ok(Distribution::Poisson),
    }
}

/// Checks that the columns have distinct names, which can be used in a formula.
fn check_names(spec: &Spec) -> Result<(), SpecError> {
    let levels = spec.levels.iter().enumerate().map(|(i, level)| (format!("level {}: name", i + 1), &level.name));
    let covariates = spec.covariates.iter().enumerate();
    let covariates = covariates.map(|(i, covariate)| (format!("covariate {}: name", i + 1), &covariate.name));
    let response = [("response.name".to_owned(), &spec.response.name)];
    let mut seen: Vec<&str> = Vec::new();
    for (key, name) in levels.chain(covariates).chain(response) {
        if name.is_empty() || name == "(Intercept)" || name.contains([':', '`']) || name.contains(char::is_control) {
            let remedy = "take a name without colons and backticks that is not empty and not (Intercept)";
            return Err(SpecError::new(key, format!("{name:?} cannot be the name of a column"), remedy));
        }
        if seen.contains(&name.as_str()) {
            return Err(SpecError::new(key, format!("`{name}` is taken already"), "give every column its own name"));
        }
        seen.push(name);
    }
    Ok(())
}

fn finite(key: &str, value: f64) -> Result<f64, SpecError> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(SpecError::new(key, format!("{value} is not a finite number"), "give a number such as 0.5"))
}

fn sd(key: &str, value: f64) -> Result<f64, SpecError> {
    if value.is_finite() && value >= 0.0 {
        return Ok(value);
    }
    Err(SpecError::new(key, format!("{value} is not a standard deviation"), "give a number that is 0 or above"))
}

fn probability(key: &str, value: f64) -> Result<f64, SpecError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(value);
    }
    Err(SpecError::new(key, format!("{value} is not a probability"), "give a number from 0 to 1"))
}

fn missing(key: &str, value: f64) -> Result<f64, SpecError> {
    if (0.0..1.0).contains(&value) {
        return Ok(value);
    }
    Err(SpecError::new(key, format!("{value} is not a share of missing values"), "give a number from 0 to below 1"))
}

/// Formats a list of names: "`a`, `b` and `c`".
fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => "none".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
