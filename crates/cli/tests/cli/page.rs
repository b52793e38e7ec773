//! `report.html`: well-formed, self-contained, and with the numbers of the fit.

use crate::support::{Folder, dataset, fit, fit_err, fit_ok, numbers, run_ok, students, students_with, texts};
use serde_json::Value;
use std::fs;

/// Elements without an end tag.
const VOID: [&str; 1] = ["meta"];

/// Returns the texts of a page with their elements, such as `td`. Fails if elements are not balanced or
/// text is not escaped.
pub(crate) fn elements(page: &str) -> Vec<(String, String)> {
    let rest = page.strip_prefix("<!DOCTYPE html>").expect("the type of the document");
    let (mut open, mut texts): (Vec<&str>, Vec<(String, String)>) = (Vec::new(), Vec::new());
    for part in rest.trim_end().split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("a tag without end: <{part}"));
        assert!(tag.matches('"').count() % 2 == 0, "a value without end: <{tag}>");
        let name = tag.split_whitespace().next().expect("a name");
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "before {text:?}"),
            None if tag.ends_with('/') || VOID.contains(&name) => {}
            None => open.push(name),
        }
        if !text.trim().is_empty() {
            let within = open.last().expect("text stands in an element");
            texts.push(((*within).to_owned(), plain(text.trim())));
        }
    }
    assert!(open.is_empty(), "not ended: {open:?}");
    texts
}

/// Replaces the entities in a text.
fn plain(text: &str) -> String {
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (entity, rest) = part.split_once(';').unwrap_or_else(|| panic!("a bare &: {text}"));
        let of = [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\'')];
        plain.push(of.iter().find(|(name, _)| *name == entity).unwrap_or_else(|| panic!("&{entity}; in {text}")).1);
        plain += rest;
    }
    plain
}

/// Fits with these arguments and returns the page.
fn page(folder: &Folder, arguments: &[&str]) -> String {
    let out = folder.join("fit");
    fit_ok(&[arguments, &["--out", &out, "--report", "--quiet"]].concat());
    fs::read_to_string(folder.join("fit/report.html")).expect("a page")
}

fn count(elements: &[(String, String)], element: &str, text: &str) -> usize {
    elements.iter().filter(|(name, has)| name == element && has == text).count()
}

#[test]
fn a_page_has_the_numbers_of_the_fit_and_no_external_resources() {
    let folder = Folder::new();
    let page = page(&folder, &["Reaction ~ Days + (Days | Subject)", &dataset("sleepstudy")]);
    let elements = elements(&page);
    let json: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("fit/fit.json")).expect("fit.json")).expect("JSON");
    for (key, decimals) in [("estimate", 3), ("std_error", 3), ("lower", 3), ("upper", 3), ("df", 1)] {
        for effect in json["fixed_effects"].as_array().expect("effects") {
            let cell = format!("{:.decimals$}", effect[key].as_f64().expect("a number"));
            assert!(count(&elements, "td", &cell) > 0, "{key} {cell}");
        }
    }
    let f = format!("{:.3}", json["anova"][0]["f_value"].as_f64().expect("F"));
    let sd = format!("{:.3}", json["variance_components"][0]["sd"][1].as_f64().expect("a standard deviation"));
    for cell in [&f, &sd, "Days", "Residual", "the same Subject", "308"] {
        assert!(count(&elements, "td", cell) > 0, "{cell}");
    }
    assert_eq!(count(&elements, "dd", "180 used, none dropped"), 1);
    assert_eq!(count(&elements, "dd", "converged"), 1);
    assert_eq!(count(&elements, "code", "Reaction ~ Days + (Days | Subject)"), 1);
    // A coefficient and eighteen subjects, each with its interval.
    assert_eq!(page.matches("<circle").count(), 19);
    assert_eq!(count(&elements, "small", "all 18"), 1);
    let links = page.replace("http://www.w3.org/2000/svg", "");
    for word in ["<script", "http", "url(", "@import", "src=", "href="] {
        assert!(!links.contains(word), "{word}");
    }
}

#[test]
fn names_are_escaped_everywhere() {
    let folder = Folder::new();
    let arm = ["<b>&\"", "</table>", "it's"];
    let mut columns = students_with(texts("arm", (0..96).map(|i| arm[i % 3])));
    columns.push(numbers("<i>&\"", (0..96).map(|i| (i * 31 % 17) as f64)));
    columns.push(texts("site", (0..96).map(|i| format!("<s>{}&\"", i / 8))));
    let data = folder.parquet("a&b.parquet", columns);
    let page = page(&folder, &["y ~ arm + `<i>&\"` + (1 | site)", &data, "--reference", "arm=it's"]);
    let elements = elements(&page);
    for (element, text) in [("td", "arm<b>&\""), ("td", "arm</table>"), ("text", "arm<b>&\""), ("td", "<s>3&\"")] {
        assert!(count(&elements, element, text) > 0, "{element} {text}");
    }
    assert!(elements.iter().any(|(element, text)| element == "title" && text.contains("`<i>&\"`")));
    assert_eq!(count(&elements, "dd", &data), 1);
    assert!(!page.contains("<b>") && !page.contains("<i>") && !page.contains("<s>"));
}

#[test]
fn a_verdict_is_highlighted() {
    let folder = Folder::new();
    let boundary = page(&folder, &["Yield ~ 1 + (1 | Batch)", &dataset("dyestuff2")]);
    assert_eq!(count(&elements(&boundary), "strong", "On the boundary:"), 1);
    assert!(boundary.contains("<p class=\"verdict\">") && !boundary.contains("<svg"), "{boundary}");
    assert!(boundary.contains("so are the random effects of all groups"));

    let out = folder.join("fit");
    let model = "math ~ year * size + female + (1 + year | childid) + (1 | schoolid)";
    let data = dataset("egsingle");
    let ran = fit(&[model, &data, "--max-evaluations", "2", "--out", &out, "--report", "--quiet"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let failed = fs::read_to_string(folder.join("fit/report.html")).expect("a page");
    assert_eq!(count(&elements(&failed), "strong", "NOT CONVERGED:"), 1);
    assert!(failed.contains("<p class=\"verdict failed\">"));
    // A new fit without a page does not leave the old one beside it.
    fit_ok(&[model, &data, "--out", &out, "--quiet"]);
    assert_eq!(folder.names("fit"), ["fit.json", "model.json", "random_effects", "summary.txt"]);
}

#[test]
fn many_groups_are_shown_at_even_distances() {
    let folder = Folder::new();
    let page = page(&folder, &["math ~ year + (1 | childid)", &dataset("egsingle"), "--robust", "CR2"]);
    let elements = elements(&page);
    assert_eq!(count(&elements, "small", "200 of 1721 groups, at even distances in the order of all"), 1);
    assert_eq!(count(&elements, "small", "the 10 largest and 10 smallest of 1721"), 1);
    assert_eq!(page.matches("<circle").count(), 201);
    assert_eq!(count(&elements, "th", "Robust SE"), 1);
    // The extreme groups are those that `tiers ranef` finds.
    let found: Value = serde_json::from_str(&run_ok(&["ranef", &folder.join("fit"), "--json"])).expect("JSON");
    for side in ["largest", "smallest"] {
        for effect in found["terms"][0][side].as_array().expect("groups") {
            let id = effect["group"]["childid"].to_string().replace('"', "");
            assert_eq!(count(&elements, "td", &id), 1, "{side} {id}");
        }
    }
}

#[test]
fn a_page_needs_a_folder() {
    let folder = Folder::new();
    let data = folder.parquet("a.parquet", students());
    fit_err(&["y ~ x + (1 | school)", &data, "--report"], &["--out"]);
    // Each of several models has its own page.
    let out = folder.join("fits");
    fit_ok(&["y ~ 0 + (1 | school)", &data, "--also", "b=y ~ x + (1 | school)", "--out", &out, "--report", "--quiet"]);
    for name in ["model1", "b"] {
        let page = fs::read_to_string(folder.join(&format!("fits/{name}/report.html"))).expect("a page");
        assert_eq!(count(&elements(&page), "h2", "No fixed effects"), usize::from(name == "model1"));
    }
}
