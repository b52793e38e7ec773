//! Plain columns of simulated rows.

use crate::id::IdStyle;
use crate::model::{Distribution, Kind, Simulation};

/// Name and kind of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// The kind of its values.
    pub kind: FieldKind,
    /// Whether values may be missing.
    pub has_missing: bool,
}

/// The kind of the values of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldKind {
    /// Ids of groups, formatted from numbers that count from 1: [`Values::Whole`].
    Id(IdStyle),
    /// Real numbers: [`Values::Real`].
    Real,
    /// 0 or 1: [`Values::Whole`].
    Binary,
    /// Non-negative integers: [`Values::Whole`].
    Count,
    /// Strings with few distinct values, which are listed here: [`Values::Code`].
    Categorical(Vec<String>),
}

/// One column of some rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its values; missing rows have a value too.
    pub values: Values,
    /// Which rows are missing; `None` means that no row is missing.
    pub missing: Option<Vec<bool>>,
}

/// Values of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Real numbers.
    Real(Vec<f64>),
    /// Integers.
    Whole(Vec<u64>),
    /// Numbers of labels, counted from 0.
    Code(Vec<u32>),
}

impl Column {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Real(v) => v.len(),
            Values::Whole(v) => v.len(),
            Values::Code(v) => v.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Real(v) => v.truncate(rows),
            Values::Whole(v) => v.truncate(rows),
            Values::Code(v) => v.truncate(rows),
        }
        if let Some(missing) = &mut self.missing {
            missing.truncate(rows);
        }
    }
}

impl Simulation {
    /// Returns the columns: levels, covariates, the response.
    pub fn fields(&self) -> Vec<Field> {
        let ids = self.levels.iter();
        let ids = ids.map(|level| Field {
            name: level.name.clone(),
            kind: FieldKind::Id(level.id.clone()),
            has_missing: false,
        });
        let covariates = self.covariates.iter().map(|covariate| {
            let kind = match &covariate.kind {
                Kind::Normal { .. } => FieldKind::Real,
                Kind::Binary { .. } => FieldKind::Binary,
                Kind::Categorical { labels, .. } => FieldKind::Categorical(labels.clone()),
                Kind::GroupSize => FieldKind::Count,
            };
            Field { name: covariate.name.clone(), kind, has_missing: covariate.missing > 0.0 }
        });
        let response = &self.response;
        let kind = match response.distribution {
            Distribution::Gaussian(_) => FieldKind::Real,
            Distribution::Binomial(_) => FieldKind::Binary,
            Distribution::Poisson => FieldKind::Count,
        };
        let response = Field { name: response.name.clone(), kind, has_missing: response.missing > 0.0 };
        ids.chain(covariates).chain([response]).collect()
    }
}
