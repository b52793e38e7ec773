//! Every error names its key and says what to try.

use crate::support::{example, spec};
use tiers_simulate::{Simulation, Spec};

fn check(changes: &[(&str, &str)], words: &[&str]) {
    let error = Simulation::new(&example(changes)).expect_err(&format!("{changes:?} is not an error"));
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
}

#[test]
fn extent_and_names() {
    check(&[("rows = 100_000", "")], &["rows", "--rows"]);
    check(&[("rows = 100_000", "rows = 0")], &["rows", "at least one"]);
    check(&[("rows = 100_000", "rows = 10\ngroups = 1")], &["groups", "leave out one"]);
    check(&[("name = \"score\"", "name = \"school\"")], &["response.name", "`school` is taken"]);
    check(&[("name = \"ses\"", "name = \"a:b\"")], &["covariate 1: name", "colons"]);
    check(&[("residual_sd = 1.0", "residual_sd = -1")], &["response.residual_sd", "0 or above"]);
    check(&[("residual_sd = 1.0", "")], &["response.residual_sd", "not given"]);
    check(
        &[("residual_sd = 1.0", "family = \"poisson\"\nresidual_sd = 1.0")],
        &["response.residual_sd", "leave it out"],
    );
    check(&[("residual_sd = 1.0", "residual_sd = 1.0\nlink = \"logit\"")], &["response.link", "binomial"]);
    check(&[("missing = 0.0", "missing = 1")], &["response.missing", "below 1"]);
}

#[test]
fn levels() {
    check(&[("\"S{:06}\"", "\"S\"")], &["level `school`: id", "S{:06}"]);
    check(&[("min = 2, max = 30", "min = 30, max = 2")], &["level `school`: size", "swap"]);
    check(&[("min = 2, max = 30", "min = 0, max = 30")], &["level `school`: size", "empty"]);
    check(&[("skew = 0.1", "skew = 1")], &["level `school`: size", "skew = 1", "such as"]);
    check(&[("min = 2, max = 30", "min = 2, max = 300_000_000")], &["level `school`: size", "coarser level"]);
    check(&[("min = 2, max = 30", "min = 2, max = 5_000_000_000")], &["level `school`: size", "too large"]);
    check(&[("id = \"S{:06}\"", "id = \"S{}\"\nreuse_ids = true")], &["level `school`: reuse_ids", "coarsest"]);
    let none = Spec { levels: Vec::new(), ..spec("rows = 1\nlevel = []\n[response]\nname = \"y\"\nresidual_sd = 1") };
    assert!(Simulation::new(&none).unwrap_err().to_string().contains("[[level]]"));
}

#[test]
fn covariates() {
    check(&[("sd = 0.85", "probability = 0.5")], &["covariate `ses`: probability", "kind = \"binary\""]);
    check(&[("probability = 0.5", "probability = 50")], &["covariate `female`: probability", "0 to 1"]);
    check(
        &[("between = { school = 0.5 }", "between = { shool = 0.5 }")],
        &["ses", "between.shool", "`school` and `class`"],
    );
    check(
        &[("depends_on = { ses = 0.3 }", "depends_on = { female = 0.3 }")],
        &["pretest", "depends_on.female", "move it up"],
    );
    check(&[("sd = 0.9", "sd = 0.9\nlevel = \"class\"")], &["pretest", "`class` is not coarser"]);
    check(&[("between = { class = 0.3 }", "level = \"class\"")], &["depends_on.ses", "not constant"]);
    check(&[("0.52, 0.17", "0.6, 0.17")], &["minority", "probabilities", "sum"]);
    check(&[("0.52, 0.17, ", "0.52, ")], &["3 probabilities for 4 labels"]);
    check(&[("concentration = 11.5", "")], &["varies_by", "concentration = 10"]);
    check(&[("varies_by = \"school\"", "")], &["concentration", "varies_by"]);
    check(&[("\"A\", \"B\"", "\"B\", \"B\"")], &["labels", "twice"]);
}

#[test]
fn effects() {
    check(&[("treat = 0.20", "tret = 0.20")], &["fixed.tret", "no such term", "`minorityD`"]);
    check(&[("treat = 0.20", "minorityA = 0.20")], &["fixed.minorityA", "reference", "intercept"]);
    check(&[("treat = 0.20", "\"ses:minority\" = 0.20")], &["fixed.ses:minority", "`minority` is not a numeric"]);
    check(&[("treat = 0.20", "\"ses:treat\" = 1\n\"treat:ses\" = 1")], &["other way round"]);
    check(&[("name = \"female\"", "name = \"minorityB\"")], &["minorityB", "two terms"]);
    let random = "random = { \"(Intercept)\" = 0.30 }";
    check(&[(random, "random = { pretst = 0.1 }")], &["level `school`: random.pretst", "`pretest`"]);
    let with = |correlation: &str| {
        let both = "random = { \"(Intercept)\" = 0.3, ses = 0.2, pretest = 0.1 }";
        let text = format!("{both}\ncorrelation = {{ {correlation} }}");
        Simulation::new(&example(&[(random, &text)])).unwrap_err().to_string()
    };
    assert!(with("\"ses:treat\" = 0.1").contains("two random effects"));
    assert!(with("\"ses:pretest\" = 1.1").contains("-1 to 1"));
    assert!(
        with("\"ses:pretest\" = 0.9, \"(Intercept):ses\" = 0.9, \"(Intercept):pretest\" = -0.9").contains("at once")
    );
}
