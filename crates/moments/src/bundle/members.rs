//! The union of several recipes, and where each of them finds its own in it.

use crate::bundle::Projection;
use crate::moments::{SHARDS, Summands};
use std::collections::HashMap;
use tiers_design::{Atom, ColumnSpec, Encoder, EncoderParts, Factor, Recipe, Request, Response, Role};

/// Several recipes as one: they must lose the same rows and have the same weights and keys.
///
/// The columns of its C are the distinct columns of all recipes, then the distinct responses; the
/// first of its key columns are those that cut the rows into partitions.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// What is summed.
    pub summands: Summands,
    /// The models, in the order in which they were given.
    pub members: Vec<Member>,
    /// How many of the keys, the first ones, cut the rows into partitions.
    pub by: usize,
    /// The factors of all models, with the requests of the scan and levels in the order of their bytes.
    pub factors: Vec<Factor>,
    /// What a block holds.
    pub(crate) requests: Vec<Request>,
    /// The requests of the members and of the partitions, as indices.
    pub(crate) own: Vec<usize>,
    /// The key columns, as indices into the requests.
    pub(crate) keys: Vec<usize>,
    pub(crate) encoder: Encoder,
    columns: usize,
}

/// One model of a bundle.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its number among all models that are wanted.
    pub model: usize,
    /// Its own recipe.
    pub recipe: Recipe,
    /// Where its sums are.
    pub projection: Projection,
    /// Per request of the recipe its index in the scan.
    pub(crate) own: Vec<usize>,
    /// Its expressions, as indices into those of the bundle.
    pub(crate) expressions: Vec<usize>,
}

impl Bundle {
    /// Bundles recipes, given with their models' numbers and the key columns that decide their shards
    /// (see [`crate::guess_top`]). `requests` are those of the scan, and hold all that the recipes ask
    /// for and the columns `by` as labels. The order of the members matters for the order of columns.
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
        // Responses stand behind the columns, whose number is known only now.
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

    /// The same for some of the members only, and the way from the moments of all to theirs.
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

    /// Number of columns of C that are no response.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The columns that may be missing, in the order of [`crate::RowBlock::missing`].
    pub fn own_requests(&self) -> impl Iterator<Item = &Request> {
        self.own.iter().map(|&i| &self.requests[i])
    }

    /// The key columns, as indices into the requests of the scan.
    pub fn keys(&self) -> &[usize] {
        &self.keys
    }

    /// The expressions of all members, in the order of [`crate::RowBlock::not_a_number`].
    pub fn expressions(&self) -> impl Iterator<Item = &str> {
        self.encoder.expressions()
    }
}

impl Member {
    /// An encoder of this model alone for blocks of the whole scan.
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

    /// The expressions of this model, as indices into those of its bundle.
    pub fn expressions(&self) -> &[usize] {
        &self.expressions
    }
}

/// The place of a column in a role among the requests of a scan.
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

/// What recipes have together, as it grows.
#[derive(Default)]
struct Union {
    own: Vec<usize>,
    factors: Vec<Factor>,
    columns: Vec<ColumnSpec>,
    known: HashMap<(Vec<String>, u64), usize>,
    responses: Vec<Response>,
    weights: Option<usize>,
    keys: Vec<usize>,
}

impl Union {
    /// Adds a recipe; gives where its columns and keys are, the response counted from the first
    /// response.
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

    /// The factor with the same levels, whichever comes first among them.
    fn factor(&mut self, factor: &Factor, own: &[usize]) -> usize {
        let request = own[factor.request];
        let mut factor = Factor { request, ..factor.clone() };
        factor.levels.sort_unstable();
        self.factors.iter().position(|known| *known == factor).unwrap_or_else(|| {
            self.factors.push(factor);
            self.factors.len() - 1
        })
    }

    /// The same column, or a new one.
    fn column(&mut self, spec: &ColumnSpec, own: &[Factor], factors: &[usize]) -> usize {
        let atom = |atom: &Atom| match atom {
            Atom::Number(expr) => Atom::Number(expr.clone()),
            Atom::Indicator { factor, level } => {
                let text = &own[*factor].levels[*level];
                let factor = factors[*factor];
                let level = self.factors[factor].levels.iter().position(|l| l == text).expect("the same levels");
                Atom::Indicator { factor, level }
            }
        };
        let atoms: Vec<Atom> = spec.atoms.iter().map(atom).collect();
        let mut key: Vec<String> = atoms.iter().map(|atom| format!("{atom:?}")).collect();
        key.sort_unstable();
        *self.known.entry((key, spec.shift.to_bits())).or_insert_with(|| {
            self.columns.push(ColumnSpec { name: spec.name.clone(), atoms, shift: spec.shift });
            self.columns.len() - 1
        })
    }
}
