//! Validates the covariates.

use super::{finite, list, missing, probability, sd};
use crate::error::SpecError;
use crate::model::{Covariate, Kind, Level};
use crate::spec::{CovariateSpec, KindSpec};
use std::collections::BTreeMap;

/// Converts all covariates, without their effects.
pub(super) fn covariates(specs: &[CovariateSpec], levels: &[Level]) -> Result<Vec<Covariate>, SpecError> {
    let mut done: Vec<Covariate> = Vec::new();
    for spec in specs {
        let covariate = Check { spec, levels, before: &done }.covariate()?;
        done.push(covariate);
    }
    Ok(done)
}

/// One covariate and what it may refer to.
struct Check<'a> {
    spec: &'a CovariateSpec,
    levels: &'a [Level],
    before: &'a [Covariate],
}

impl Check<'_> {
    fn covariate(&self) -> Result<Covariate, SpecError> {
        let spec = self.spec;
        self.check_keys()?;
        let mut level = spec.level.as_ref().map(|name| self.level("level", name)).transpose()?;
        if spec.kind == KindSpec::GroupSize {
            level = level.or(Some(self.levels.len() - 1));
        }
        let kind = match spec.kind {
            KindSpec::Normal => self.normal(level)?,
            KindSpec::Binary => {
                Kind::Binary { probability: probability(&self.key("probability"), spec.probability.unwrap_or(0.5))? }
            }
            KindSpec::Categorical => self.categorical(level)?,
            KindSpec::GroupSize => Kind::GroupSize,
        };
        let missing = missing(&self.key("missing"), spec.missing)?;
        Ok(Covariate { name: spec.name.clone(), kind, level, missing, in_formula: false, coefficient: 0.0 })
    }

    fn normal(&self, level: Option<usize>) -> Result<Kind, SpecError> {
        let empty = BTreeMap::new();
        let mut between = Vec::new();
        for (name, &value) in self.spec.between.as_ref().unwrap_or(&empty) {
            let key = format!("between.{name}");
            let of = self.coarser(&key, name, level)?;
            between.push((of, sd(&self.key(&key), value)?));
        }
        let mut depends_on = Vec::new();
        for (name, &value) in self.spec.depends_on.as_ref().unwrap_or(&empty) {
            let key = format!("depends_on.{name}");
            let on = self.earlier(&key, name, level)?;
            depends_on.push((on, finite(&self.key(&key), value)?));
        }
        // Sort by level and column, not by name.
        between.sort_by_key(|&(level, _)| level);
        depends_on.sort_by_key(|&(covariate, _)| covariate);
        Ok(Kind::Normal {
            mean: finite(&self.key("mean"), self.spec.mean.unwrap_or(0.0))?,
            sd: sd(&self.key("sd"), self.spec.sd.unwrap_or(1.0))?,
            between,
            depends_on,
        })
    }

    fn categorical(&self, level: Option<usize>) -> Result<Kind, SpecError> {
        let labels = self.spec.labels.clone().unwrap_or_default();
        if labels.len() < 2 {
            return Err(self.error("labels", "fewer than two labels", "name them, as in labels = [\"a\", \"b\"]"));
        }
        if let Some(label) = labels.iter().enumerate().find_map(|(i, l)| labels[..i].contains(l).then_some(l)) {
            return Err(self.error("labels", format!("{label:?} occurs twice"), "name every label once"));
        }
        let probabilities = self.probabilities(labels.len())?;
        let varies_by = match (&self.spec.varies_by, self.spec.concentration) {
            (None, None) => None,
            (Some(name), Some(concentration)) if concentration > 0.0 && concentration.is_finite() => {
                Some((self.coarser("varies_by", name, level)?, concentration))
            }
            (Some(_), Some(value)) => {
                let problem = format!("{value} is not above 0");
                return Err(self.error(
                    "concentration",
                    problem,
                    "give a number such as 10: the smaller, the more groups differ",
                ));
            }
            (Some(_), None) => {
                return Err(self.error(
                    "varies_by",
                    "`concentration` is missing",
                    "add one such as concentration = 10",
                ));
            }
            (None, Some(_)) => {
                return Err(self.error(
                    "concentration",
                    "`varies_by` is missing",
                    "name the level whose groups differ",
                ));
            }
        };
        let effects = vec![0.0; labels.len()];
        Ok(Kind::Categorical { labels, probabilities, varies_by, effects })
    }

    fn probabilities(&self, labels: usize) -> Result<Vec<f64>, SpecError> {
        let Some(given) = &self.spec.probabilities else { return Ok(vec![1.0 / labels as f64; labels]) };
        let key = "probabilities";
        if given.len() != labels {
            let problem = format!("{} probabilities for {labels} labels", given.len());
            return Err(self.error(key, problem, "give one for every label, in their order"));
        }
        if let Some(&wrong) = given.iter().find(|&&p| !(p > 0.0 && p <= 1.0)) {
            return Err(self.error(
                key,
                format!("{wrong} is not above 0 and up to 1"),
                "leave out labels that never occur",
            ));
        }
        let sum: f64 = given.iter().sum();
        if (sum - 1.0).abs() > 1e-6 {
            return Err(self.error(key, format!("they sum to {sum}"), "let them sum to 1"));
        }
        Ok(given.iter().map(|p| p / sum).collect())
    }

    /// Checks that no key belongs to another kind of covariate.
    fn check_keys(&self) -> Result<(), SpecError> {
        use KindSpec::{Binary, Categorical, Normal};
        let spec = self.spec;
        let keys = [
            ("mean", spec.mean.is_some(), Normal, "normal"),
            ("sd", spec.sd.is_some(), Normal, "normal"),
            ("between", spec.between.is_some(), Normal, "normal"),
            ("depends_on", spec.depends_on.is_some(), Normal, "normal"),
            ("probability", spec.probability.is_some(), Binary, "binary"),
            ("labels", spec.labels.is_some(), Categorical, "categorical"),
            ("probabilities", spec.probabilities.is_some(), Categorical, "categorical"),
            ("varies_by", spec.varies_by.is_some(), Categorical, "categorical"),
            ("concentration", spec.concentration.is_some(), Categorical, "categorical"),
        ];
        match keys.iter().find(|&&(_, given, kind, _)| given && kind != spec.kind) {
            None => Ok(()),
            Some((key, _, _, name)) => {
                let problem = format!("only a {name} covariate has it");
                Err(self.error(key, problem, format!("leave it out, or write kind = \"{name}\"")))
            }
        }
    }

    fn level(&self, key: &str, name: &str) -> Result<usize, SpecError> {
        self.levels.iter().position(|level| level.name == name).ok_or_else(|| {
            let levels = list(self.levels.iter().map(|level| level.name.as_str()));
            self.error(key, format!("there is no level `{name}`"), format!("the levels are {levels}"))
        })
    }

    /// Finds a level that is coarser than the one at which this covariate is constant.
    fn coarser(&self, key: &str, name: &str, than: Option<usize>) -> Result<usize, SpecError> {
        let level = self.level(key, name)?;
        match than {
            Some(own) if level >= own => {
                let problem =
                    format!("`{name}` is not coarser than `{}`, at which it is constant", self.levels[own].name);
                Err(self.error(key, problem, "name a coarser level, or let it differ by row: leave out `level`"))
            }
            _ => Ok(level),
        }
    }

    /// Finds a preceding numeric covariate that is constant wherever this one is.
    fn earlier(&self, key: &str, name: &str, own: Option<usize>) -> Result<usize, SpecError> {
        let found = self.before.iter().position(|covariate| covariate.name == name && covariate.is_numeric());
        let Some(found) = found else {
            let before = list(self.before.iter().filter(|c| c.is_numeric()).map(|c| c.name.as_str()));
            let remedy = format!("name one of those before it ({before}), or move it up");
            return Err(self.error(key, format!("`{name}` is not a numeric covariate before this one"), remedy));
        };
        match (own, self.before[found].level) {
            (Some(own), other) if other.is_none_or(|other| other > own) => {
                let problem = format!("`{name}` is not constant within a group of `{}`", self.levels[own].name);
                Err(self.error(key, problem, "name one that is, or let this one differ by row: leave out `level`"))
            }
            _ => Ok(found),
        }
    }

    fn key(&self, key: &str) -> String {
        format!("covariate `{}`: {key}", self.spec.name)
    }

    fn error(&self, key: &str, problem: impl Into<String>, remedy: impl Into<String>) -> SpecError {
        SpecError::new(self.key(key), problem, remedy)
    }
}
