//! `tiers moments`: writes the moments (sufficient statistics) of a data set or of a part of it to a
//! folder.

use crate::args::MomentsArgs;
use crate::exit::{Outcome, print};
use crate::memory::check_heads;
use crate::progress::Progress;
use anyhow::anyhow;
use std::collections::BTreeMap;
use tiers_design::{DesignError, EncodeError, Formula, Plan, Recipe, Settings};
use tiers_moments::{
    Definition, IngestError, MOMENTS, MomentsFolder, Reading, Until, accumulate_with, merged_definition, write_moments,
};
use tiers_outputs::Folder;
use tiers_tables::{Parquet, Source};

/// Computes and writes the moments.
pub(crate) fn run(args: MomentsArgs) -> anyhow::Result<Outcome> {
    let formula: Formula = args.formula.parse()?;
    let reference = args.reference.iter().map(|text| crate::job::reference(text)).collect::<anyhow::Result<_>>()?;
    let levels = args.levels.iter().map(|text| crate::job::levels(text)).collect::<anyhow::Result<Vec<_>>>()?;
    let settings = Settings { weights: args.weights, reference, levels: levels.clone(), generalised: false };
    let levels: BTreeMap<_, _> = levels.into_iter().collect();
    let limit = args.resources.limit()?;
    let target = Folder::open("--out", &args.out, &[], &MOMENTS)?.alone()?;
    check_heads(limit, &args.data)?;
    let source = crate::csv::open(&args.data, &args.csv.options()?)?;
    let plan = Plan::new(&formula, source.fields(), &settings)?;
    let like = args.like.as_deref().map(|like| MomentsFolder::open(like, &Parquet)).transpose()?;
    let recipe = like.as_ref().map(|like| recipe_like(like, &formula, &settings, &source)).transpose()?;

    let reading =
        Reading { recipe: recipe.as_ref(), levels, part: true, limit: limit.of_rows(source.rows(), Until::Moments) };
    let mut watch = Progress::new(args.quiet).reading(source.rows());
    let ingested = accumulate_with(&source, &plan, &reading, &mut watch);
    drop(watch);
    let ingested = ingested.map_err(|error| explain(error, like.is_some()))?;
    let definition = Definition::of(&ingested.recipe, &formula, &settings, source.fields());
    let header = write_moments(&target, &Parquet, definition, &ingested)?;
    if !args.quiet {
        let dropped = match header.dropped_rows {
            0 => String::new(),
            n => format!(" ({n} more dropped for missing values)"),
        };
        let (rows, cells) = (ingested.moments.rows, header.cells.unwrap_or(0));
        print(&format!("{}: moments of {rows} rows{dropped} in {cells} cells\n", args.out.display()))?;
    }
    Ok(Outcome::Done)
}

/// Returns the recipe of other moments, applied to this table; an error if their models differ.
fn recipe_like(
    like: &MomentsFolder,
    formula: &Formula,
    settings: &Settings,
    source: &Source,
) -> anyhow::Result<Recipe> {
    let theirs = &like.header.definition;
    let ours = Definition {
        formula: formula.source.clone(),
        weights: settings.weights.clone(),
        reference: settings.reference.iter().cloned().collect(),
        fields: source.fields().to_vec(),
        ..theirs.clone()
    };
    merged_definition(&[(&like.name, theirs), ("this run", &ours)])?;
    ours.recipe().map_err(|error| anyhow!("--like {}: {error}", like.name))
}

/// Adds the remedy to errors about levels.
fn explain(error: IngestError, like: bool) -> anyhow::Error {
    let remedy = "name all levels that the parts have together by --levels, or freeze a part that has them all first and \
                  make the others --like it";
    match error {
        IngestError::Encode(EncodeError::NewLevel { column, label })
        | IngestError::Design(DesignError::Encode(EncodeError::NewLevel { column, label })) => {
            let given = if like { "the moments of --like do not have" } else { "--levels does not name" };
            anyhow!("factor `{column}` has a level `{label}` that {given}; {remedy}")
        }
        IngestError::Design(error @ DesignError::UnknownReference { .. }) => anyhow!("{error}; {remedy}"),
        error => error.into(),
    }
}
