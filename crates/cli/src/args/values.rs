//! Options whose values are those of an enum of the libraries, which know nothing of clap.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// Name, value, and a line of help.
pub(super) type Choice<T> = (&'static str, T, &'static str);

/// Returns a parser for the name of one of these values.
pub(super) fn one_of<T: Copy + Send + Sync + 'static>(
    choices: &'static [Choice<T>],
) -> impl TypedValueParser<Value = T> {
    let names = choices.iter().map(|(name, _, help)| PossibleValue::new(*name).help(*help));
    PossibleValuesParser::new(names).map(|name| {
        let choice = choices.iter().find(|(other, ..)| *other == name);
        choice.expect("the parser accepts these names only").1
    })
}
