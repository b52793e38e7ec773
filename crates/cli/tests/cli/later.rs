//! Commands on saved fits: `tiers anova`, `tiers compare`, `tiers means`.

use crate::support::{Folder, dataset, fit_ok, integers, numbers, run_err, run_ok, students, students_with, texts};
use serde_json::Value;

/// Saves a fit in the folder; returns its path.
fn saved(folder: &Folder, name: &str, arguments: &[&str]) -> String {
    let out = folder.join(name);
    fit_ok(&[arguments, &["--out", &out, "--quiet"]].concat());
    out
}

/// Saves a fit to sleepstudy.
fn of_sleep(folder: &Folder, name: &str, formula: &str, options: &[&str]) -> String {
    saved(folder, name, &[&[formula, &dataset("sleepstudy")], options].concat())
}

fn near(got: &Value, want: f64, tolerance: f64) {
    let got = got.as_f64().unwrap_or(f64::NAN);
    assert!((got - want).abs() <= tolerance * want.abs(), "{got}, not {want}");
}

#[test]
fn anova_tables_match_lmertest() {
    let folder = Folder::new();
    let fit = saved(
        &folder,
        "a",
        &["THK ~ PTHK + factor(SC)*factor(TV) + (1 | school/class)", &dataset("smoking_simulated")],
    );
    // lmerTest: anova(lmer(THK ~ PTHK + SC*TV + (1|school/class)), ddf = "Kenward-Roger"), the optimum found
    // with optCtrl = list(rhoend = 1e-10); by default its F values differ in the sixth digit.
    let expected = "\
Type III Analysis of Variance Table with Kenward and Roger's method
                      Sum Sq Mean Sq NumDF  DenDF  F value   Pr(>F)
PTHK                  213.78  213.78     1 1557.9 131.4797   <2e-16
factor(SC)             25.01   25.01     1   22.8  15.3814 6.91e-04
factor(TV)              0.00    0.00     1   22.8   0.0013   0.9715
factor(SC):factor(TV)   6.34    6.34     1   22.8   3.8979   0.0606
";
    assert_eq!(run_ok(&["anova", &fit, "--df", "kenward-roger"]), expected);
    let json: Value =
        serde_json::from_str(&run_ok(&["anova", &(fit + "/fit.json"), "--type", "1", "--json"])).expect("JSON");
    assert_eq!((json["type"].as_str(), json["df_method"].as_str()), (Some("I"), Some("satterthwaite")));
    assert_eq!(json["tests"].as_array().map(Vec::len), Some(4));
}

#[test]
fn another_df_reads_the_data_again_and_only_the_same() {
    let folder = Folder::new();
    let data = folder.parquet("a.parquet", students());
    let fit = saved(&folder, "fit", &["y ~ x + sex + (1 | school)", &data]);
    let of_saved = run_ok(&["anova", &fit]);
    assert!(of_saved.contains("Satterthwaite"), "{of_saved}");
    std::fs::rename(&data, folder.join("b.parquet")).expect("renamed");
    // A command that needs no data gives the same without them.
    assert_eq!(run_ok(&["anova", &fit]), of_saved);
    run_err(&["anova", &fit, "--df", "none"], &["a.parquet", "--data"]);
    let moved = run_ok(&["anova", &fit, "--df", "none", "--data", &folder.join("b.parquet")]);
    assert!(moved.contains("chi-squared") && !moved.contains("DenDF"), "{moved}");
    let other = folder.parquet("c.parquet", students_with(numbers("y", (0..96).map(f64::from))));
    run_err(&["anova", &fit, "--df", "none", "--data", &other], &["not those of the fit", "mean of the response"]);
}

#[test]
fn folders_without_a_saved_fit_are_errors() {
    let folder = Folder::new();
    run_err(&["anova", &folder.join("nothing")], &["no such folder", "tiers fit"]);
    run_err(&["anova", folder.path().to_str().expect("UTF-8")], &["no fit.json"]);
    let fit = of_sleep(&folder, "fit", "Reaction ~ Days + (1 | Subject)", &[]);
    let model = folder.path().join("fit/model.json");
    let text = std::fs::read_to_string(&model).expect("model.json");
    std::fs::write(&model, text.replace("\"tiers_model\":2", "\"tiers_model\":9")).expect("written");
    run_err(&["anova", &fit], &["version 9", "fit the model again"]);
    std::fs::write(&model, &text[..text.len() / 2]).expect("written");
    run_err(&["anova", &fit], &["model.json", "fit the model again"]);
    let other = of_sleep(&folder, "other", "Reaction ~ 1 + (1 | Subject)", &[]);
    std::fs::copy(folder.path().join("other/model.json"), &model).expect("copied");
    run_err(&["anova", &fit], &["model.json", "belongs to another fit"]);
    std::fs::remove_file(&model).expect("removed");
    run_err(&["anova", &fit], &["no model.json"]);
    assert!(run_ok(&["anova", &other]).contains("No terms"));
}

#[test]
fn nested_fits_are_tested_with_a_variance_at_its_boundary() {
    let folder = Folder::new();
    let small = of_sleep(&folder, "small", "Reaction ~ Days + (1 | Subject)", &[]);
    let large = of_sleep(&folder, "large", "Reaction ~ Days + (Days | Subject)", &[]);
    // R: anova(small, large, refit = FALSE), and 0.5 pchisq(x, 1) + 0.5 pchisq(x, 2)
    let json: Value = serde_json::from_str(&run_ok(&["compare", &large, &small, "--json"])).expect("JSON");
    let test = &json["tests"][0];
    assert_eq!(test["smaller"].as_str(), Some(&small[..]));
    near(&test["chi_squared"], 42.836_813_435, 1e-8);
    near(&test["p_value"], 4.990_041_430_61e-10, 1e-6);
    near(&test["boundary"]["p_value"], 2.792_529_817_11e-10, 1e-6);
    assert_eq!(test["boundary"]["df"], serde_json::json!([1, 2]));
    near(&json["models"][1]["aic"], 1_755.628_27, 1e-7);
    let text = run_ok(&["compare", &large, &small]);
    assert!(text.contains("Pr(>mixture)") && text.contains("4.99e-10") && text.contains("2.79e-10"), "{text}");
    // R: anova(lmer(Reaction ~ 1 + (Days | Subject)), large), which refits by ML
    let constant = of_sleep(&folder, "constant", "Reaction ~ 1 + (Days | Subject)", &[]);
    run_err(&["compare", &constant, &large], &["fixed effects", "--ml"]);
    let json: Value = serde_json::from_str(&run_ok(&["compare", &constant, &large, "--ml", "--json"])).expect("JSON");
    near(&json["tests"][0]["chi_squared"], 23.537, 1e-4);
    near(&json["tests"][0]["p_value"], 1.226e-6, 1e-3);
    assert!(json["tests"][0]["boundary"].is_null());
    // Fits that are not nested have criteria but no test.
    let text = run_ok(&["compare", &constant, &small, "--ml"]).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("neither model is a special case"), "{text}");
}

#[test]
fn fits_that_cannot_be_compared_are_errors() {
    let folder = Folder::new();
    let reml = of_sleep(&folder, "reml", "Reaction ~ Days + (1 | Subject)", &[]);
    let ml = of_sleep(&folder, "ml", "Reaction ~ Days + (Days | Subject)", &["--ml"]);
    run_err(&["compare", &reml, &ml], &["REML", "ML", "--ml"]);
    let data = folder.parquet("a.parquet", students());
    let one = saved(&folder, "one", &["y ~ x + (1 | school)", &data]);
    run_err(&["compare", &reml, &one], &["different data", "Reaction"]);
    let gaps = crate::support::without(numbers("z", (0..96).map(f64::from)), |i| i == 5);
    let data = folder.parquet("b.parquet", students_with(gaps));
    let two = saved(&folder, "two", &["y ~ x + z + (1 | school)", &data, "--ml"]);
    run_err(&["compare", &one, &two], &["rows used", "missing"]);
    run_err(&["compare", &one], &["2 values"]);
}

#[test]
fn models_with_different_reference_levels_are_nested() {
    let folder = Folder::new();
    let data = folder.parquet("a.parquet", students());
    let one = saved(&folder, "one", &["y ~ sex + (1 | school)", &data]);
    let two = saved(&folder, "two", &["y ~ 0 + sex + (1 | school/class)", &data, "--reference", "sex=M"]);
    let json: Value = serde_json::from_str(&run_ok(&["compare", &one, &two, "--json"])).expect("JSON");
    assert_eq!((json["tests"][0]["df"].as_u64(), json["tests"][0]["variances_tested"].as_u64()), (Some(1), Some(1)));
}

/// Students with two factors, by formulas that R used for the same data.
fn factors(folder: &Folder) -> String {
    let rows: Vec<usize> = (0..180).filter(|i| i % 7 != 3).collect();
    let is = |is: bool| f64::from(u8::from(is));
    let x = |i: usize| (i * 53 % 97) as f64 / 10.0;
    let y = |&i: &usize| {
        (i * 37 % 101) as f64 / 25.0
            + ((i / 9 * 7) % 11) as f64 / 3.0
            + is(i % 3 == 1)
            + 0.1 * x(i)
            + is(i % 3 == 2 && i / 3 % 2 == 1)
            + is(i.is_multiple_of(5))
    };
    folder.parquet(
        "factors.parquet",
        vec![
            numbers("y", rows.iter().map(y)),
            numbers("x", rows.iter().map(|&i| 1000.0 + x(i))),
            numbers("d", rows.iter().map(|&i| is(i.is_multiple_of(5)))),
            texts("f", rows.iter().map(|&i| ["a", "b", "c"][i % 3])),
            texts("h", rows.iter().map(|&i| ["p", "q"][i / 3 % 2])),
            integers("g", rows.iter().map(|&i| (i / 9) as i64)),
        ],
    )
}

#[test]
fn marginal_means_and_differences_match_lmertest() {
    let folder = Folder::new();
    let fit = saved(&folder, "fit", &["y ~ x + I(x^2) + f*h + d + (1 | g)", &factors(&folder)]);
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&run_ok(&[&["means", &fit], arguments, &["--json"]].concat())).expect("JSON")
    };
    // lmerTest: contest(m, L, joint = FALSE) with the rows of the grid's model matrix.
    let all = json(&["f"]);
    for (i, want) in MEANS_OF_F.iter().enumerate() {
        check(&all["means"][i]["mean"], want);
    }
    for (i, (want, holm)) in DIFFERENCES_OF_F.iter().enumerate() {
        check(&all["differences"][i]["difference"], want);
        near(&all["differences"][i]["adjusted_p_value"], *holm, 1e-4);
    }
    let by = json(&["f", "--by", "h", "--adjust", "none", "--at", "x=1003"]);
    for (i, want) in MEANS_BY_H.iter().enumerate() {
        check(&by["means"][i]["mean"], want);
    }
    assert_eq!(by["differences"].as_array().map(Vec::len), Some(6));
    let shares = json(&["f", "--weights", "proportional"]);
    check(&shares["means"][2]["mean"], &PROPORTIONAL_C);
    // A 0/1 variable is compared at these two values; other numeric variables need --at.
    let d = json(&["d"]);
    assert_eq!(d["means"].as_array().map(Vec::len), Some(2));
    run_err(&["means", &fit, "x"], &["--at x=0,1"]);
    run_err(&["means", &fit, "ff"], &["not a variable of the fixed effects", "did you mean `f`"]);
    run_err(&["means", &fit, "f", "--at", "h=r"], &["no level `r`", "p, q"]);
    run_err(&["means", &fit, "f", "--at", "x=1,2"], &["one value"]);
    let text = run_ok(&["means", &fit, "f", "--by", "h"]);
    assert!(text.contains(" h f emmean ") && text.contains("At d = "), "{text}");
}

#[test]
fn linear_hypotheses_match_lmertest() {
    let folder = Folder::new();
    let fit = saved(&folder, "fit", &["y ~ x + I(x^2) + f*h + d + (1 | g)", &factors(&folder)]);
    let text = run_ok(&["means", &fit, "--test", "fb - 2*hq = 0", "--test", "d = 1", "--json"]);
    let json: Value = serde_json::from_str(&text).expect("JSON");
    for (i, (want, p)) in HYPOTHESES.iter().enumerate() {
        check(&json["tests"][i], want);
        near(&json["tests"][i]["p_value"], *p, 1e-4);
    }
    for (key, want) in [("num_df", JOINT[0]), ("den_df", JOINT[1]), ("f", JOINT[2]), ("p_value", JOINT[3])] {
        near(&json["joint"][key], want, 1e-4);
    }
    run_err(&["means", &fit, "--test", "fb - hqq = 0"], &["character 6", "did you mean `hq`"]);
    run_err(&["means", &fit, "--test", "fb = 0", "--test", "fb = 1"], &["contradict"]);
    let text = run_ok(&["means", &fit, "--test", "fb - 2*hq", "--conf-level", "0.9"]);
    assert!(text.contains("fb - 2*hq = 0") && text.contains("90 %"), "{text}");
}

/// The mean of a combination with an empty cell is not estimable.
#[test]
fn means_with_empty_cells_are_not_estimable() {
    let folder = Folder::new();
    let cell = |i: usize| if i.is_multiple_of(3) { "u" } else { "v" };
    let data = folder.parquet("a.parquet", students_with(texts("cell", (0..96).map(cell))));
    // Students of sex F are all in cell u, and those of M in v.
    let fit = saved(&folder, "fit", &["y ~ sex*cell + x + (1 | school)", &data]);
    let text = run_ok(&["means", &fit, "sex", "--by", "cell"]);
    assert_eq!(text.matches("nonEst").count(), 5, "{text}");
}

/// estimate, std_error, df, lower, upper
fn check(test: &Value, want: &[f64; 5]) {
    for (key, want) in ["estimate", "std_error", "df", "lower", "upper"].iter().zip(want) {
        let tolerance = if *key == "df" { 1e-4 } else { 1e-5 };
        near(&test[*key], *want, tolerance);
    }
}

// R's figures for the model in x - 1000, which has the same effects and less collinear columns.
#[rustfmt::skip]
const MEANS_OF_F: [[f64; 5]; 3] = [ [4.375050755, 0.322955665, 40.06795916, 3.722367492, 5.027734018], [5.381416931, 0.3228755767, 40.03531911, 4.728878981, 6.033954881], [4.870039194, 0.324442768, 40.7163772, 4.214675092, 5.525403295] ];
#[rustfmt::skip]
const DIFFERENCES_OF_F: [([f64; 5], f64); 3] = [ ([-1.006366176, 0.2476145915, 126.7044978, -1.496361759, -0.5163705938], 0.0002519896702), ([-0.4949884386, 0.2469736456, 126.9477616, -0.9837066475, -0.006270229766], 0.08001496619), ([0.5113777376, 0.2464424858, 126.6392592, 0.02369917068, 0.9990563044], 0.08001496619) ];
#[rustfmt::skip]
const MEANS_BY_H: [[f64; 5]; 6] = [ [4.196781316, 0.358787677, 56.98779856, 3.478318051, 4.91524458], [5.355063278, 0.3551036988, 55.08130316, 4.643443173, 6.066683383], [4.144712641, 0.362413343, 58.76989921, 3.419465804, 4.869959478], [4.011680159, 0.370001537, 62.45831769, 3.27216557, 4.751194747], [4.866130549, 0.3703015302, 62.73194839, 4.126080102, 5.606180995], [5.053725711, 0.3653409009, 60.32488643, 4.323016044, 5.784435378] ];
#[rustfmt::skip]
const PROPORTIONAL_C: [f64; 5] = [4.864136511, 0.3244742274, 40.73013265, 4.208715633, 5.519557389] ;
#[rustfmt::skip]
const HYPOTHESES: [([f64; 5], f64); 2] = [ ([1.528484276, 0.6312546921, 129.313531, 0.2795600775, 2.777408475], 0.01685091769), ([1.154415443, 0.2521180753, 126.9613028, 0.6555178077, 1.653313078], 0.5413204758) ];
#[rustfmt::skip]
const JOINT: [f64; 4] = [ 2.0, 128.1248322, 3.124165908, 0.04734109747 ];
