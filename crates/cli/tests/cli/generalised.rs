//! `tiers fit --family`.

use crate::support::{Folder, dataset, fit_err, fit_ok, labels_of, numbers_of, run_err, run_ok};

const CBPP: &str = "cbind(incidence, size - incidence) ~ period + (1 | herd)";

#[test]
fn summary_of_cbpp_is_unchanged() {
    let text = fit_ok(&[CBPP, &dataset("cbpp"), "--family", "binomial"]);
    let expected = "\
      AIC      BIC   logLik -2logLik df.resid
    194.1    204.2    -92.0    184.1       51

Random effects:
 Groups Name        Variance Std.Dev. SE(Std.Dev.)
 herd   (Intercept)   0.4125   0.6423        0.179
Number of obs: 56, groups: herd, 15

Intraclass correlation on the latent scale of two observations of
                  ICC
 the same herd 0.1114
R-squared (latent): 0.0854 by the fixed effects, 0.1873 with the random effects

Fixed effects:
            Estimate Std. Error z value Pr(>|z|)   2.5 %  97.5 %
(Intercept)  -1.3985     0.2325  -6.016 1.79e-09 -1.8542 -0.9429
period2      -0.9923     0.3066  -3.236  0.00121 -1.5933 -0.3913
period3      -1.1287     0.3266  -3.455 5.49e-04 -1.7689 -0.4885
period4      -1.5803     0.4274  -3.697 2.18e-04 -2.4181 -0.7426
";
    assert!(text.starts_with("Generalized linear mixed model fit by maximum likelihood (Laplace Approximation)\n"));
    assert!(text.contains(expected), "{text}");
}

#[test]
fn the_folder_has_the_fit_and_the_random_effects() {
    let folder = Folder::new();
    let out = folder.join("out");
    fit_ok(&[CBPP, &dataset("cbpp"), "--family", "binomial", "--out", &out]);
    let fit: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("out/fit.json")).unwrap()).unwrap();
    assert_eq!((&fit["family"], &fit["link"], &fit["n_agq"]), (&"binomial".into(), &"logit".into(), &1.into()));
    assert!(fit["sigma"].is_null());
    assert!((fit["criterion"].as_f64().unwrap() - 184.05256372951774).abs() < 1e-8);
    let effects = folder.join("out/random_effects/herd.parquet");
    let (herds, modes) = (labels_of(&effects, "herd"), numbers_of(&effects, "estimate"));
    assert_eq!((herds.len(), modes.len(), &herds[0][..]), (15, 15, "1"));
    assert!((modes[0] - 0.590_6).abs() < 1e-2, "{}", modes[0]);
    for command in ["diagnose", "influence"] {
        run_err(&[command, &out], &["fit of a generalised model", "does not take"]);
    }
}

/// A folder with two fits of cbpp: `with` and `without` the periods.
fn two_fits() -> Folder {
    let folder = Folder::new();
    let without = "cbind(incidence, size - incidence) ~ 1 + (1 | herd)";
    for (formula, name) in [(CBPP, "with"), (without, "without")] {
        fit_ok(&[formula, &dataset("cbpp"), "--family", "binomial", "--out", &folder.join(name)]);
    }
    folder
}

fn json_of(args: &[&str]) -> serde_json::Value {
    serde_json::from_str(&run_ok(args)).expect("json")
}

/// Figures by R: the Wald statistic from the vcov of lme4's fit, means as sums of its coefficients.
#[test]
fn saved_fits_are_asked_for_tests_means_and_intervals() {
    let folder = two_fits();
    let with = folder.join("with");
    let tests = json_of(&["anova", &with, "--json"]);
    let test = &tests["tests"][0];
    assert_eq!((test["term"].as_str(), test["df"].as_f64()), (Some("period"), Some(3.0)));
    assert!((test["chi_squared"].as_f64().unwrap() - 24.948).abs() < 0.01, "{test}");
    run_err(&["anova", &with, "--type", "I"], &["sequential", "tiers compare"]);
    let means = json_of(&["means", &with, "period", "--json"]);
    assert_eq!(means["scale"], "logit");
    assert!((means["means"][1]["mean"]["estimate"].as_f64().unwrap() + 2.3908).abs() < 1e-3, "{means}");
    let intervals = json_of(&["confint", &with, "--method", "wald", "--json"]);
    assert_eq!(intervals["intervals"].as_array().unwrap().len(), 5);
    assert!((intervals["intervals"][1]["lower"].as_f64().unwrap() + 1.8542).abs() < 1e-3, "{intervals}");
    run_err(&["confint", &with], &["--method wald"]);
    let text = run_ok(&["ranef", &with]);
    assert!(text.contains("herd"), "{text}");
}

#[test]
fn generalised_fits_are_compared_by_their_likelihoods() {
    let folder = two_fits();
    let (with, without) = (folder.join("with"), folder.join("without"));
    let found = json_of(&["compare", &with, &without, "--json"]);
    let test = &found["tests"][0];
    // lme4: anova(gm0, gm1) gives 25.6 with 3 degrees of freedom.
    assert_eq!(test["df"], 3);
    assert!((test["chi_squared"].as_f64().unwrap() - 25.61).abs() < 0.02, "{found}");
    let linear = folder.join("linear");
    fit_ok(&["incidence ~ period + (1 | herd)", &dataset("cbpp"), "--ml", "--out", &linear]);
    run_err(&["compare", &with, &linear], &["linear and a generalised model"]);
    let probit = folder.join("quadrature");
    fit_ok(&[CBPP, &dataset("cbpp"), "--family", "binomial", "--agq", "9", "--out", &probit]);
    run_err(&["compare", &without, &probit], &["quadrature nodes", "--agq"]);
}

#[test]
fn predictions_of_a_generalised_fit_are_on_either_scale() {
    let folder = two_fits();
    let (with, out) = (folder.join("with"), folder.join("new.parquet"));
    let new = folder.text("new.csv", "herd,period\n1,1\n99,1\n");
    run_ok(&["predict", &with, &new, "--out", &out]);
    let means = numbers_of(&out, "prediction");
    assert!(means[0] > means[1] && means[1] > 0.198 && means[1] < 0.23, "{means:?}");
    run_ok(&["predict", &with, &new, "--out", &out, "--scale", "link"]);
    let eta = numbers_of(&out, "prediction");
    assert!((eta[1] + 1.3985).abs() < 1e-3 && (1.0 / (1.0 + (-eta[0]).exp()) - means[0]).abs() < 1e-12, "{eta:?}");
    run_ok(&["predict", &with, &new, "--out", &out, "--population", "--se", "--interval", "confidence"]);
    let [mean, error, lower, upper] =
        ["prediction", "std_error", "lower", "upper"].map(|name| numbers_of(&out, name)[0]);
    assert!(0.0 < lower && lower < mean && mean < upper && upper < 1.0 && error > 0.01, "{lower} {mean} {upper}");
    run_err(&["predict", &with, &new, "--out", &out, "--se"], &["--population"]);
    run_err(&["predict", &with, &new, "--out", &out, "--population", "--interval", "prediction"], &["confidence"]);
}

/// The program reads what the library writes.
#[test]
fn commands_take_a_generalised_fit_of_the_library() {
    let (mut y, mut x, mut school) = (Vec::new(), Vec::new(), Vec::new());
    for s in 0..10_i64 {
        for i in 0..15_i64 {
            let value = ((s * 5 + i * 7) % 11) as f64 / 5.0 - 1.0;
            let noise = ((s * 13 + i * 29 + i * i * 3) % 17) as f64 / 6.0 - 1.3;
            y.push(f64::from(u8::from(value + (s * 37 % 10) as f64 / 4.0 - 1.1 + noise > 0.0)));
            x.push(value);
            school.push(s);
        }
    }
    let columns = [("y", y.into()), ("x", x.into()), ("school", school.into())];
    let table = tiers::Table::from_columns(columns).expect("a table");
    let fit = tiers::glmm("y ~ x + (1 | school)").fit(&table).expect("a fit");
    let folder = Folder::new();
    let saved = folder.join("fit");
    fit.save(&saved).expect("a folder");
    assert!(run_ok(&["ranef", &saved]).contains("school"));
    let test = json_of(&["means", &saved, "--test", "x = 0", "--json"]);
    let (estimate, own) = (test["tests"][0]["estimate"].as_f64(), fit.fixed_effects()[1].estimate);
    assert!((estimate.unwrap() - own.unwrap()).abs() < 1e-12, "{test}");
    let loaded = tiers::GlmmFit::load(&saved).expect("the fit");
    assert_eq!(loaded.estimates(), fit.estimates());
}

#[test]
fn the_error_of_laplace_is_reported_unless_it_is_left_out() {
    let fit = |more: &[&str]| fit_ok(&[&[CBPP, &dataset("cbpp")[..], "--family", "binomial"], more].concat());
    let text = fit(&[]);
    assert!(text.contains("The error of Laplace's approximation is small: at most 0.03 standard errors"), "{text}");
    assert!(text.contains("sd((Intercept) | herd) 0.03."), "{text}");
    let json: serde_json::Value = serde_json::from_str(&fit(&["--json"])).unwrap();
    let error = &json["laplace_error"];
    assert_eq!((&error["method"], &error["status"]), (&"estimate".into(), &"small".into()));
    assert!((error["shift_in_se"]["sd((Intercept) | herd)"].as_f64().unwrap() - 0.0294).abs() < 0.01);
    assert!(!fit(&["--laplace-error", "off"]).contains("The error of Laplace"));
    let json: serde_json::Value = serde_json::from_str(&fit(&["--laplace-error", "off", "--json"])).unwrap();
    assert!(json.get("laplace_error").is_none());
}

#[test]
fn quadrature_is_reported_with_what_more_nodes_change() {
    let fit =
        |more: &[&str]| fit_ok(&[&[CBPP, &dataset("cbpp")[..], "--family", "binomial", "--agq", "25"], more].concat());
    let text = fit(&[]);
    assert!(text.starts_with(
        "Generalized linear mixed model fit by maximum likelihood (Adaptive Gauss-Hermite Quadrature, nAGQ = 25)\n"
    ));
    assert!(text.contains("with 51 nodes in place of 25, -2logLik changes by"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&fit(&["--json"])).unwrap();
    assert_eq!(json["n_agq"], 25);
    assert!((json["criterion"].as_f64().unwrap() - 183.966_738_074_6).abs() < 1e-8);
    assert!(json["agq_change"].as_f64().unwrap().abs() < 1e-8 && json.get("laplace_error").is_none());
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    for nodes in ["1", "7"] {
        let fit = |threads: &str| {
            fit_ok(&[CBPP, &dataset("cbpp"), "--family", "binomial", "--agq", nodes, "--threads", threads])
        };
        assert_eq!(fit("1"), fit("3"));
    }
}

#[test]
fn what_does_not_go_with_a_family_is_an_error() {
    let data = dataset("cbpp");
    let fit = |more: &[&str], words: &[&str]| {
        fit_err(&[&["incidence ~ 1 + (1 | herd)", &data[..]], more].concat(), words);
    };
    fit(&["--family", "binomal"], &["did you mean binomial"]);
    fit(&["--family", "poisson", "--link", "probit"], &["poisson", "use log"]);
    fit(&["--family", "poisson", "--reml"], &["--family", "--reml"]);
    fit(&["--family", "poisson", "--robust", "CR2"], &["--family", "--robust"]);
    fit(&["--link", "log"], &["--family"]);
    fit(&["--agq", "7"], &["--family"]);
    fit(&["--laplace-error", "off"], &["--family"]);
    fit(&["--family", "binomial", "--agq", "102"], &["--agq", "1..=101"]);
    fit(&["--family", "binomial"], &["row 1", "incidence is 2", "cbind(successes, failures)"]);
    fit_err(&["period ~ 1 + (1 | herd)", &data, "--family", "binomial"], &["4 levels", "second is success"]);
    fit_err(&[CBPP, &data], &["--family binomial"]);
    let slopes = "cbind(incidence, size - incidence) ~ 1 + (1 + size | period/herd)";
    fit_err(&[slopes, &data, "--family", "binomial", "--agq", "7"], &["quadrature", "single level", "--agq"]);
}

/// exp of lme4's coefficients and of the ends of their intervals.
#[test]
fn exponentiated_coefficients_are_odds_ratios() {
    let data = dataset("cbpp");
    let args = [CBPP, &data, "--family", "binomial", "--exponentiate"];
    let text = fit_ok(&args);
    assert!(text.contains("Odds ratios:") && text.contains("period2        0.3707"), "{text}");
    let found: serde_json::Value = serde_json::from_str(&fit_ok(&[&args[..], &["--json"]].concat())).expect("json");
    let ratio = &found["ratios"]["terms"][1];
    assert_eq!((found["ratios"]["kind"].as_str(), ratio["term"].as_str()), (Some("odds_ratio"), Some("period2")));
    assert!((ratio["lower"].as_f64().unwrap() - (-1.5933_f64).exp()).abs() < 1e-4, "{ratio}");
    fit_err(&[CBPP, &data, "--family", "binomial", "--link", "probit", "--exponentiate"], &["probit", "mean nothing"]);
}

/// A job with a linear and a generalised model of the same data; the results are those of `tiers fit`.
#[test]
fn jobs_fit_generalised_models_beside_linear_ones() {
    let folder = Folder::new();
    let job = |more: &str| {
        let text = format!(
            "[data]\npaths = [{:?}]\n[output]\nfolder = \"results\"\n[[models]]\nname = \"linear\"\nformula = \"incidence \
             ~ period + (1 | herd)\"\n[[models]]\nname = \"binomial\"\nformula = {CBPP:?}\nfamily = \"binomial\"\n{more}",
            dataset("cbpp")
        );
        folder.text("job.toml", &text)
    };
    run_err(&["run", &job("link = \"log\"\n")], &["models[1].link", "use logit or probit or cloglog"]);
    run_err(&["run", &job("by = [\"period\"]\n")], &["models[1].by", "generalised"]);
    run_ok(&["run", &job("exponentiate = true\n"), "--quiet"]);
    let fit: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("results/binomial/fit.json")).unwrap()).unwrap();
    assert!((fit["criterion"].as_f64().unwrap() - 184.05256372951774).abs() < 1e-8);
    assert_eq!(fit["ratios"]["kind"], "odds_ratio");
    assert!(folder.names("results").contains(&"linear".to_owned()));
    run_ok(&["run", &folder.join("job.toml"), "--quiet"]);
    run_ok(&["anova", &folder.join("results/binomial")]);
}
