//! lme-rs calls LAPACK and BLAS and leaves it to its users to bring them: Debian's OpenBLAS.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_LME").is_some() {
        println!("cargo:rustc-link-arg-bin=peer-lme=-lopenblas");
    }
}
