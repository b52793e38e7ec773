//! Merges several definitions of one model, with the union of the factors' levels.

use crate::merge::definition::{Definition, column_names};
use crate::merge::{DefinedColumn, PartError};
use std::collections::BTreeMap;
use tiers_design::{Field, Kind, LevelOrder, Recipe, Role};

/// Parts that cannot be merged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// No part was named.
    #[error("no moments were named")]
    Nothing,
    /// A part's definition is invalid by itself, or cannot be frozen with the levels of all parts.
    #[error("{part}: {error}")]
    Part {
        /// Name of the part.
        part: String,
        /// The error.
        error: Box<PartError>,
    },
    /// Parts of different models.
    #[error(
        "{one} and {other} are moments of different models: {what} is {mine} in the first and {theirs} in the second; \
         make all parts by the same formula and options"
    )]
    Different {
        /// Name of a part.
        one: String,
        /// Name of another part.
        other: String,
        /// The property that differs.
        what: String,
        /// Its value in the first part.
        mine: String,
        /// Its value in the other part.
        theirs: String,
    },
}

/// Returns the definition of the moments of all named parts together. The shift of a column is that in
/// the first part that has the column.
pub fn merged_definition(parts: &[(&str, &Definition)]) -> Result<Definition, MergeError> {
    let alike = of_same_fields(parts)?;
    let parts: Vec<(&str, &Definition)> = parts.iter().zip(&alike).map(|((name, _), own)| (*name, own)).collect();
    let (&(first, one), others) = parts.split_first().ok_or(MergeError::Nothing)?;
    let mut recipes = vec![recipe(first, one)?];
    for &(name, other) in others {
        if let Some((what, mine, theirs)) = difference(one, other, &recipes[0]) {
            let (one, other) = (first.to_owned(), name.to_owned());
            return Err(MergeError::Different { one, other, what, mine, theirs });
        }
        recipes.push(recipe(name, other)?);
    }
    let levels = union(&parts);
    let of = |part: &str, error| MergeError::Part { part: part.to_owned(), error: Box::new(error) };
    let merged = one.unshifted(&levels).map_err(|error| of(first, error))?;
    // Differences that were not found above show in the recipes frozen with the same levels.
    for &(name, other) in others {
        let theirs = other.unshifted(&levels).map_err(|error| of(name, error))?;
        if !is_same(&merged, &theirs) {
            return Err(MergeError::Different {
                one: first.to_owned(),
                other: name.to_owned(),
                what: "the formula".to_owned(),
                mine: one.formula.clone(),
                theirs: other.formula.clone(),
            });
        }
    }
    let columns = column_names(&merged).into_iter().map(|name| {
        let shift_in = |(_, part): &(&str, &Definition)| part.columns.iter().find(|c| c.name == name).map(|c| c.shift);
        let shift = parts.iter().find_map(shift_in).unwrap_or(0.0);
        DefinedColumn { name, shift }
    });
    Ok(Definition { columns: columns.collect(), levels, ..one.clone() })
}

fn recipe(name: &str, definition: &Definition) -> Result<Recipe, MergeError> {
    definition.recipe().map_err(|error| MergeError::Part { part: name.to_owned(), error: Box::new(error) })
}

/// Returns the levels of all parts for each factor, in order.
fn union(parts: &[(&str, &Definition)]) -> BTreeMap<String, Vec<String>> {
    let mut levels: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, part) in parts {
        for (factor, own) in &part.levels {
            levels.entry(factor.clone()).or_default().extend(own.iter().cloned());
        }
    }
    levels.iter_mut().for_each(|(factor, own)| LevelOrder::of(parts[0].1.field(factor)).sort(own));
    levels
}

/// Returns the definitions with common fields: floating-point numbers if some parts have these and
/// others integers, and one order of each factor's levels.
fn of_same_fields(parts: &[(&str, &Definition)]) -> Result<Vec<Definition>, MergeError> {
    let mut alike: Vec<Definition> = parts.iter().map(|(_, part)| (*part).clone()).collect();
    let Some(((first, one), others)) = parts.split_first() else { return Ok(alike) };
    for field in &one.fields {
        let mut common = field.clone();
        for (name, other) in others {
            let Some(theirs) = other.field(&field.name) else { continue };
            if let (Kind::Integer, Kind::Float) = (&common.kind, &theirs.kind) {
                common.kind = Kind::Float;
            }
            common.levels = one_order(&common, theirs).ok_or_else(|| MergeError::Different {
                one: (*first).to_owned(),
                other: (*name).to_owned(),
                what: format!("the order of the levels of `{}`", field.name),
                mine: common.levels.join(", "),
                theirs: theirs.levels.join(", "),
            })?;
        }
        for part in &mut alike {
            let own = part.fields.iter_mut().find(|own| own.name == field.name);
            let numbers = |kind: &Kind| matches!(kind, Kind::Integer | Kind::Float);
            if let Some(own) = own {
                own.levels.clone_from(&common.levels);
                if numbers(&own.kind) && numbers(&common.kind) {
                    own.kind = common.kind.clone();
                }
            }
        }
    }
    Ok(alike)
}

/// Returns the longer of two orders of levels, if it has those of the other in the same order.
fn one_order(one: &Field, other: &Field) -> Option<Vec<String>> {
    let (long, short) = match one.levels.len() >= other.levels.len() {
        true => (&one.levels, &other.levels),
        false => (&other.levels, &one.levels),
    };
    let mut rest = long.iter();
    short.iter().all(|level| rest.any(|other| other == level)).then(|| long.clone())
}

/// Describes a difference between two definitions: the property, and its value in each.
fn difference(one: &Definition, other: &Definition, recipe: &Recipe) -> Option<(String, String, String)> {
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    if squeezed(&one.formula) != squeezed(&other.formula) {
        return Some(("the formula".to_owned(), one.formula.clone(), other.formula.clone()));
    }
    if one.weights != other.weights {
        let text = |weights: &Option<String>| weights.clone().unwrap_or_else(|| "none".to_owned());
        return Some(("the column of weights".to_owned(), text(&one.weights), text(&other.weights)));
    }
    for request in recipe.requests.iter().filter(|request| request.role != Role::Number) {
        let class = |definition: &Definition| match definition.field(&request.column).map(|field| &field.kind) {
            Some(Kind::Integer) => "integers",
            Some(Kind::Float) => "floating-point numbers",
            Some(_) => "text",
            None => "missing",
        };
        let (mine, theirs) = (class(one), class(other));
        if mine != theirs {
            return Some((format!("the column `{}`", request.column), mine.to_owned(), theirs.to_owned()));
        }
    }
    for request in recipe.requests.iter().filter(|request| request.role == Role::Number) {
        let unit = |definition: &Definition| definition.field(&request.column).and_then(|field| field.kind.unit());
        let (mine, theirs) = (unit(one).unwrap_or("numbers"), unit(other).unwrap_or("numbers"));
        if mine != theirs {
            return Some((format!("the column `{}`", request.column), mine.to_owned(), theirs.to_owned()));
        }
    }
    let factors: std::collections::BTreeSet<&String> = one.reference.keys().chain(other.reference.keys()).collect();
    for factor in factors {
        let text = |d: &Definition| d.reference.get(factor).map_or("not set".to_owned(), |level| format!("`{level}`"));
        if text(one) != text(other) {
            return Some((format!("the reference level of `{factor}`"), text(one), text(other)));
        }
    }
    None
}

/// Whether two recipes with the same levels encode rows identically.
fn is_same(one: &Recipe, other: &Recipe) -> bool {
    let without_texts = |recipe: &Recipe| {
        let mut recipe = Recipe { formula: String::new(), ..recipe.clone() };
        recipe.random.iter_mut().for_each(|term| term.text.clear());
        recipe
    };
    without_texts(one) == without_texts(other)
}
