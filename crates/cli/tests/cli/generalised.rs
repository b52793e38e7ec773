//! `tiers fit --family`.

use crate::support::{Folder, dataset, fit_err, fit_ok, labels_of, numbers_of, run_err};

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
    let words = ["fit of a generalised model", "does not take"];
    for command in ["confint", "ranef", "anova", "diagnose"] {
        run_err(&[command, &out], &words);
    }
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
