//! Selects the parameters that `--parm` names.

use anyhow::bail;

/// Returns the places of the named parameters, in the order of `names`; all places if none is named.
pub(super) fn select(
    request: &[String],
    names: &[String],
    is_coefficient: impl Fn(usize) -> bool,
) -> anyhow::Result<Vec<usize>> {
    if request.is_empty() {
        return Ok((0..names.len()).collect());
    }
    let mut out = vec![false; names.len()];
    for want in request {
        let matches = |place: usize| match want.as_str() {
            "beta_" => is_coefficient(place),
            "theta_" => !is_coefficient(place),
            name => names[place] == name,
        };
        let found: Vec<usize> = (0..names.len()).filter(|&place| matches(place)).collect();
        if found.is_empty() {
            bail!("--parm {want}: the fit has no such parameter; it has {}", names.join(", "));
        }
        found.into_iter().for_each(|place| out[place] = true);
    }
    Ok((0..names.len()).filter(|&place| out[place]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_selected_by_name_and_kind() {
        let names = ["sd_(Intercept)|school", "sigma", "(Intercept)", "treat"].map(str::to_owned);
        let of = |request: &[&str]| {
            let request: Vec<String> = request.iter().map(|&name| name.to_owned()).collect();
            select(&request, &names, |place| place >= 2)
        };
        assert_eq!(of(&[]).expect("all"), [0, 1, 2, 3]);
        assert_eq!(of(&["treat", "sigma"]).expect("two"), [1, 3]);
        assert_eq!(of(&["theta_"]).expect("the variances"), [0, 1]);
        assert_eq!(of(&["beta_", "sigma"]).expect("three"), [1, 2, 3]);
        assert!(of(&["tret"]).expect_err("unknown").to_string().contains("it has sd_(Intercept)|school, sigma"));
    }
}
