//! A growth model: children measured over years, each with an intercept and a slope of their own, in
//! schools that differ, too.
//!
//! ```text
//! cargo run --release -p tiers --example growth
//! ```
#![allow(clippy::print_stdout)]

use tiers::{BootstrapSettings, IntervalMethod, Table, lmm};

fn main() -> Result<(), tiers::Error> {
    let table = children()?;
    // That children nest in schools is found in the data; write (1 | school/child) if the same ids occur in
    // several schools.
    let model = lmm("math ~ year + girl + (1 + year | child) + (1 | school)");
    let growth = model.fit(&table)?;
    println!("{growth}");

    // How much of the variance of an observation lies between schools, and between children?
    for icc in growth.icc() {
        println!("intraclass correlation of {}: {:.3}", icc.level, icc.icc);
    }

    // Do the slopes differ between children? A likelihood ratio test; both models by maximum likelihood.
    let parallel = lmm("math ~ year + girl + (1 | child) + (1 | school)").ml().fit(&table)?;
    let test = parallel.compare(&model.ml().fit(&table)?)?;
    println!("slopes: chi-squared {:.1} on {} degrees of freedom, p {:.2e}", test.chi_squared, test.df, test.p_value);

    // Intervals of the standard deviations, which are not symmetric: by profile likelihood and bootstrap.
    let bootstrap = IntervalMethod::Bootstrap(BootstrapSettings { replicates: 200, ..BootstrapSettings::default() });
    for method in [IntervalMethod::Profile, bootstrap] {
        let intervals = growth.confint(method, 0.95)?;
        let slopes = intervals.iter().find(|interval| interval.parameter == "sd_year|child").expect("a parameter");
        println!("sd of the slopes: {:.3} ({:?} to {:?})", slopes.estimate, slopes.lower, slopes.upper);
    }

    // The children who grow fastest.
    let children = growth.random_effects("child")?;
    let (r, slope) = (children.terms.len(), children.terms.iter().position(|term| term == "year").expect("a slope"));
    let mut order: Vec<usize> = (0..children.rows.len()).collect();
    order.sort_by(|&a, &b| children.estimate[b * r + slope].total_cmp(&children.estimate[a * r + slope]));
    for child in &order[..3] {
        let at = child * r + slope;
        println!("child {child}: {:+.2} a year (sd {:.2})", children.estimate[at], children.prediction_sd[at]);
    }
    Ok(())
}

/// Five years of 80 children in eight schools.
fn children() -> Result<Table, tiers::Error> {
    let spread = |i: u32, salt: f64| (f64::from(i) * 12.9898 + salt).sin();
    let (mut math, mut year, mut girl, mut child, mut school) = (vec![], vec![], vec![], vec![], vec![]);
    for c in 0..80_u32 {
        let (start, slope) = (2.0 * spread(c, 1.0) + spread(c / 10, 2.0), 1.2 + 0.5 * spread(c, 3.0));
        for t in 0..5_u32 {
            let years = f64::from(t);
            math.push(20.0 + start + slope * years + 0.4 * f64::from(c % 2) + 0.8 * spread(5 * c + t, 4.0));
            year.push(years);
            girl.push(c % 2 == 1);
            child.push(c);
            school.push(format!("school {}", c / 10));
        }
    }
    Table::from_columns([
        ("math", math.into()),
        ("year", year.into()),
        ("girl", girl.into()),
        ("child", child.into()),
        ("school", school.into()),
    ])
}
