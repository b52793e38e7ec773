//! The parameters from which the data were drawn, in the form and with the names of a fit.

use crate::model::{Covariate, Distribution, INTERCEPT, Kind, Level, Simulation, Term};
use crate::place::Place;
use crate::spec::{FamilySpec, LinkSpec};
use serde::Serialize;

/// The true parameters, which a fit of the data should recover within its standard errors.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// The model to fit.
    pub formula: String,
    /// Number of rows.
    pub rows: u64,
    /// The seed.
    pub seed: u64,
    /// Whether rows are in random order.
    pub shuffled: bool,
    /// Levels, coarsest first.
    pub levels: Vec<LevelCount>,
    /// Fixed effects.
    pub fixed_effects: Vec<FixedEffect>,
    /// Covariances of the random effects, level by level.
    pub variance_components: Vec<Component>,
    /// Standard deviation of the residual, for gaussian responses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma: Option<f64>,
    /// The family of other responses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<FamilySpec>,
    /// The link of binomial responses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkSpec>,
}

/// A level and its number of groups.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LevelCount {
    /// Name of the grouping, such as `school:class`.
    pub name: String,
    /// Number of groups in the file.
    pub groups: u64,
}

/// A fixed effect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FixedEffect {
    /// Name of the term.
    pub term: String,
    /// Its coefficient.
    pub value: f64,
}

/// The covariance of the random effects of a level.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Component {
    /// Name of the grouping.
    pub level: String,
    /// Names of the coefficients.
    pub terms: Vec<String>,
    /// Standard deviations.
    pub sd: Vec<f64>,
    /// Variances.
    pub variance: Vec<f64>,
    /// Correlations.
    pub correlation: Vec<Vec<f64>>,
}

impl Simulation {
    /// Returns the true parameters for data that end at `end`.
    pub fn truth(&self, end: &Place) -> Truth {
        let names = self.groupings();
        let levels = names.iter().zip(&end.groups).map(|(name, &groups)| LevelCount { name: name.clone(), groups });
        let components = self.levels.iter().zip(&names).filter(|(level, _)| !level.random.terms.is_empty());
        Truth {
            formula: self.formula(),
            rows: end.rows,
            seed: self.seed,
            shuffled: self.shuffle,
            levels: levels.collect(),
            fixed_effects: self.fixed_effects(),
            variance_components: components.map(|(level, name)| self.component(level, name)).collect(),
            sigma: match self.response.distribution {
                Distribution::Gaussian(sd) => Some(sd),
                _ => None,
            },
            family: match self.response.distribution {
                Distribution::Gaussian(_) => None,
                Distribution::Binomial(_) => Some(FamilySpec::Binomial),
                Distribution::Poisson => Some(FamilySpec::Poisson),
            },
            link: match self.response.distribution {
                Distribution::Binomial(link) => Some(link),
                _ => None,
            },
        }
    }

    /// Returns the formula of the model: all covariates with a fixed effect, and all random effects.
    pub fn formula(&self) -> String {
        let mut terms: Vec<String> = self.covariates.iter().filter(|c| c.in_formula).map(|c| quoted(&c.name)).collect();
        let pair =
            |[a, b]: [usize; 2]| format!("{}:{}", quoted(&self.covariates[a].name), quoted(&self.covariates[b].name));
        terms.extend(self.interactions.iter().map(|interaction| pair(interaction.covariates)));
        if terms.is_empty() {
            terms.push("1".to_owned());
        }
        let levels =
            self.levels.iter().zip(self.nested_names(quoted)).filter(|(level, _)| !level.random.terms.is_empty());
        terms.extend(levels.map(|(level, grouping)| {
            let mut inside: Vec<String> = level.random.terms.iter().map(|&term| self.inside(term)).collect();
            if !level.random.terms.contains(&Term::Intercept) {
                inside.insert(0, "0".to_owned());
            }
            format!("({} | {grouping})", inside.join(" + "))
        }));
        format!("{} ~ {}", quoted(&self.response.name), terms.join(" + "))
    }

    fn inside(&self, term: Term) -> String {
        match term {
            Term::Intercept => "1".to_owned(),
            Term::Slope(covariate) => quoted(&self.covariates[covariate].name),
        }
    }

    /// Returns the names of the groupings, coarsest first: `school`, `school:class`, …
    pub fn groupings(&self) -> Vec<String> {
        self.nested_names(|name| name.to_owned())
    }

    fn nested_names(&self, name: impl Fn(&str) -> String) -> Vec<String> {
        let names: Vec<String> = self.levels.iter().map(|level| name(&level.name)).collect();
        (1..=names.len()).map(|k| names[..k].join(":")).collect()
    }

    fn fixed_effects(&self) -> Vec<FixedEffect> {
        let effect = |term: String, value: f64| FixedEffect { term, value };
        let mut all = vec![effect(INTERCEPT.to_owned(), self.intercept)];
        for covariate in self.covariates.iter().filter(|covariate| covariate.in_formula) {
            match &covariate.kind {
                Kind::Categorical { labels, effects, .. } => all.extend(factor_effects(covariate, labels, effects)),
                _ => all.push(effect(covariate.name.clone(), covariate.coefficient)),
            }
        }
        all.extend(self.interactions.iter().map(|interaction| {
            let [a, b] = interaction.covariates.map(|covariate| self.covariates[covariate].name.as_str());
            effect(format!("{a}:{b}"), interaction.coefficient)
        }));
        all
    }

    fn component(&self, level: &Level, name: &str) -> Component {
        let random = &level.random;
        Component {
            level: name.to_owned(),
            terms: random.terms.iter().map(|term| term.name(&self.covariates).to_owned()).collect(),
            sd: random.sds.clone(),
            variance: random.sds.iter().map(|sd| sd * sd).collect(),
            correlation: random.correlation.clone(),
        }
    }
}

/// Returns the effects of all labels, sorted, except the first (the reference).
fn factor_effects(covariate: &Covariate, labels: &[String], effects: &[f64]) -> Vec<FixedEffect> {
    let mut all: Vec<(&String, f64)> = labels.iter().zip(effects.iter().copied()).collect();
    all.sort_by_key(|&(label, _)| label);
    all[1..]
        .iter()
        .map(|(label, value)| FixedEffect { term: format!("{}{label}", covariate.name), value: *value })
        .collect()
}

/// Returns a name as written in a formula.
fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_alphabetic())
        && name.chars().all(|c| c.is_alphanumeric() || c == '.' || c == '_');
    if plain { name.to_owned() } else { format!("`{name}`") }
}
