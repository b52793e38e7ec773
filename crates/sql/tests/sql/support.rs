//! Models whose scripts are tested.

use tiers_design::{Block, Field, Formula, Kind, Plan, Recipe, Settings};

/// A model: a formula frozen against a schema.
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) recipe: Recipe,
    pub(crate) fields: Vec<Field>,
}

fn frozen(
    name: &'static str,
    formula: &str,
    fields: &[(&str, Kind)],
    weights: Option<&str>,
    levels: &[(&str, &[&str])],
    shifts: &[(&str, f64)],
) -> Model {
    let fields: Vec<Field> = fields.iter().map(|(name, kind)| Field::new(*name, kind.clone())).collect();
    let formula: Formula = formula.parse().expect("a formula");
    let settings = Settings { weights: weights.map(str::to_owned), ..Settings::default() };
    let plan = Plan::new(&formula, &fields, &settings).expect("a plan");
    let of = |column: &str| {
        let (_, levels) = levels.iter().find(|(factor, _)| *factor == column).expect("levels of every factor");
        levels.iter().map(|&level| level.to_owned()).collect()
    };
    let levels: Vec<Vec<String>> = plan.factor_requests().iter().map(|request| of(&request.column)).collect();
    let mut recipe = plan.freeze(&Block::default(), Some(&levels)).expect("a recipe");
    for (column, shift) in shifts {
        recipe.columns.iter_mut().filter(|spec| spec.name == *column).for_each(|spec| spec.shift = *shift);
        if recipe.response_name == *column {
            recipe.response_shift = *shift;
        }
    }
    Model { name, recipe, fields }
}

/// Students in schools, as in the examples.
pub(crate) fn plain() -> Model {
    frozen(
        "plain",
        "score ~ pretest * ses + gender + (1 | school/class)",
        &[
            ("score", Kind::Float),
            ("pretest", Kind::Float),
            ("ses", Kind::Integer),
            ("gender", Kind::Text),
            ("school", Kind::Integer),
            ("class", Kind::Text),
        ],
        None,
        &[("gender", &["F", "M"])],
        &[("score", 500.0), ("pretest", -50.5), ("pretest:ses", 120.0)],
    )
}

/// Everything that a formula may hold, under names that need quotes.
pub(crate) fn hard() -> Model {
    frozen(
        "hard",
        "log(score) ~ I(`pre \"test\"`^2) + ses * minority + factor(k) + factor(r) + flag + sqrt(abs(ses)) + \
         I(day/7) + offset(log1p(e)) + (1 + ses | school/`the class`) + (0 + flag | school)",
        &[
            ("score", Kind::Float),
            ("pre \"test\"", Kind::Float),
            ("ses", Kind::Float),
            ("minority", Kind::Text),
            ("k", Kind::Integer),
            ("r", Kind::Float),
            ("flag", Kind::Boolean),
            ("day", Kind::Date),
            ("e", Kind::Float),
            ("weight `w`", Kind::Float),
            ("school", Kind::Float),
            ("the class", Kind::Date),
        ],
        Some("weight `w`"),
        &[("minority", &["A", "B'x", "C\\"]), ("k", &["-1", "2"]), ("r", &["0.5", "1"]), ("flag", &["FALSE", "TRUE"])],
        &[("ses", 0.25)],
    )
}
