//! `tiers compare`: saved fits side by side, with likelihood ratio tests.

use crate::args::CompareArgs;
use crate::exit::{Outcome, print};
use crate::progress::Progress;
use crate::saved::Saved;
use anyhow::bail;
use serde::Serialize;
use tiers_moments::Until;
use tiers_reml::{
    Candidate, DfMethod, Fit, Inference, LikelihoodRatio, Method, Mixture, NoTest, Objective, Status, find_optimum,
};
use tiers_report::layout::{Column, paragraph, table};
use tiers_report::numbers::{column, fixed_point, p_values};

/// A saved fit, and the fit (refitted if need be) that is compared.
struct Entry {
    saved: Saved,
    fit: Fit,
}

impl Entry {
    fn candidate(&self) -> Candidate<'_> {
        Candidate { fit: &self.fit, recipe: &self.saved.recipe }
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
    status: Status,
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
    same_data(&entries)?;
    entries.sort_by_key(|entry| entry.fit.n_parameters);
    let mut tests = Vec::new();
    for pair in entries.windows(2) {
        tests.push(test(&pair[0], &pair[1])?);
    }
    if args.json {
        let models = entries.iter().map(Row::of).collect();
        let comparison = Comparison { tiers: env!("CARGO_PKG_VERSION"), method: entries[0].fit.method, models, tests };
        print(&tiers_report::json(&comparison))?;
    } else {
        print(&text(&entries, &tests))?;
    }
    Ok(Outcome::Done)
}

fn open(path: &std::path::Path, args: &CompareArgs) -> anyhow::Result<Entry> {
    let saved = Saved::open(path)?;
    let mut fit = saved.fit().clone();
    if args.ml && fit.method == Method::Reml {
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
        fit = Fit::new(&objective, &optimum, &dropped, Inference { df: DfMethod::None, ..Inference::default() });
    }
    Ok(Entry { saved, fit })
}

/// Returns an error if the fits are of different data.
fn same_data(entries: &[Entry]) -> anyhow::Result<()> {
    let (first, others) = entries.split_first().expect("two at least");
    for other in others {
        let (one, two) = (&first.saved, &other.saved);
        if let Some(difference) = one.model.fingerprint.difference(&two.model.fingerprint) {
            let dropped = one.fit().n_dropped != two.fit().n_dropped;
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
    let (one, two) = (&smaller.saved.name, &larger.saved.name);
    let (ratio, why_not) = match smaller.candidate().within(&larger.candidate()) {
        Ok(ratio) => (Some(ratio), None),
        Err(error @ NoTest::NotNested) => (None, Some(error.to_string())),
        Err(NoTest::Methods) => bail!(
            "{one} is a fit by {} and {two} by {}, whose criteria are not of the same kind; fit both alike, or let \
             `tiers compare … --ml` refit by maximum likelihood",
            smaller.fit.method,
            larger.fit.method
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
        let Fit { status, n_parameters, aic, bic, log_likelihood, criterion, .. } = entry.fit;
        let (name, formula) = (&entry.saved.name, &entry.fit.formula);
        Row { name, formula, status, n_parameters, aic, bic, log_likelihood, criterion }
    }
}

/// Returns the table in the layout of R's `anova(m1, m2)`.
fn text(entries: &[Entry], tests: &[Test<'_>]) -> String {
    let method = entries[0].fit.method;
    let by = match method {
        Method::Reml => "REML (restricted likelihoods; the fixed effects are the same)",
        Method::Ml => "maximum likelihood",
    };
    let data: Vec<String> = entries[0].saved.report.data.paths.iter().map(|path| path.display().to_string()).collect();
    let mut text = format!("Data: {}\nModels, by {by}:\n", data.join(", "));
    for entry in entries {
        text += &paragraph(&format!("{}: {}", entry.saved.name, entry.fit.formula), 4);
    }
    let of = |value: fn(&Fit) -> f64| entries.iter().map(|e| fixed_point(value(&e.fit), 1)).collect();
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
        Column::names("", entries.iter().map(|e| e.saved.name.clone()).collect()),
        Column::numbers("npar", entries.iter().map(|e| e.fit.n_parameters.to_string()).collect()),
        Column::numbers("AIC", of(|f| f.aic)),
        Column::numbers("BIC", of(|f| f.bic)),
        Column::numbers("logLik", entries.iter().map(|e| fixed_point(e.fit.log_likelihood, 2)).collect()),
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
    let note = format!("{} did not converge: its likelihood is not at its maximum.", entry.saved.name);
    (entry.fit.status == Status::NotConverged).then(|| paragraph(&note, 2))
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
            let boundary =
                entries.iter().any(|entry| entry.saved.name == *smaller && entry.fit.status != Status::Converged);
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
