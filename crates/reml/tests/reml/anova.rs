//! F tables against lmerTest's, for the same data, including missing combinations of levels and models
//! without an intercept.

use crate::common::model;
use std::collections::BTreeMap;
use tiers_reml::{
    AnovaType, Averaging, DfMethod, FixedInference, FixedModel, Grid, Inference, Method, NewtonSettings, Objective,
    Setting, optimise,
};
use tiers_testdata::{Memory, Values};
use tiers_testkit::{Checks, Tolerance};

/// The data, with or without the rows of level c of f and q of h; x starts at `offset`.
fn table(all: bool, offset: f64) -> Memory {
    let rows: Vec<usize> = (0..180).filter(|i| i % 7 != 3).filter(|i| all || !(i % 3 == 2 && i / 3 % 2 == 1)).collect();
    let indicator = |is: bool| f64::from(u8::from(is));
    let x = |i: usize| (i * 53 % 97) as f64 / 10.0;
    let y = |i: usize| {
        (i * 37 % 101) as f64 / 25.0
            + ((i / 9 * 7) % 11) as f64 / 3.0
            + indicator(i % 3 == 1)
            + 0.1 * x(i)
            + indicator(i % 3 == 2 && i / 3 % 2 == 1)
            + indicator(i.is_multiple_of(5))
    };
    let text = |of: &dyn Fn(usize) -> &'static str| Values::Texts(rows.iter().map(|&i| of(i).to_owned()).collect());
    Memory::new(vec![
        ("y", Values::Numbers(rows.iter().map(|&i| y(i)).collect())),
        ("x", Values::Numbers(rows.iter().map(|&i| offset + x(i)).collect())),
        ("f", text(&|i| ["a", "b", "c"][i % 3])),
        ("h", text(&|i| ["p", "q"][i / 3 % 2])),
        ("g", Values::Ids(rows.iter().map(|&i| (i / 9) as i64).collect())),
    ])
}

/// The fixed part of a REML fit, saved and read again.
fn saved(all: bool, formula: &str, df: DfMethod) -> (FixedModel, tiers_design::Recipe, f64) {
    saved_at(1000.0, all, formula, df)
}

fn saved_at(offset: f64, all: bool, formula: &str, df: DfMethod) -> (FixedModel, tiers_design::Recipe, f64) {
    let (model, _) = model(&table(all, offset), formula, None).expect("a model");
    let objective = Objective::new(&model, Method::Reml);
    let optimum = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
    let inference = FixedInference::new(&objective, &optimum, Inference { df, confidence: 0.95 });
    let sigma = (optimum.at.fixed.pwrss / objective.nu()).sqrt();
    (FixedModel::new(&model, inference), model.recipe, sigma)
}

type Case = (&'static str, bool, AnovaType, DfMethod, &'static [(&'static str, [f64; 6])]);

/// lmerTest: anova(lmer(formula), type, ddf): Sum Sq, Mean Sq, NumDF, DenDF, F value, Pr(>F).
#[rustfmt::skip]
const OF_LMERTEST: &[Case] = &[
        ("y ~ x + f*h + (1 | g)", true, AnovaType::Three, DfMethod::Satterthwaite, &[
            ("x", [21.2502328, 21.2502328, 1.0, 129.564801, 12.0286332, 0.0007116333]),
            ("f", [25.4582632, 12.7291316, 2.0, 128.839346, 7.20528841, 0.00108078459]),
            ("h", [0.262930159, 0.262930159, 1.0, 133.568854, 0.148830862, 0.700268899]),
            ("f:h", [15.1765878, 7.5882939, 2.0, 128.863964, 4.29533198, 0.015635369]),
        ]),
        ("y ~ x + f*h + (1 | g)", true, AnovaType::One, DfMethod::Satterthwaite, &[
            ("x", [20.5892412, 20.5892412, 1.0, 129.665598, 11.6544809, 0.000855174436]),
            ("f", [25.6617323, 12.8308661, 2.0, 128.836513, 7.26287494, 0.0010262613]),
            ("h", [0.292819102, 0.292819102, 1.0, 133.564808, 0.165749412, 0.684569119]),
            ("f:h", [15.1765878, 7.5882939, 2.0, 128.86364, 4.29533198, 0.0156353742]),
        ]),
        ("y ~ x + f*h + (1 | g)", true, AnovaType::Three, DfMethod::KenwardRoger, &[
            ("x", [21.2211911, 21.2211911, 1.0, 129.445475, 12.0121943, 0.000717586478]),
            ("f", [25.4423813, 12.7211907, 2.0, 128.7156, 7.20079316, 0.00108552758]),
            ("h", [0.261532625, 0.261532625, 1.0, 133.473973, 0.148039791, 0.701028066]),
            ("f:h", [15.1663563, 7.58317815, 2.0, 128.740385, 4.29243603, 0.015679851]),
        ]),
        ("y ~ x + f*h + (1 | g)", true, AnovaType::One, DfMethod::KenwardRoger, &[
            ("x", [20.5591739, 20.5591739, 1.0, 129.546867, 11.6374613, 0.000862593855]),
            ("f", [25.6458847, 12.8229423, 2.0, 128.713084, 7.2583894, 0.00103075695]),
            ("h", [0.291263939, 0.291263939, 1.0, 133.469902, 0.164869117, 0.685362875]),
            ("f:h", [15.1663563, 7.58317815, 2.0, 128.740385, 4.29243603, 0.015679851]),
        ]),
        ("y ~ x*f + f*h + (1 | g)", false, AnovaType::Three, DfMethod::Satterthwaite, &[
            ("x", [11.3308236, 11.3308236, 1.0, 103.720528, 6.68026229, 0.0111391725]),
            ("f", [0.233733888, 0.116866944, 2.0, 105.740242, 0.0689007144, 0.933461222]),
            ("h", [2.23557772, 2.23557772, 1.0, 106.369208, 1.31801942, 0.253523204]),
            ("x:f", [0.227255851, 0.113627926, 2.0, 105.739954, 0.066991101, 0.935243183]),
            ("f:h", [0.260814772, 0.260814772, 1.0, 102.072692, 0.153767383, 0.695778364]),
        ]),
        ("y ~ x*f + f*h + (1 | g)", false, AnovaType::One, DfMethod::Satterthwaite, &[
            ("x", [10.6930772, 10.6930772, 1.0, 103.010479, 6.30426902, 0.0135995026]),
            ("f", [29.6726364, 14.8363182, 2.0, 102.282091, 8.74698086, 0.000311342296]),
            ("h", [2.29574036, 2.29574036, 1.0, 106.41253, 1.35348924, 0.247271145]),
            ("x:f", [0.253171643, 0.126585822, 2.0, 105.723827, 0.074630629, 0.92813508]),
            ("f:h", [0.260814772, 0.260814772, 1.0, 102.072692, 0.153767383, 0.695778364]),
        ]),
        ("y ~ 0 + f + x + h + (1 | g)", true, AnovaType::Three, DfMethod::Satterthwaite, &[
            ("f", [43.9278246, 14.6426082, 3.0, 131.18122, 7.86253971, 7.27422317e-5]),
            ("x", [21.8975933, 21.8975933, 1.0, 131.670905, 11.7581987, 0.000809154612]),
            ("h", [0.331017506, 0.331017506, 1.0, 136.062943, 0.177744173, 0.673984387]),
        ]),
        ("y ~ 0 + f + x + h + (1 | g)", true, AnovaType::One, DfMethod::Satterthwaite, &[
            ("f", [646.079839, 215.359946, 3.0, 42.5083003, 115.640336, 1.795889e-20]),
            ("x", [22.6350957, 22.6350957, 1.0, 131.824955, 12.1542102, 0.000665776574]),
            ("h", [0.331017506, 0.331017506, 1.0, 136.062943, 0.177744173, 0.673984387]),
        ]),
        ("y ~ 0 + x + f + (1 | g)", true, AnovaType::Three, DfMethod::Satterthwaite, &[
            ("x", [22.5522405, 22.5522405, 1.0, 132.755102, 12.1898617, 0.000652901618]),
            ("f", [44.6319847, 14.8773282, 3.0, 132.179353, 8.04144372, 5.81143103e-5]),
        ]),
        ("y ~ 0 + x + f + (1 | g)", true, AnovaType::One, DfMethod::Satterthwaite, &[
            ("x", [617.74231, 617.74231, 1.0, 19.0899024, 333.900008, 1.49175715e-13]),
            ("f", [44.6319847, 14.8773282, 3.0, 132.179192, 8.04144372, 5.81143674e-5]),
        ]),
];

#[test]
fn tables_are_those_of_lmertest() {
    let mut checks = Checks::new("F tests of terms");
    for &(formula, all, kind, df, wanted) in OF_LMERTEST {
        let (fixed, recipe, sigma) = saved(all, formula, df);
        let tests = fixed.anova(&recipe, kind, sigma);
        let terms: Vec<&str> = tests.iter().map(|test| &test.term[..]).collect();
        checks.equal(formula, terms, wanted.iter().map(|(term, _)| *term).collect());
        for (test, (term, figures)) in tests.iter().zip(wanted) {
            let den_df = test.den_df.expect("degrees of freedom");
            let got = [test.sum_sq, test.mean_sq, test.num_df, den_df, test.f_value, test.p_value];
            let name = format!("{term} of {formula}, type {kind:?}, {df:?}");
            for (got, want) in got.iter().zip(figures) {
                // Small p values are sensitive to the degrees of freedom, which lmerTest computes by
                // numerical derivatives.
                checks.check(&name, *got, *want, Tolerance::both(2e-5, 1e-14));
            }
        }
    }
    checks.finish();
}

/// If h is nested in f (without a term of h alone), f is tested at the average over h.
#[test]
fn a_nested_term_is_averaged_over() {
    let (nested, recipe, sigma) = saved(true, "y ~ x + f + f:h + (1 | g)", DfMethod::None);
    let of_nested = nested.anova(&recipe, AnovaType::Three, sigma);
    let (crossed, recipe, sigma) = saved(true, "y ~ x + f*h + (1 | g)", DfMethod::None);
    let of_crossed = crossed.anova(&recipe, AnovaType::Three, sigma);
    let of_f = |tests: &[tiers_reml::TermTest]| tests.iter().find(|t| t.term == "f").expect("a test").f_value;
    let (one, two) = (of_f(&of_nested), of_f(&of_crossed));
    assert!((one - two).abs() < 1e-8 * two, "{one} and {two}: the two models are the same");
}

/// A covariate far from zero moves the intercept far away, but not means in the middle of the data.
#[test]
fn means_keep_their_digits() {
    let mean = |offset: f64, df: DfMethod| {
        let (fixed, recipe, _) = saved_at(offset, true, "y ~ x + f*h + (1 | g)", df);
        let grid = Grid::new(&fixed, &recipe, Averaging::Equal);
        let set = BTreeMap::from([("f".to_owned(), Setting::Level(1))]);
        let row = grid.mean_at(&set).expect("a mean").expect("all cells occur");
        fixed.inference.t_test(&row)
    };
    let mut checks = Checks::new("means");
    for df in [DfMethod::Satterthwaite, DfMethod::KenwardRoger] {
        let (near, far) = (mean(0.0, df), mean(1e6, df));
        checks.check("estimate", far.estimate, near.estimate, Tolerance::relative(1e-7));
        checks.check("standard error", far.std_error, near.std_error, Tolerance::relative(1e-7));
        let [near, far] = [near, far].map(|test| test.df.expect("degrees of freedom"));
        checks.check("df", far, near, Tolerance::relative(1e-6));
    }
    checks.finish();
}
