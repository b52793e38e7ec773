//! The plan: a formula resolved against the schema of a table. The columns to read are known, but no row
//! has been read.

use crate::coding::Resolved;
use crate::columns::{Doubt, Field, Kind, Request, Role};
use crate::error::DesignError;
use crate::formula::{Caret, Expr, Formula, TermList, VariableKind};
use crate::levels::LevelOrder;
use crate::nearest::nearest;
use crate::recipe::{Factor, Grouping, Recipe};
use serde::{Deserialize, Serialize};

/// Settings of a design, besides the formula.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Column of prior weights: row i has residual variance σ² / weight i. Default: all weights are 1.
    pub weights: Option<String>,
    /// Pairs of a factor's column and its reference level. Default: the first level in order.
    pub reference: Vec<(String, String)>,
    /// Pairs of a factor's column and its levels in order. The data may lack some of them but must not have
    /// others. Default: the order of the table, or else by value (numbers) or bytes (text).
    #[serde(default)]
    pub levels: Vec<(String, Vec<String>)>,
    /// Whether the response may be a boolean, a factor of two levels, or `cbind(successes, failures)`, as that of
    /// a generalised model (default: false).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub generalised: bool,
}

/// A formula resolved against a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub(crate) formula: Formula,
    pub(crate) settings: Settings,
    pub(crate) requests: Vec<Request>,
    pub(crate) factors: Vec<PlannedFactor>,
    /// Resolutions of the variables of the fixed terms.
    pub(crate) fixed: Vec<Resolved>,
    pub(crate) weights: Option<usize>,
    /// The factor that is the response.
    pub(crate) success: Option<usize>,
    pub(crate) keys: Vec<usize>,
    pub(crate) groupings: Vec<Grouping>,
    /// For each random term, its grouping and the resolutions of its variables.
    pub(crate) random: Vec<(usize, Vec<Resolved>)>,
}

/// A factor whose levels are not known yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlannedFactor {
    pub(crate) column: String,
    /// Index into the requests.
    pub(crate) request: usize,
    pub(crate) order: LevelOrder,
    /// Whether the order lists all allowed levels.
    pub(crate) closed: bool,
}

impl Plan {
    /// Resolves a formula against the columns of a table.
    pub fn new(formula: &Formula, fields: &[Field], settings: &Settings) -> Result<Plan, DesignError> {
        let mut resolver = Resolver { formula, fields, settings, requests: Vec::new(), factors: Vec::new() };
        let success = resolver.response()?;
        let fixed = resolver.variables(&formula.fixed)?;
        for offset in &formula.offsets {
            resolver.numbers(offset)?;
        }
        let mut random: Vec<(usize, Vec<Resolved>)> = Vec::new();
        let (mut keys, mut groupings) = (Vec::new(), Vec::new());
        for term in &formula.random {
            let variables = resolver.variables(&term.coefficients)?;
            random.push((resolver.grouping(&term.grouping, &mut keys, &mut groupings)?, variables));
        }
        let weights = settings.weights.as_deref().map(|column| resolver.weights(column)).transpose()?;
        let Resolver { requests, factors, .. } = resolver;
        let is_factor = |column: &String| factors.iter().any(|f: &PlannedFactor| f.column == *column);
        let named = || factors.iter().map(|f| f.column.clone()).collect();
        if let Some((column, _)) = settings.reference.iter().find(|(column, _)| !is_factor(column)) {
            return Err(DesignError::ReferenceWithoutFactor { column: column.clone(), factors: named() });
        }
        if let Some((column, _)) = settings.levels.iter().find(|(column, _)| !is_factor(column)) {
            return Err(DesignError::LevelsWithoutFactor { column: column.clone(), factors: named() });
        }
        let (formula, settings) = (formula.clone(), settings.clone());
        Ok(Plan { formula, settings, requests, factors, fixed, weights, success, keys, groupings, random })
    }

    /// Returns the columns to read, in this order.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Sorts levels in the order of the factor of this column.
    pub fn sort_levels(&self, column: &str, levels: &mut Vec<String>) {
        let factor = self.factors.iter().find(|factor| factor.column == column);
        factor.map_or(&LevelOrder::Bytes, |factor| &factor.order).sort(levels);
    }

    /// Whether a recipe was frozen from this plan or an equivalent one: same formula, weights, keys and
    /// reference levels.
    pub fn is_of(&self, recipe: &Recipe) -> bool {
        let last = |column: &str| self.settings.reference.iter().rev().find(|(factor, _)| factor == column);
        let is_reference = |factor: &Factor| last(&factor.column).is_none_or(|(_, l)| factor.levels.first() == Some(l));
        recipe.formula == self.formula.source
            && (recipe.weights, &recipe.keys) == (self.weights, &self.keys)
            && recipe.factors.iter().all(is_reference)
    }

    /// Returns the columns of the factors, for a pass that collects all levels. The levels given to
    /// [`Plan::freeze`] must be in this order.
    pub fn factor_requests(&self) -> Vec<Request> {
        self.factors.iter().map(|factor| self.requests[factor.request].clone()).collect()
    }
}

/// Use of a column.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Numbers.
    Number,
    /// Numbers or, if it holds text, a factor.
    Variable,
    /// Ids of groups.
    Ids,
}

/// Looks up columns and collects requests.
struct Resolver<'a> {
    formula: &'a Formula,
    fields: &'a [Field],
    settings: &'a Settings,
    requests: Vec<Request>,
    factors: Vec<PlannedFactor>,
}

impl Resolver<'_> {
    fn place(&self, column: &str) -> Option<Caret> {
        self.formula.place(column)
    }

    fn find(&self, column: &str, place: Option<Caret>) -> Result<&Kind, DesignError> {
        match self.fields.iter().find(|field| field.name == column) {
            Some(Field { kind: Kind::Other(kind), .. }) => {
                Err(DesignError::UnusableColumn { column: column.to_owned(), kind: kind.clone(), place })
            }
            Some(Field { kind: Kind::Unequal(why), .. }) => {
                Err(DesignError::UnequalColumn { column: column.to_owned(), why: why.clone(), place })
            }
            Some(field) => Ok(&field.kind),
            None => {
                let available: Vec<String> = self.fields.iter().map(|field| field.name.clone()).collect();
                let nearest = nearest(column, &available);
                Err(DesignError::UnknownColumn { column: column.to_owned(), nearest, available, place })
            }
        }
    }

    /// Returns an error if the kind of a column is in doubt and this use of it does not settle the kind.
    fn check_doubt(&self, column: &str, place: Option<Caret>, used_as: Use) -> Result<(), DesignError> {
        match self.find(column, place.clone())? {
            Kind::Mixed(Doubt { odd, remedy, like_ids }) if !(used_as == Use::Ids && *like_ids) => {
                let factor = if used_as == Use::Variable { format!(", or factor({column})") } else { String::new() };
                let (column, odd, remedy) = (column.to_owned(), odd.clone(), remedy.clone() + &factor);
                Err(DesignError::Mixed { column, odd, remedy, place })
            }
            _ => Ok(()),
        }
    }

    /// Returns the index of the request for a column in a role; adds the request if it is new.
    fn request(&mut self, column: &str, role: Role) -> usize {
        let found = self.requests.iter().position(|r| r.column == column && r.role == role);
        found.unwrap_or_else(|| {
            self.requests.push(Request { column: column.to_owned(), role });
            self.requests.len() - 1
        })
    }

    /// Requests the response. Returns its factor if it is not a number.
    fn response(&mut self) -> Result<Option<usize>, DesignError> {
        let response = &self.formula.response;
        if self.formula.trials.is_some() && !self.settings.generalised {
            return Err(DesignError::TrialsOfLinearModel);
        }
        if let (Expr::Column(column), true) = (response, self.settings.generalised) {
            let place = self.place(column);
            self.check_doubt(column, place.clone(), Use::Variable)?;
            if matches!(self.find(column, place)?, Kind::Text | Kind::Boolean) {
                return Ok(Some(self.factor(column)));
            }
        }
        if let Expr::Column(column) = response {
            let place = self.place(column);
            self.check_doubt(column, place.clone(), Use::Number)?;
            let (kind, remedy) = match self.find(column, place.clone())? {
                Kind::Text => ("text", "name a column of numbers, or convert it before the fit".to_owned()),
                Kind::Boolean => ("boolean", format!("write I({response}) ~ … to take it as 0 and 1")),
                _ => return self.numbers(response).map(|()| None),
            };
            return Err(DesignError::ResponseNotNumeric { column: column.clone(), kind, remedy, place });
        }
        self.numbers(response).map(|()| None)
    }

    /// Requests the columns of an expression as numbers.
    fn numbers(&mut self, expr: &Expr) -> Result<(), DesignError> {
        for column in expr.columns() {
            let place = self.place(column);
            self.check_doubt(column, place.clone(), Use::Number)?;
            if *self.find(column, place.clone())? == Kind::Text {
                let expression = expr.to_string();
                return Err(DesignError::TextInArithmetic { column: column.to_owned(), expression, place });
            }
            self.request(column, Role::Number);
        }
        Ok(())
    }

    /// Resolves the variables of a list of terms. Columns of variables in no term are not requested, but
    /// must exist.
    fn variables(&mut self, list: &TermList) -> Result<Vec<Resolved>, DesignError> {
        let mut resolved = Vec::with_capacity(list.variables.len());
        for (v, variable) in list.variables.iter().enumerate() {
            let used = list.terms.iter().any(|term| term.contains(&v));
            resolved.push(self.variable(&variable.kind, used)?);
        }
        Ok(resolved)
    }

    fn variable(&mut self, kind: &VariableKind, used: bool) -> Result<Resolved, DesignError> {
        match kind {
            VariableKind::Number(expr) if used => {
                self.numbers(expr)?;
                Ok(Resolved::Number(expr.clone()))
            }
            VariableKind::Number(expr) => {
                expr.columns().into_iter().try_for_each(|c| self.find(c, self.place(c)).map(|_| ()))?;
                Ok(Resolved::Unused)
            }
            VariableKind::Column(column) | VariableKind::Factor(column) => {
                let place = self.place(column);
                let number = self.find(column, place.clone())?.is_number();
                let is_plain = matches!(kind, VariableKind::Column(_));
                if used && is_plain {
                    self.check_doubt(column, place.clone(), Use::Variable)?;
                }
                if !used {
                    Ok(Resolved::Unused)
                } else if number && is_plain {
                    self.request(column, Role::Number);
                    Ok(Resolved::Number(Expr::Column(column.clone())))
                } else {
                    Ok(Resolved::Factor(self.factor(column)))
                }
            }
        }
    }

    /// Returns the factor of a column. Unlike ids of groups, levels may be numbers that are not whole.
    fn factor(&mut self, column: &str) -> usize {
        let field = self.fields.iter().find(|field| field.name == column);
        let role = if field.is_some_and(|field| field.kind == Kind::Float) { Role::Level } else { Role::Label };
        let request = self.request(column, role);
        let found = self.factors.iter().position(|factor| factor.request == request);
        found.unwrap_or_else(|| {
            let given = self.settings.levels.iter().rev().find(|(factor, _)| factor == column);
            let order = given.map_or_else(|| LevelOrder::of(field), |(_, levels)| LevelOrder::Listed(levels.clone()));
            self.factors.push(PlannedFactor { column: column.to_owned(), request, order, closed: given.is_some() });
            self.factors.len() - 1
        })
    }

    /// Returns the grouping by these columns, whose order does not matter; adds it if it is new.
    fn grouping(
        &mut self,
        columns: &[String],
        keys: &mut Vec<usize>,
        groupings: &mut Vec<Grouping>,
    ) -> Result<usize, DesignError> {
        let mut own = Vec::with_capacity(columns.len());
        for column in columns {
            self.check_doubt(column, self.place(column), Use::Ids)?;
            let request = self.request(column, Role::Label);
            own.push(keys.iter().position(|&key| key == request).unwrap_or_else(|| {
                keys.push(request);
                keys.len() - 1
            }));
        }
        let same = |other: &Grouping| other.keys.len() == own.len() && other.keys.iter().all(|k| own.contains(k));
        if let Some(found) = groupings.iter().position(same) {
            return Ok(found);
        }
        groupings.push(Grouping { name: columns.join(":"), keys: own });
        Ok(groupings.len() - 1)
    }

    fn weights(&mut self, column: &str) -> Result<usize, DesignError> {
        self.check_doubt(column, None, Use::Number)?;
        let kind = match self.find(column, None)? {
            Kind::Text => "text",
            Kind::Boolean => "boolean",
            _ => return Ok(self.request(column, Role::Number)),
        };
        Err(DesignError::WeightsNotNumeric { column: column.to_owned(), kind })
    }
}
