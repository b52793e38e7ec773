//! Snapshots of whole summaries, so that every change of their text is noticed.

use crate::support::ROWS;
use crate::support::{Folder, dataset, fit_ok, numbers, students_with, without};

#[test]
fn summary_of_chem97_is_unchanged() {
    let path = dataset("chem97");
    let text = fit_ok(&["score ~ gcsescore + gender + age + (1 | lea/school)", &path]);
    let expected = "\
REML criterion at convergence: 141023.4

      AIC      BIC   logLik -2logLik df.resid
 141037.4 141095.8 -70511.7 141023.4    31015

Scaled residuals: not computed from the sums that the fit uses;
--fitted writes them row by row

Random effects:
 Groups     Name        Variance Std.Dev. SE(Std.Dev.)
 lea:school (Intercept)  1.13180   1.0639      0.02542
 lea        (Intercept)  0.02027   0.1424      0.05345
 Residual                5.04244   2.2455      0.00939
Number of obs: 31022, groups: lea:school, 2410; lea, 131

Intraclass correlation of two observations of
                                       ICC Std. Error
 the same lea:school                0.1860     0.0073
 the same lea, different lea:school 0.0033     0.0025
R-squared: 0.4394 by the fixed effects, 0.5437 with the random effects
Effective sample size of a mean: 4308.0 (design effect 7.2)

Fixed effects:
              Estimate Std. Error    df t value Pr(>|t|)      2.5 %     97.5 %
(Intercept) -10.924140   0.115007  8717  -94.99   <2e-16 -11.149581 -10.698700
gcsescore     2.569782   0.017126 30193  150.06   <2e-16   2.536215   2.603349
genderM       0.744291   0.030296 30447   24.57   <2e-16   0.684910   0.803672
age          -0.037603   0.003821 29933   -9.84   <2e-16  -0.045093  -0.030113
t, Pr and the 95 % confidence intervals with Satterthwaite's degrees of freedom
Reference levels: gender F
";
    let (heading, rest) = text.split_once("\n\n").expect("a heading");
    assert!(heading.starts_with("Linear mixed model fit by REML\nFormula: score ~ gcsescore"), "{heading}");
    assert_eq!(rest, expected);
}

#[test]
fn summary_of_random_slopes_is_unchanged() {
    let text = fit_ok(&["Reaction ~ Days + (Days | Subject)", &dataset("sleepstudy"), "--df", "none"]);
    let expected = "\
Random effects:
 Groups   Name        Variance Std.Dev. SE(Std.Dev.) Corr
 Subject  (Intercept)   612.09   24.740         5.84
          Days           35.07    5.922         1.25 0.07
 Residual               654.94   25.592         1.51
Number of obs: 180, groups: Subject, 18

Intraclass correlation of two observations of
                     ICC Std. Error
 the same Subject 0.4831     0.1240
 (where the variables with random slopes are 0)
R-squared: 0.2787 by the fixed effects, 0.7992 with the random effects
Effective sample size of a mean: 33.7 (design effect 5.3)

Fixed effects:
            Estimate Std. Error z value Pr(>|z|)   2.5 %  97.5 %
(Intercept)  251.405      6.825  36.838   <2e-16 238.029 264.781
Days          10.467      1.546   6.771 1.27e-11   7.438  13.497
z, Pr and the 95 % confidence intervals by the normal approximation
";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn dropped_rows_are_counted_by_column_and_lines_are_short() {
    let folder = Folder::new();
    let gaps = without(numbers("x", (0..ROWS).map(|i| (i % 11) as f64)), |i| i % 10 == 0);
    let mut columns = students_with(gaps);
    columns.push(without(numbers("u", (0..ROWS).map(|i| (i % 5) as f64)), |i| i % 20 == 0));
    let path = folder.parquet("a.parquet", columns);
    let text = fit_ok(&["y ~ x + u + (1 + x + u | school) + (1 | school:class)", &path]);
    assert!(text.contains("   Rows: 86 used of 96, 10 dropped for missing values: x 10, u 5\n"), "{text}");
    let long = text.lines().filter(|line| !line.contains("a.parquet")).find(|line| line.chars().count() > 90);
    assert_eq!(long, None);
}
