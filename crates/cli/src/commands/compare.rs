//! `tiers compare`: saved fits side by side, with likelihood ratio tests.

use crate::args::CompareArgs;
use crate::exit::{Outcome, print};
use crate::progress::Progress;
use crate::saved::{Saved, open_any};
use anyhow::{bail, ensure};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tiers_design::Recipe;
use tiers_glmm::{Distribution, GlmmStatus};
use tiers_moments::Until;
use tiers_reml::{
    Candidate, DfMethod, Fit, Inference, LikelihoodRatio, Method, Mixture, NoTest, Objective, Status, find_optimum,
};
use tiers_report::layout::{Column, paragraph, table};
use tiers_report::numbers::{column, fixed_point, p_values};
use tiers_report::saved::{AnySaved, Fingerprint, SavedFit, SavedGlmm};

/// A fit (refitted if need be) that is compared.
struct Entry {
    name: String,
    formula: String,
    recipe: Recipe,
    fingerprint: Fingerprint,
    n_dropped: u64,
    data: Vec<PathBuf>,
    /// Family and link of a generalised fit, and the number of its quadrature nodes.
    family: Option<(Distribution, usize)>,
    status: Value,
    has_converged: bool,
    is_interior: bool,
    method: Method,
    n_parameters: usize,
    aic: f64,
    bic: f64,
    log_likelihood: f64,
    criterion: f64,
}

impl Entry {
    /// Takes a linear fit; `fit` is the saved one or its refit.
    fn linear(saved: &SavedFit, fit: &Fit) -> Entry {
        Entry {
            name: saved.name.clone(),
            formula: fit.formula.clone(),
            recipe: saved.recipe.clone(),
            fingerprint: saved.model.fingerprint.clone(),
            n_dropped: fit.n_dropped,
            data: saved.report.data.paths.clone(),
            family: None,
            status: json!(fit.status),
            has_converged: fit.status != Status::NotConverged,
            is_interior: fit.status == Status::Converged,
            method: fit.method,
            n_parameters: fit.n_parameters,
            aic: fit.aic,
            bic: fit.bic,
            log_likelihood: fit.log_likelihood,
            criterion: fit.criterion,
        }
    }

    fn generalised(saved: SavedGlmm) -> Entry {
        let fit = saved.report.fit;
        let distribution = Distribution::new(fit.family, Some(fit.link)).expect("the link of a fit");
        Entry {
            name: saved.name,
            formula: fit.formula,
            recipe: saved.recipe,
            fingerprint: saved.model.fingerprint,
            n_dropped: fit.n_dropped,
            data: saved.report.data.paths,
            family: Some((distribution, fit.n_agq)),
            status: json!(fit.status),
            has_converged: fit.status.has_estimates(),
            is_interior: fit.status == GlmmStatus::Converged,
            method: Method::Ml,
            n_parameters: fit.n_parameters,
            aic: fit.aic,
            bic: fit.bic,
            log_likelihood: fit.log_likelihood,
            criterion: fit.criterion,
        }
    }

    fn candidate(&self) -> Candidate<'_> {
        let Entry { method, criterion, n_parameters, is_interior, ref recipe, .. } = *self;
        Candidate { method, criterion, n_parameters, is_interior, recipe }
    }
}

/// Output of `--json`.
#[derive(Debug, Serialize)]
struct Comparison<'a> {
    tiers: &'static str,
    method: Method,
    models: Vec<Row<'a>>,
    tests: Vec<Test<'a>>,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    name: &'a str,
    formula: &'a str,
    status: Value,
    n_parameters: usize,
    aic: f64,
    bic: f64,
    log_likelihood: f64,
    criterion: f64,
}

#[derive(Debug, Serialize)]
struct Test<'a> {
    smaller: &'a str,
    larger: &'a str,
    /// `None` if there is no test; `why_not` is the reason.
    #[serde(flatten)]
    ratio: Option<LikelihoodRatio>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
}

/// Compares the fits and prints the table.
pub(crate) fn run(args: &CompareArgs) -> anyhow::Result<Outcome> {
    let mut entries = Vec::new();
    for path in &args.fits {
        entries.push(open(path, args)?);
    }
    same_likelihood(&entries)?;
    same_data(&entries)?;
    entries.sort_by_key(|entry| entry.n_parameters);
    let mut tests = Vec::new();
    for pair in entries.windows(2) {
        tests.push(test(&pair[0], &pair[1])?);
    }
    if args.json {
        let models = entries.iter().map(Row::of).collect();
        let comparison = Comparison { tiers: env!("CARGO_PKG_VERSION"), method: entries[0].method, models, tests };
        print(&tiers_report::json(&comparison))?;
    } else {
        print(&text(&entries, &tests))?;
    }
    Ok(Outcome::Done)
}

fn open(path: &Path, args: &CompareArgs) -> anyhow::Result<Entry> {
    let saved = match open_any(path)? {
        AnySaved::Generalised(saved) => return Ok(Entry::generalised(*saved)),
        AnySaved::Linear(saved) => Saved::of(*saved),
    };
    if !(args.ml && saved.fit().method == Method::Reml) {
        return Ok(Entry::linear(&saved, saved.fit()));
    }
    let (model, dropped) = saved.read(&args.refit, Until::Estimates)?;
    let objective = Objective::new(&model, Method::Ml);
    let watch = Progress::new(args.refit.quiet).optimising();
    let optimum =
        find_optimum(&objective, &saved.newton(), &mut |_: &tiers_reml::Trial<'_>, step: &tiers_reml::Step| {
            watch.evaluated(step);
            true
        });
    drop(watch);
    let optimum = optimum?;
    let fit = Fit::new(&objective, &optimum, &dropped, Inference { df: DfMethod::None, ..Inference::default() });
    Ok(Entry::linear(&saved, &fit))
}

/// Returns an error if the likelihoods are of different kinds.
fn same_likelihood(entries: &[Entry]) -> anyhow::Result<()> {
    let (first, others) = entries.split_first().expect("two at least");
    for other in others {
        let (one, two) = (&first.name, &other.name);
        match (first.family, other.family) {
            (None, None) => {}
            (Some((a, nodes)), Some((b, others))) => {
                ensure!(
                    a.family() == b.family(),
                    "{one} is a fit of the {} family and {two} of the {} family: their likelihoods are of different \
                     kinds of responses, and cannot be compared",
                    a.family(),
                    b.family()
                );
                ensure!(
                    nodes == others,
                    "{one} has {nodes} quadrature nodes and {two} has {others} (1 is Laplace's approximation): their \
                     likelihoods differ by the error of the rule; fit both with the same --agq"
                );
            }
            _ => bail!(
                "{one} and {two}: a linear and a generalised model have likelihoods of different kinds, which cannot be \
                 compared"
            ),
        }
    }
    Ok(())
}

/// Returns an error if the fits are of different data.
fn same_data(entries: &[Entry]) -> anyhow::Result<()> {
    let (first, others) = entries.split_first().expect("two at least");
    for other in others {
        let (one, two) = (first, other);
        if let Some(difference) = one.fingerprint.difference(&two.fingerprint) {
            let dropped = one.n_dropped != two.n_dropped;
            let remedy = match dropped {
                true => {
                    "Rows with missing values were dropped, not the same ones: fit both to the rows that are complete \
                         in the columns of both"
                }
                false => "Fit both to the same data",
            };
            bail!(
                "{} and {} are fits of different data ({difference}), whose likelihoods cannot be compared. {remedy}",
                one.name,
                two.name
            );
        }
    }
    Ok(())
}

/// Tests one model within the next. A reason that makes the whole table meaningless is an error.
fn test<'a>(smaller: &'a Entry, larger: &'a Entry) -> anyhow::Result<Test<'a>> {
    let (one, two) = (&smaller.name, &larger.name);
    let (ratio, why_not) = match smaller.candidate().within(&larger.candidate()) {
        Ok(ratio) => (Some(ratio), None),
        Err(error @ NoTest::NotNested) => (None, Some(error.to_string())),
        Err(NoTest::Methods) => bail!(
            "{one} is a fit by {} and {two} by {}, whose criteria are not of the same kind; fit both alike, or let \
             `tiers compare … --ml` refit by maximum likelihood",
            smaller.method,
            larger.method
        ),
        Err(error @ NoTest::RestrictedLikelihoods) => bail!(
            "{one} and {two}: {error}: REML looks at what is left of the data when the fixed effects are taken out, \
             and that is not the same here. Fit both with --ml, or let `tiers compare … --ml` do so"
        ),
    };
    Ok(Test { smaller: one, larger: two, ratio, why_not })
}

impl Row<'_> {
    fn of(entry: &Entry) -> Row<'_> {
        let Entry { n_parameters, aic, bic, log_likelihood, criterion, ref name, ref formula, .. } = *entry;
        let status = entry.status.clone();
        Row { name, formula, status, n_parameters, aic, bic, log_likelihood, criterion }
    }
}

/// Returns the table in the layout of R's `anova(m1, m2)`.
fn text(entries: &[Entry], tests: &[Test<'_>]) -> String {
    let method = entries[0].method;
    let by = match (method, entries[0].family) {
        (Method::Reml, _) => "REML (restricted likelihoods; the fixed effects are the same)",
        (Method::Ml, Some((_, 1))) => "maximum likelihood (Laplace approximation)",
        (Method::Ml, Some(_)) => "maximum likelihood (adaptive Gauss-Hermite quadrature)",
        (Method::Ml, None) => "maximum likelihood",
    };
    let data: Vec<String> = entries[0].data.iter().map(|path| path.display().to_string()).collect();
    let mut text = format!("Data: {}\nModels, by {by}:\n", data.join(", "));
    for entry in entries {
        text += &paragraph(&format!("{}: {}", entry.name, entry.formula), 4);
    }
    let of = |value: fn(&Entry) -> f64| entries.iter().map(|e| fixed_point(value(e), 1)).collect();
    let ratios: Vec<&LikelihoodRatio> = tests.iter().filter_map(|test| test.ratio.as_ref()).collect();
    let bounds: Vec<f64> = ratios.iter().filter_map(|r| r.boundary.as_ref()).map(|mixture| mixture.p_value).collect();
    let mut chi = column(&ratios.iter().map(|r| r.chi_squared).collect::<Vec<_>>(), 5).into_iter();
    let mut plain = p_values(&ratios.iter().map(|r| r.p_value).collect::<Vec<_>>()).into_iter();
    let mut mixed = p_values(&bounds).into_iter();
    let mut cells = [(); 4].map(|()| vec![String::new()]);
    for ratio in tests.iter().map(|test| test.ratio.as_ref()) {
        cells[0].push(ratio.and_then(|_| chi.next()).unwrap_or_default());
        cells[1].push(ratio.map(|r| r.df.to_string()).unwrap_or_default());
        cells[2].push(ratio.and_then(|_| plain.next()).unwrap_or_default());
        cells[3].push(ratio.and_then(|r| r.boundary.as_ref()).and_then(|_| mixed.next()).unwrap_or_default());
    }
    let [chi, df, plain, mixed] = cells;
    let mut columns = vec![
        Column::names("", entries.iter().map(|e| e.name.clone()).collect()),
        Column::numbers("npar", entries.iter().map(|e| e.n_parameters.to_string()).collect()),
        Column::numbers("AIC", of(|f| f.aic)),
        Column::numbers("BIC", of(|f| f.bic)),
        Column::numbers("logLik", entries.iter().map(|e| fixed_point(e.log_likelihood, 2)).collect()),
        Column::numbers(if method == Method::Ml { "deviance" } else { "REML crit." }, of(|f| f.criterion)),
        Column::numbers("Chisq", chi),
        Column::numbers("Df", df),
        Column::numbers("Pr(>Chisq)", plain),
    ];
    if !bounds.is_empty() {
        columns.push(Column::numbers("Pr(>mixture)", mixed));
    }
    text += &table(0, &columns);
    let notes: String =
        entries.iter().filter_map(not_converged).chain(tests.iter().flat_map(|t| note(t, entries))).collect();
    text + &notes
}

fn not_converged(entry: &Entry) -> Option<String> {
    let note = format!("{} did not converge: its likelihood is not at its maximum.", entry.name);
    (!entry.has_converged).then(|| paragraph(&note, 2))
}

/// Returns the note on a test, if it needs one.
fn note(test: &Test<'_>, entries: &[Entry]) -> Option<String> {
    let Test { smaller, larger, ratio, why_not } = test;
    if let Some(why) = why_not {
        let note =
            format!("{smaller} and {larger}: {why}, so there is no test between them; AIC and BIC can be compared.");
        return Some(paragraph(&note, 2));
    }
    let ratio = ratio.as_ref()?;
    let note = match (&ratio.boundary, ratio.variances_tested) {
        (_, 0) => return None,
        (Some(Mixture { df, .. }), _) => format!(
            "{larger} has one variance more than {smaller}, which is tested at the boundary of its range, zero. \
             Pr(>mixture) is its p value: half chi-squared with {} and half with {} degrees of freedom (Stram and Lee \
             1994). Pr(>Chisq) is too large.",
            df[0], df[1]
        ),
        (None, count) => {
            let boundary = entries.iter().any(|entry| entry.name == *smaller && !entry.is_interior);
            let why = match (count, boundary) {
                (1, _) => format!("and {smaller} is itself on the boundary"),
                (count, _) => format!("{count} at once"),
            };
            format!(
                "{larger} has variances that are zero in {smaller}, {why}: no simple mixture of chi-squared is known \
                 for that. Pr(>Chisq) is conservative: the true p value is smaller."
            )
        }
    };
    Some(paragraph(&note, 2))
}
