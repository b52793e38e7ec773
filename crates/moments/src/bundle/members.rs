//! The union of several recipes, and the place of each recipe's columns in it.

use crate::bundle::Projection;
use crate::moments::{SHARDS, Summands};
use std::collections::HashMap;
use tiers_design::{Atom, ColumnSpec, Encoder, EncoderParts, Factor, Product, Recipe, Request, Response, Role};

/// Several recipes combined; they must drop the same rows and have the same weights and keys.
///
/// The columns of its C are the distinct columns of all recipes, followed by the distinct responses. Its
/// first key columns are those that cut the rows into partitions.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// Shapes and columns of the sums.
    pub summands: Summands,
    /// The models, in the order given.
    pub members: Vec<Member>,
    /// Number of leading keys that cut the rows into partitions.
    pub by: usize,
    /// Factors of all models; `request` is an index into the requests of the scan, levels are in byte order.
    pub factors: Vec<Factor>,
    /// Requests of the scan: the columns of a block.
    pub(crate) requests: Vec<Request>,
    /// Requests of the members and of the partitions, as indices.
    pub(crate) own: Vec<usize>,
    /// Key columns, as indices into the requests.
    pub(crate) keys: Vec<usize>,
    pub(crate) encoder: Encoder,
    columns: usize,
}

/// One model of a bundle.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its number among all models of the run.
    pub model: usize,
    /// Its own recipe.
    pub recipe: Recipe,
    /// The place of its sums among those of the bundle.
    pub projection: Projection,
    /// For each request of the recipe, its index among the requests of the scan.
    pub(crate) own: Vec<usize>,
    /// Its expressions, as indices into those of the bundle.
    pub(crate) expressions: Vec<usize>,
}

impl Bundle {
    /// Bundles recipes, each given with its model's number and the key columns that decide its shards
    /// (see [`crate::guess_top`]). `requests` are those of the scan; they must include all requests of the
    /// recipes, and the columns `by` as labels. The order of the members decides the order of the columns.
    pub fn new(requests: &[Request], by: &[String], members: Vec<(usize, Recipe, Vec<usize>)>) -> Bundle {
        let by_keys: Vec<usize> = by.iter().map(|column| find(requests, column, Role::Label)).collect();
        let mut union = Union { keys: by_keys.clone(), ..Union::default() };
        let mut all = Vec::with_capacity(members.len());
        for (model, recipe, shard_keys) in members {
            let own: Vec<usize> = recipe.requests.iter().map(|r| find(requests, &r.column, r.role)).collect();
            let projection = union.add(&recipe, &own, shard_keys);
            all.push(Member { model, recipe, projection, own, expressions: Vec::new() });
        }
        by_keys.iter().for_each(|&key| _ = push_new(&mut union.own, key));
        let columns = union.columns.len();
        // Responses follow the columns, whose number is known only now.
        for member in &mut all {
            let response = member.projection.columns.last_mut().expect("C ends with the response");
            *response += columns;
        }
        let Union { own, factors, columns: specs, responses, weights, keys, .. } = union;
        let encoder = Encoder::compile(&EncoderParts {
            requests,
            own: &own,
            factors: &factors,
            columns: &specs,
            responses: &responses,
            weights,
            keys: &keys,
        });
        let texts: Vec<&str> = encoder.expressions().collect();
        for member in &mut all {
            let alone = member.encoder(requests);
            let place = |text: &str| texts.iter().position(|t| *t == text).expect("an expression of a member");
            member.expressions = alone.expressions().map(place).collect();
        }
        let first = &all[0].projection;
        let shard_keys = first.shard_keys.iter().map(|&key| first.keys[key]).collect();
        let m = columns + responses.len();
        let mut z = Vec::new();
        for Member { recipe, projection, .. } in &all {
            z.extend(recipe.random.iter().flat_map(|term| &term.columns).map(|&z| projection.columns[z]));
        }
        z.sort_unstable();
        z.dedup();
        let summands = Summands { m, z, keys: keys.len(), shard_keys, shards: SHARDS };
        for member in &mut all {
            member.projection.find_z(&member.recipe, &summands);
        }
        let (by, requests) = (by.len(), requests.to_vec());
        Bundle { summands, members: all, by, factors, requests, own, keys, encoder, columns }
    }

    /// Returns the bundle of some of the members, and the projection from the moments of all to theirs.
    pub fn of_members(&self, keep: &[usize], by: &[String]) -> (Bundle, Projection) {
        let pick = |&i: &usize| {
            let Member { model, recipe, projection, .. } = &self.members[i];
            (*model, recipe.clone(), projection.shard_keys.clone())
        };
        let bundle = Bundle::new(&self.requests, by, keep.iter().map(pick).collect());
        let mut columns = vec![0; bundle.summands.m];
        for (member, &i) in bundle.members.iter().zip(keep) {
            let of_all = &self.members[i].projection.columns;
            member.projection.columns.iter().zip(of_all).for_each(|(&own, &all)| columns[own] = all);
        }
        let place = |key: &usize| self.keys.iter().position(|k| k == key).expect("a key of a member");
        let keys = bundle.keys.iter().map(place).collect();
        let z_place = |&z: &usize| self.summands.z.iter().position(|&all| all == columns[z]).expect("a z of a member");
        let z = bundle.summands.z.iter().map(z_place).collect();
        let shard_keys = bundle.summands.shard_keys.clone();
        let own_z = bundle.summands.z.clone();
        (bundle, Projection { columns, z, own_z, keys, shard_keys })
    }

    /// Number of columns of C that are not responses.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The columns that may be missing, in the order of [`tiers_design::RowBlock::missing`].
    pub fn own_requests(&self) -> impl Iterator<Item = &Request> {
        self.own.iter().map(|&i| &self.requests[i])
    }

    /// The key columns, as indices into the requests of the scan.
    pub fn keys(&self) -> &[usize] {
        &self.keys
    }

    /// The expressions of all members, in the order of [`tiers_design::RowBlock::not_a_number`].
    pub fn expressions(&self) -> impl Iterator<Item = &str> {
        self.encoder.expressions()
    }
}

impl Member {
    /// Returns an encoder for this model alone, for blocks of the whole scan.
    pub(crate) fn encoder(&self, requests: &[Request]) -> Encoder {
        let Recipe { columns, weights, keys, .. } = &self.recipe;
        let at = |request: &usize| self.own[*request];
        let factors: Vec<Factor> =
            self.recipe.factors.iter().map(|f| Factor { request: at(&f.request), ..f.clone() }).collect();
        Encoder::compile(&EncoderParts {
            requests,
            own: &self.own,
            factors: &factors,
            columns,
            responses: &[Response::of(&self.recipe)],
            weights: weights.as_ref().map(at),
            keys: &keys.iter().map(at).collect::<Vec<_>>(),
        })
    }

    /// Expressions of this model, as indices into those of its bundle.
    pub fn expressions(&self) -> &[usize] {
        &self.expressions
    }
}

/// Returns the index of the request for a column in a role.
fn find(requests: &[Request], column: &str, role: Role) -> usize {
    let found = requests.iter().position(|r| r.column == column && r.role == role);
    found.unwrap_or_else(|| panic!("the scan does not ask for `{column}`"))
}

fn push_new(list: &mut Vec<usize>, value: usize) -> usize {
    list.iter().position(|&known| known == value).unwrap_or_else(|| {
        list.push(value);
        list.len() - 1
    })
}

/// The union of recipes, built up one recipe at a time.
#[derive(Default)]
struct Union {
    own: Vec<usize>,
    factors: Vec<Factor>,
    columns: Vec<ColumnSpec>,
    /// The columns of each product and shift (as bits).
    known: HashMap<(Product, u64), Vec<usize>>,
    responses: Vec<Response>,
    weights: Option<usize>,
    keys: Vec<usize>,
}

impl Union {
    /// Adds a recipe and returns the places of its columns and keys. The place of the response is counted
    /// from the first response.
    fn add(&mut self, recipe: &Recipe, own: &[usize], shard_keys: Vec<usize>) -> Projection {
        own.iter().for_each(|&request| _ = push_new(&mut self.own, request));
        self.weights = recipe.weights.map(|weights| own[weights]);
        let factors: Vec<usize> = recipe.factors.iter().map(|factor| self.factor(factor, own)).collect();
        let mut columns: Vec<usize> =
            recipe.columns.iter().map(|spec| self.column(spec, &recipe.factors, &factors)).collect();
        let response = Response::of(recipe);
        let at = self.responses.iter().position(|known| *known == response);
        columns.push(at.unwrap_or_else(|| {
            self.responses.push(response);
            self.responses.len() - 1
        }));
        let keys = recipe.keys.iter().map(|&key| push_new(&mut self.keys, own[key])).collect();
        Projection { columns, z: Vec::new(), own_z: Vec::new(), keys, shard_keys }
    }

    /// Returns the factor of this column with the same set of levels, in any order; adds it if it is new.
    fn factor(&mut self, factor: &Factor, own: &[usize]) -> usize {
        let request = own[factor.request];
        let mut factor = Factor { request, ..factor.clone() };
        factor.levels.sort_unstable();
        self.factors.iter().position(|known| *known == factor).unwrap_or_else(|| {
            self.factors.push(factor);
            self.factors.len() - 1
        })
    }

    /// Returns the index of an equal column; adds it if it is new.
    fn column(&mut self, spec: &ColumnSpec, own: &[Factor], factors: &[usize]) -> usize {
        let known = self.known.entry((Product::new(&spec.atoms, own), spec.shift.to_bits())).or_default();
        if let Some(&column) = known.iter().find(|&&column| rounds_alike(&self.columns[column], spec)) {
            return column;
        }
        let atom = |atom: &Atom| match atom {
            Atom::Number(expr) => Atom::Number(expr.clone()),
            Atom::Indicator { factor, level } => {
                let text = &own[*factor].levels[*level];
                let factor = factors[*factor];
                let level = self.factors[factor].levels.iter().position(|l| l == text).expect("the same levels");
                Atom::Indicator { factor, level }
            }
        };
        let atoms = spec.atoms.iter().map(atom).collect();
        known.push(self.columns.len());
        self.columns.push(ColumnSpec { name: spec.name.clone(), atoms, shift: spec.shift });
        self.columns.len() - 1
    }
}

/// Whether two columns with the same product have the same bits on every row. A product of three or more
/// numbers depends on their order in its last bits.
fn rounds_alike(one: &ColumnSpec, other: &ColumnSpec) -> bool {
    let is_number = |atom: &&Atom| matches!(atom, Atom::Number(_));
    let numbers = |spec: &'_ ColumnSpec| spec.atoms.iter().filter(is_number).count();
    numbers(one) < 3 || one.atoms.iter().filter(is_number).eq(other.atoms.iter().filter(is_number))
}
