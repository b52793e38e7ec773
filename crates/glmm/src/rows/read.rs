//! Reads the rows of a model a second time, into the order of their groups.

use super::narrow::Narrow;
use super::{Rows, ShardOrder};
use crate::family::{Distribution, Family};
use tiers_design::{
    Atom, Block, ColumnSpec, EncodeError, Encoder, Labels, MISSING, Recipe, RowBlock, Source, SourceError,
};
use tiers_moments::{GroupIndex, GroupPlace, PassError, ReadObserver, RowPass, Structure};
use tiers_reml::Model;

/// Why the rows of a generalised model could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The pass did not reach the last row.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// A row cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The rows are not those of the first pass.
    #[error("the data changed between two passes over them: run again when nothing writes to them")]
    Changed,
    /// The response does not suit the family.
    #[error(transparent)]
    Response(#[from] ResponseError),
    /// The groupings cross.
    #[error(
        "the groupings {one} and {other} cross: neither lies within the other, and with a family only nested groupings \
         can be fitted so far. If the labels of one are reused within each group of the other, write \
         (1 | {other}/{one}) or (1 | {one}/{other}), outer grouping first, which keeps them apart; if they really \
         cross, drop one of the two terms, or fit a linear model"
    )]
    Crossed {
        /// A grouping.
        one: String,
        /// One that crosses it.
        other: String,
    },
    /// More rows than memory is planned for.
    #[error("a generalised model holds its rows in memory, at most 4,294,967,295 of them; the data have {0}")]
    TooMany(u64),
}

/// A response that does not suit the family.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ResponseError {
    /// A factor without two levels.
    #[error(
        "the response {name} has {} levels ({}): a binomial response has two, of which the second is success. Compare \
         with one of them, or fit other outcomes one by one", levels.len(), levels.join(", ")
    )]
    Levels {
        /// Response as written.
        name: String,
        /// Its levels.
        levels: Vec<String>,
    },
    /// A factor where counts are needed.
    #[error("the response {name} is not a number: the poisson family needs counts")]
    NotCounts {
        /// Response as written.
        name: String,
    },
    /// A value out of range.
    #[error("row {row} (counted from 1): the response {name} is {value}, and {needed}")]
    Value {
        /// Number of the row.
        row: u64,
        /// Response as written.
        name: String,
        /// The value.
        value: f64,
        /// What the family needs.
        needed: &'static str,
    },
    /// Successes that are not whole.
    #[error(
        "row {row} (counted from 1): the share {share} of {trials} trials is {successes} successes, which is not a whole \
         number: the response must be a share of the trials that the weights count, or cbind(successes, failures)"
    )]
    NotWhole {
        /// Number of the row.
        row: u64,
        /// Share of successes.
        share: f64,
        /// Trials.
        trials: f64,
        /// Their product.
        successes: f64,
    },
    /// All rows have the same outcome.
    #[error("the response {name} is {value} on all {n} rows: there is nothing to explain")]
    Constant {
        /// Response as written.
        name: String,
        /// What it is.
        value: &'static str,
        /// Rows.
        n: usize,
    },
}

/// The rows of one block, ready to be put in their places.
struct Placed {
    places: Vec<u32>,
    columns: Vec<Vec<f64>>,
    k: Vec<f64>,
    m: Option<Vec<f64>>,
    offset: Option<Vec<f64>>,
    constant: f64,
}

impl Rows {
    /// Reads the rows of a model again.
    ///
    /// # Errors
    /// If they cannot be read, are not those of the first pass, or the response does not suit the family.
    pub fn read(
        model: &Model,
        distribution: Distribution,
        source: &dyn Source,
        observer: &mut dyn ReadObserver,
    ) -> Result<Rows, RowsError> {
        let rows = model.totals().rows;
        let n = u32::try_from(rows).map_err(|_| RowsError::TooMany(rows))? as usize;
        let reader = Reader::new(model, distribution)?;
        let counted = model.recipe.weights.is_some() || model.recipe.trials.is_some();
        let mut out = Rows {
            columns: vec![Narrow::zeros(n); reader.columns.len()],
            shifts: reader.columns.iter().map(|&c| model.recipe.columns[c].shift).collect(),
            x: reader.position(&model.x()),
            z: reader.position(&reader.z),
            k: Narrow::zeros(n),
            m: counted.then(|| Narrow::zeros(n)),
            offset: (!model.recipe.offsets.is_empty()).then(|| Narrow::zeros(n)),
            shards: Vec::new(),
            constant: 0.0,
        };
        // The next place of each finest group, by shard and position.
        let mut next: Vec<Vec<u32>> = reader.shards.iter().map(starts).collect();
        let mut placed_rows = 0;
        let mut changed = false;
        let mut place = |placed: Placed| -> Result<(), SourceError> {
            let mut places = Vec::with_capacity(placed.k.len());
            for &group in &placed.places {
                let (shard, position) = reader.finest[group as usize];
                let at = &mut next[shard as usize][position as usize];
                changed |= *at as usize >= reader.shards[shard as usize].row_ends[position as usize];
                places.push(*at);
                *at += 1;
            }
            if changed {
                return Err(Box::new(RowsError::Changed));
            }
            placed_rows += places.len();
            out.columns.iter_mut().zip(&placed.columns).for_each(|(all, values)| all.scatter(&places, values));
            out.k.scatter(&places, &placed.k);
            let optional = [(&mut out.m, &placed.m), (&mut out.offset, &placed.offset)];
            for (all, values) in optional {
                if let (Some(all), Some(values)) = (all, values) {
                    all.scatter(&places, values);
                }
            }
            out.constant += placed.constant;
            Ok(())
        };
        RowPass::new(source, model.recipe.requests.clone())
            .run(observer, |block| reader.of_block(&block), &mut place)
            .map_err(|error: RowsError| if changed { RowsError::Changed } else { error })?;
        if placed_rows != n {
            return Err(RowsError::Changed);
        }
        out.shards = reader.shards;
        out.check_outcomes(&model.recipe, distribution)?;
        Ok(out)
    }

    /// Checks that the outcomes differ.
    fn check_outcomes(&self, recipe: &Recipe, distribution: Distribution) -> Result<(), ResponseError> {
        let trials = |row| self.m.as_ref().map_or(1.0, |m| m.at(row));
        let n = self.len();
        let none = (0..n).all(|row| self.k.at(row) == 0.0);
        let all = distribution.family() == Family::Binomial && (0..n).all(|row| self.k.at(row) == trials(row));
        let value = match (none, all, recipe.success.is_some()) {
            (true, _, true) => "the first level",
            (true, _, false) => "0",
            (_, true, true) => "the second level",
            (_, true, false) => "1 (a success in every trial)",
            _ => return Ok(()),
        };
        Err(ResponseError::Constant { name: recipe.response_name.clone(), value, n })
    }
}

/// The first place of each finest group of a shard.
fn starts(shard: &ShardOrder) -> Vec<u32> {
    (0..shard.row_ends.len()).map(|finest| shard.row_start(finest) as u32).collect()
}

/// Encodes blocks and finds the places of their rows.
struct Reader<'a> {
    model: &'a Model,
    distribution: Distribution,
    encoder: Encoder,
    /// Columns of the recipe that are kept: those of X, then further z columns.
    columns: Vec<usize>,
    /// The distinct z columns.
    z: Vec<usize>,
    /// Further columns of the encoder: the indicator of success, trials, offsets.
    success: Option<usize>,
    trials: Option<usize>,
    offsets: std::ops::Range<usize>,
    shards: Vec<ShardOrder>,
    groups: GroupIndex,
    /// Shard and position of each finest group.
    finest: Vec<(u32, u32)>,
}

impl<'a> Reader<'a> {
    fn new(model: &'a Model, distribution: Distribution) -> Result<Reader<'a>, RowsError> {
        let mut recipe = model.recipe.clone();
        recipe.columns.iter_mut().for_each(|column| column.shift = 0.0);
        recipe.response_shift = 0.0;
        recipe.offsets.clear();
        let number =
            |name: &str, expr| ColumnSpec { name: name.to_owned(), atoms: vec![Atom::Number(expr)], shift: 0.0 };
        let name = model.recipe.response_name.clone();
        let mut push = |column: ColumnSpec| {
            recipe.columns.push(column);
            recipe.columns.len() - 1
        };
        let success = match model.recipe.success {
            Some(_) if distribution.family() != Family::Binomial => {
                return Err(ResponseError::NotCounts { name }.into());
            }
            Some(factor) => {
                let levels = &model.recipe.factors[factor].levels;
                if levels.len() != 2 {
                    return Err(ResponseError::Levels { name, levels: levels.clone() }.into());
                }
                let atoms = vec![Atom::Indicator { factor, level: 1 }];
                Some(push(ColumnSpec { name: "success".to_owned(), atoms, shift: 0.0 }))
            }
            None => None,
        };
        let trials = model.recipe.trials.clone().map(|trials| push(number("trials", trials)));
        let first = model.recipe.columns.len() + usize::from(success.is_some()) + usize::from(trials.is_some());
        for offset in &model.recipe.offsets {
            push(number("offset", offset.clone()));
        }
        let offsets = first..first + model.recipe.offsets.len();
        let mut z: Vec<usize> = Vec::new();
        for level in model.levels() {
            let new: Vec<usize> = level.z.iter().copied().filter(|c| !z.contains(c)).collect();
            z.extend(new);
        }
        let mut columns = model.x();
        columns.extend(z.iter().copied().filter(|c| !model.x().contains(c)));
        let mut first_row = 0;
        let order = |tree: &tiers_moments::Tree| {
            let order = ShardOrder::new(tree, first_row);
            first_row = order.row_ends.last().copied().unwrap_or(first_row);
            order
        };
        let forest = match model.structure() {
            Structure::Nested(forest) => forest,
            Structure::Crossed(crossed) => {
                let (one, other) = crossed.crossing();
                let name = |level: usize| crossed.levels[level].name.clone();
                return Err(RowsError::Crossed { one: name(one), other: name(other) });
            }
        };
        let shards: Vec<ShardOrder> = forest.trees.iter().map(order).collect();
        let (groups, finest) = finest_groups(model, &shards);
        let encoder = Encoder::new(&recipe);
        Ok(Reader { model, distribution, encoder, columns, z, success, trials, offsets, shards, groups, finest })
    }

    fn position(&self, columns: &[usize]) -> Vec<usize> {
        columns.iter().map(|c| self.columns.iter().position(|own| own == c).expect("a column that is kept")).collect()
    }

    fn of_block(&self, block: &Block) -> Result<Placed, RowsError> {
        let rows = self.encoder.encode(block)?;
        let places = self.places(&rows)?;
        let columns = self.columns.iter().map(|&c| rows.column(c).to_vec()).collect();
        let mut offset = (!self.offsets.is_empty()).then(|| vec![0.0; rows.rows]);
        for column in self.offsets.clone() {
            let sum = offset.iter_mut().flatten();
            sum.zip(rows.column(column)).for_each(|(sum, o)| *sum += o);
        }
        let (k, m, constant) = self.response(&rows)?;
        Ok(Placed { places, columns, k, m, offset, constant })
    }

    /// Returns successes and trials (or weighted counts and weights), and the constants of the likelihood.
    #[allow(clippy::type_complexity)]
    fn response(&self, rows: &RowBlock) -> Result<(Vec<f64>, Option<Vec<f64>>, f64), ResponseError> {
        let y = rows.column(self.success.unwrap_or(rows.columns - 1));
        let weights = rows.weights.as_deref();
        let trials = self.trials.map(|column| rows.column(column));
        let binomial = self.distribution.family() == Family::Binomial;
        // Weights count trials where a response is a proper share; on 0/1 responses they multiply.
        let mut k = Vec::with_capacity(rows.rows);
        let mut m = Vec::with_capacity(rows.rows);
        let mut constant = 0.0;
        for (i, &y) in y.iter().enumerate() {
            let row = rows.first_row + rows.kept.as_ref().map_or(i as u64, |kept| u64::from(kept[i])) + 1;
            let name = || self.model.recipe.response_name.clone();
            let value = |value, needed| ResponseError::Value { row, name: name(), value, needed };
            let weight = weights.map_or(1.0, |w| w[i]);
            if !binomial {
                if y < 0.0 || y.fract() != 0.0 {
                    return Err(value(y, "counts are whole numbers from 0 up"));
                }
                k.push(weight * y);
                m.push(weight);
                constant += self.distribution.constant(weight * y, weight, false);
                continue;
            }
            let count = trials.map(|t| t[i]).or((weights.is_some() && self.success.is_none()).then_some(weight));
            match count {
                Some(trials) => {
                    if !(0.0..=1.0).contains(&y) || trials < 0.0 {
                        return Err(value(y, "there must be from 0 up to as many successes as trials"));
                    }
                    let successes = (y * trials).round();
                    let whole = (y * trials - successes).abs() <= 1e-6 * trials.max(1.0);
                    let multiplies = y == 0.0 || y == 1.0;
                    if !(multiplies || whole && trials.fract() == 0.0) {
                        return Err(ResponseError::NotWhole { row, share: y, trials, successes: y * trials });
                    }
                    let successes = if multiplies { y * trials } else { successes };
                    k.push(successes);
                    m.push(trials);
                    constant += self.distribution.constant(successes, trials, true);
                }
                None => {
                    if y != 0.0 && y != 1.0 {
                        return Err(value(
                            y,
                            "a binomial response without trials is 0 or 1. For shares give the trials by --weights, or \
                             write cbind(successes, failures)",
                        ));
                    }
                    k.push(weight * y);
                    m.push(weight);
                }
            }
        }
        let counted = weights.is_some() || trials.is_some();
        Ok((k, counted.then_some(m), constant))
    }

    /// Returns the number of the finest group of each row.
    fn places(&self, rows: &RowBlock) -> Result<Vec<u32>, RowsError> {
        let grouping = &self.model.recipe.groupings[self.model.levels()[0].grouping];
        let keys: Vec<&Labels> = grouping.keys.iter().map(|&key| &rows.keys[key]).collect();
        let groups = self.groups.groups_of(&keys);
        if groups.contains(&MISSING) { Err(RowsError::Changed) } else { Ok(groups) }
    }
}

/// Indexes the finest groups over all shards, and returns the shard and position of each.
fn finest_groups(model: &Model, shards: &[ShardOrder]) -> (GroupIndex, Vec<(u32, u32)>) {
    let (mut places, mut finest) = (Vec::new(), Vec::new());
    for (shard, order) in shards.iter().enumerate() {
        for (group, position) in order.positions().into_iter().enumerate() {
            places.push(GroupPlace { shard, group });
            finest.push((shard as u32, position));
        }
    }
    let labels = model.structure().group_labels(0, &places);
    let index = GroupIndex::new(labels).expect("groups differ in their labels");
    (index, finest)
}
