//! Links OpenBLAS, because lme-rs calls LAPACK and BLAS but does not link them itself.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_LME").is_some() {
        println!("cargo:rustc-link-arg-bin=peer-lme=-lopenblas");
    }
}
