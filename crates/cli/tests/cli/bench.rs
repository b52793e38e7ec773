//! `tiers bench`: files, figures, and accuracy of the estimates.

use crate::support::{Folder, program, run};
use serde_json::Value;

const MODEL: &str = "score ~ pretest + ses + female + minority + treat + class_size + (1 | school/class)";

/// Simulates students in classes in schools.
fn students(folder: &Folder, rows: &str) -> String {
    let example = run(program().args(["simulate", "--example"]));
    let (spec, data) = (folder.text("students.toml", &example.out), folder.join("students.parquet"));
    let ran = run(program().args(["simulate", &spec, "--rows", rows, "--quiet", "--out", &data]));
    assert_eq!(ran.code, 0, "{ran:?}");
    data
}

#[test]
fn growth_is_measured_and_drawn() {
    let folder = Folder::new();
    let out = folder.join("bench");
    let sizes = ["--sizes", "2e3,4e3", "--models", "a", "--threads", "1,2", "--repeats", "1"];
    let ran = run(program().arg("bench").args(sizes).args(["--out", &out]));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    for words in ["evaluations", "Growth with the rows", "gave the same results to the last bit"] {
        assert!(ran.out.contains(words), "`{words}` is not in: {}", ran.out);
    }
    let read = |name: &str| std::fs::read(folder.path().join("bench").join(name)).expect("it is written");
    let document: Value = serde_json::from_slice(&read("bench.json")).unwrap();
    assert_eq!(document["runs"].as_array().unwrap().len(), 4);
    assert!(document["growth"][0]["wall"].is_f64() && document["machine"]["cores"].is_u64());
    let phases = &document["cells"][0]["phases"];
    for phase in ["read", "scan", "decode", "encode", "sum", "merge", "settle", "search", "effects", "write"] {
        assert!(phases[phase].as_f64().is_some_and(|seconds| seconds >= 0.0), "{phase}");
    }
    assert_eq!(String::from_utf8(read("bench.csv")).unwrap().lines().count(), 5);
    assert!(read("scaling.svg").starts_with(b"<svg"));
    // Neither the simulated tables nor the results of the runs are left behind.
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 4);
}

#[test]
fn tables_of_the_user_are_measured() {
    let folder = Folder::new();
    let (data, out) = (students(&folder, "2000"), folder.join("bench"));
    let ran = run(program().args(["bench", MODEL, &data, "--repeats", "1", "--out", &out]));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let ran = run(program().args(["bench", "score ~ no_such + (1 | school)", &data, "--repeats", "1", "--out", &out]));
    assert!(ran.code == 1 && ran.err.contains("no_such"), "{ran:?}");
}

/// Largest factor between the estimated memory and the memory held.
const FACTOR: f64 = 1.5;

#[test]
fn estimated_memory_is_near_the_memory_held() {
    let folder = Folder::new();
    let data = students(&folder, "1000000");
    let plan = run(program().args(["bench", "--plan", MODEL, &data, "--json"]));
    assert_eq!((plan.code, plan.err.as_str()), (0, ""), "{plan:?}");
    let plan: Value = serde_json::from_str(&plan.out).unwrap();
    assert!(plan["sampled_rows"].as_u64().unwrap() < 500_000 && plan["sorted"] == true, "{plan}");
    let fit = run(program().args(["fit", MODEL, &data, "--json", "--quiet", "--out", &folder.join("fit")]));
    let fit: Value = serde_json::from_str(&fit.out).unwrap();
    let Some(held) = fit["peak_memory_bytes"].as_f64() else { return };
    let ratio = plan["memory_bytes"].as_f64().unwrap() / held;
    assert!((1.0 / FACTOR..FACTOR).contains(&ratio), "{ratio}: {plan}");
    let groups = |of: &Value| of["levels"].as_array().unwrap().clone();
    for level in groups(&plan) {
        let name = &level[0];
        let real = groups(&fit).into_iter().find(|real| real["name"] == *name).expect("the level");
        let ratio = level[1].as_f64().unwrap() / real["groups"].as_f64().unwrap();
        assert!((0.9..1.1).contains(&ratio), "{name}: {ratio}");
    }
}

#[test]
fn a_plan_is_printed_as_text() {
    let folder = Folder::new();
    let data = students(&folder, "5000");
    let ran = run(program().args(["bench", "--plan", MODEL, &data]));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    for words in ["5000 rows in 1 file", "of school:class", "reading", "memory   about", "fits this machine"] {
        assert!(ran.out.contains(words), "`{words}` is not in: {}", ran.out);
    }
}
