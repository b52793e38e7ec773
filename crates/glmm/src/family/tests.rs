use super::*;

fn distributions() -> [Distribution; 4] {
    let binomial = |link| Distribution::new(Family::Binomial, Some(link)).unwrap();
    [
        binomial(Link::Logit),
        binomial(Link::Probit),
        binomial(Link::Cloglog),
        Distribution::new(Family::Poisson, None).unwrap(),
    ]
}

/// Each derivative against a five-point difference of the one before it.
#[test]
fn derivatives_agree_with_differences() {
    for distribution in distributions() {
        for (k, m) in [(0.0, 1.0), (1.0, 1.0), (3.0, 7.0), (2.5, 2.5)] {
            for i in -160..=60 {
                let eta = f64::from(i) * 0.0613;
                let h = 2e-3;
                let row = distribution.row(k, m, eta);
                let at = |j: i32| distribution.row(k, m, eta + f64::from(j) * h);
                let (a, b, c, d) = (at(-2), at(-1), at(1), at(2));
                for order in 0..4 {
                    let sign = if order == 1 { -1.0 } else { 1.0 };
                    let difference = sign * (a[order] - 8.0 * b[order] + 8.0 * c[order] - d[order]) / (12.0 * h);
                    let size = a[order].abs().max(d[order].abs()).max(row[order + 1].abs());
                    // The differences have an absolute error of 1e-10 where the likelihood is of the order of 10.
                    let size = size.max(0.1);
                    let error = (difference - row[order + 1]).abs() / size;
                    assert!(error < 1e-8, "{distribution:?} {k} of {m} at {eta}, order {order}: {error:e} {row:?}");
                }
            }
        }
    }
}

#[test]
fn slices_give_the_bits_of_single_rows() {
    let eta: Vec<f64> = (0..101).map(|i| f64::from(i) * 0.37 - 18.0).collect();
    let k: Vec<f64> = (0..101).map(|i| f64::from(i % 4)).collect();
    let m = vec![3.0; 101];
    for distribution in distributions() {
        let mut out = vec![vec![0.0; 101]; 5];
        let [l, s, w, w1, w2] = &mut out[..] else { unreachable!() };
        distribution.rows(&k, &m, &eta, &mut RowDerivatives { l, s, w, w1, w2 });
        for i in 0..101 {
            let one = distribution.row(k[i], m[i], eta[i]);
            for (j, one) in one.iter().enumerate() {
                assert_eq!(out[j][i].to_bits(), one.to_bits(), "{distribution:?} row {i} number {j}");
            }
        }
    }
}

#[test]
fn extreme_predictors_give_finite_likelihoods_of_certain_outcomes() {
    for distribution in distributions() {
        for eta in [-700.0, -40.0, -8.0] {
            let row = distribution.row(0.0, 1.0, eta);
            assert!(row.iter().all(|v| v.is_finite()) && row[0] <= 0.0 && row[2] >= 0.0, "{distribution:?} {row:?}");
        }
    }
    let logit = distributions()[0];
    assert_eq!(logit.row(1.0, 1.0, 800.0)[0], 0.0);
    assert_eq!(logit.row(1.0, 1.0, -800.0)[0], -800.0);
}

#[test]
fn means_and_predictors_are_inverse() {
    for link in Link::ALL {
        for eta in [-3.0, -0.4, 0.0, 0.9] {
            let back = link.predictor(link.mean(eta));
            assert!((back - eta).abs() < 1e-12, "{link} {eta} {back}");
            let h = 1e-5;
            let difference = (link.mean(eta + h) - link.mean(eta - h)) / (2.0 * h);
            assert!((difference - link.mean_derivative(eta)).abs() < 1e-9);
        }
    }
}

#[test]
fn names_are_parsed_and_near_ones_suggested() {
    assert_eq!("binomial".parse::<Family>(), Ok(Family::Binomial));
    let error = "binomal".parse::<Family>().unwrap_err().to_string();
    assert!(error.contains("did you mean binomial?"), "{error}");
    assert!("logistic".parse::<Link>().unwrap_err().to_string().contains("logit"));
    let pair = Distribution::new(Family::Poisson, Some(Link::Probit)).unwrap_err().to_string();
    assert_eq!(pair, "the poisson family has no probit link: use log");
}
