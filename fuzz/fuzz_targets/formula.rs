//! Parses any text as a formula, resolves it against a table and prints it; errors must be printable.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tiers_design::{Field, Formula, Kind, Plan, Settings};

fuzz_target!(|text: &str| {
    match text.parse::<Formula>() {
        Ok(formula) => {
            // Printing and parsing again must give the same formula.
            let again: Formula = formula.to_string().parse().expect("a formula that was printed");
            assert_eq!(again.to_string(), formula.to_string());
            let kinds = [Kind::Float, Kind::Integer, Kind::Boolean, Kind::Text, Kind::Digits, Kind::Other("date".to_owned())];
            let names = ["y", "x", "b", "g", "z", "d"];
            let fields = names.iter().zip(kinds).map(|(name, kind)| Field::new(*name, kind));
            let fields: Vec<Field> = fields.collect();
            if let Err(error) = Plan::new(&formula, &fields, &Settings::default()) {
                let _ = error.to_string();
            }
        }
        Err(error) => {
            let _ = error.to_string();
        }
    }
});
