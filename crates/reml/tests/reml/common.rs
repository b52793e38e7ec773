//! A table in memory, and models of simulated samples.

use nalgebra::DMatrix;
use tiers_design::{
    BLOCK_ROWS, Block, Column, Dictionary, Field, Formula, Kind, Labels, Plan, RawBlock, Request, Role, Scan, Settings,
    Source, SourceError,
};
use tiers_reml::{Dropped, IngestError, Model, Objective, accumulate, settle};
use tiers_testkit::NestedSample;

/// A column of a table in memory.
#[derive(Clone, Debug)]
pub(crate) enum Values {
    Numbers(Vec<f64>),
    Ids(Vec<i64>),
    Texts(Vec<String>),
}

/// A table in memory, cut into blocks of any size.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    fields: Vec<Field>,
    values: Vec<Values>,
    rows: usize,
    pub(crate) block_rows: usize,
}

impl Memory {
    pub(crate) fn new(columns: Vec<(&str, Values)>) -> Self {
        let rows = columns.first().map_or(0, |(_, v)| v.len());
        let field = |(name, values): &(&str, Values)| Field {
            name: (*name).to_owned(),
            kind: match values {
                Values::Numbers(_) => Kind::Float,
                Values::Ids(_) => Kind::Integer,
                Values::Texts(_) => Kind::Text,
            },
        };
        let fields = columns.iter().map(field).collect();
        Memory { fields, values: columns.into_iter().map(|c| c.1).collect(), rows, block_rows: BLOCK_ROWS }
    }

    /// The same rows in another order.
    pub(crate) fn permuted(&self, order: &[usize]) -> Self {
        let pick = |values: &Values| match values {
            Values::Numbers(v) => Values::Numbers(order.iter().map(|&i| v[i]).collect()),
            Values::Ids(v) => Values::Ids(order.iter().map(|&i| v[i]).collect()),
            Values::Texts(v) => Values::Texts(order.iter().map(|&i| v[i].clone()).collect()),
        };
        Memory { values: self.values.iter().map(pick).collect(), ..self.clone() }
    }
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Values::Numbers(v) => v.len(),
            Values::Ids(v) => v.len(),
            Values::Texts(v) => v.len(),
        }
    }

    fn column(&self, role: Role, rows: std::ops::Range<usize>) -> Column {
        match (self, role) {
            (Values::Numbers(v), _) => Column::Numbers(v[rows].to_vec()),
            (Values::Ids(v), Role::Number) => Column::Numbers(v[rows].iter().map(|&i| i as f64).collect()),
            (Values::Ids(v), Role::Label) => Column::Labels(label(&v[rows], Dictionary::Integer)),
            (Values::Texts(v), _) => Column::Labels(label(&v[rows], |d| Dictionary::Text(d.iter().collect()))),
        }
    }
}

fn label<T: Clone + PartialEq>(values: &[T], dictionary: impl Fn(Vec<T>) -> Dictionary) -> Labels {
    let mut known: Vec<T> = Vec::new();
    let mut codes = Vec::new();
    for value in values {
        let at = known.iter().position(|k| k == value).unwrap_or_else(|| {
            known.push(value.clone());
            known.len() - 1
        });
        codes.push(at as u32);
    }
    Labels { codes, dictionary: dictionary(known) }
}

impl Source for Memory {
    fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn scan(&self, requests: &[Request]) -> Result<Scan, SourceError> {
        let (this, requests) = (self.clone(), requests.to_vec());
        let starts = (0..self.rows).step_by(self.block_rows);
        Ok(Box::new(starts.map(move |start| {
            let rows = start..this.rows.min(start + this.block_rows);
            let column = |request: &Request| {
                let at = this.fields.iter().position(|f| f.name == request.column).expect("a known column");
                this.values[at].column(request.role, rows.clone())
            };
            let columns = requests.iter().map(column).collect();
            let block = Block { first_row: start as u64, rows: rows.len(), columns };
            Ok(Box::new(block) as Box<dyn RawBlock>)
        })))
    }
}

/// Reads a table in memory into a model.
pub(crate) fn model(table: &Memory, formula: &str, weights: Option<&str>) -> Result<(Model, Dropped), IngestError> {
    let settings = Settings { weights: weights.map(str::to_owned), ..Settings::default() };
    let formula: Formula = formula.parse().map_err(tiers_design::DesignError::from)?;
    let plan = Plan::new(&formula, table.fields(), &settings)?;
    settle(accumulate(table, &plan, &mut ())?)
}

/// A sample as a table (columns c1…, y, w, g0 the finest grouping …) and its formula.
pub(crate) fn table_of(sample: &NestedSample) -> (Memory, String) {
    let names: Vec<String> = (0..sample.columns.len()).map(|i| format!("c{i}")).collect();
    let groups: Vec<String> = (0..sample.levels.len()).map(|k| format!("g{k}")).collect();
    let mut columns: Vec<(&str, Values)> = vec![("y", Values::Numbers(sample.y.clone()))];
    for (name, values) in names.iter().zip(&sample.columns).skip(1) {
        columns.push((name, Values::Numbers(values.clone())));
    }
    for (name, level) in groups.iter().zip(&sample.levels) {
        columns.push((name, Values::Ids(level.group.iter().map(|&g| 100 + g as i64).collect())));
    }
    if let Some(weights) = &sample.weights {
        columns.push(("w", Values::Numbers(weights.clone())));
    }
    let term = |columns: &[usize]| {
        let own = if columns.contains(&0) { "1" } else { "0" };
        let slopes = columns.iter().filter(|&&c| c != 0).map(|c| format!(" + c{c}"));
        format!("{own}{}", slopes.collect::<String>())
    };
    let fixed: Vec<String> = sample.x.iter().map(|&c| if c == 0 { "1".into() } else { names[c].clone() }).collect();
    let random = sample.levels.iter().zip(&groups).flat_map(|(level, group)| {
        level.terms.iter().map(move |columns| format!(" + ({} | {group})", term(columns)))
    });
    let formula = format!("y ~ {}{}", fixed.join(" + "), random.collect::<String>());
    (Memory::new(columns), formula)
}

/// Scaled theta of a model at raw factors given term by term, lower triangular by column.
pub(crate) fn internal_theta(model: &Model, objective: &Objective<'_>, raw: &[f64]) -> Vec<f64> {
    let mut factors: Vec<DMatrix<f64>> = objective.parameters.r.iter().map(|&r| DMatrix::zeros(r, r)).collect();
    for (entry, &value) in objective.parameters.entries.iter().zip(raw) {
        factors[entry.level][(entry.row, entry.column)] = value;
    }
    let maps = model.effect_maps();
    let shifted: Vec<_> =
        factors.iter().zip(maps).map(|(l, map)| map.try_inverse().expect("unimodular") * l).collect();
    objective.parameters.from_factors(&shifted)
}
