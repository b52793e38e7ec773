//! Calls of code that is compiled for the vector instructions of the machine it runs on.

use pulp::{Arch, Simd, WithSimd};

/// Calls a function with the vector instructions that the processor has, chosen at run time.
///
/// Only what is inlined into the function uses them: write the closure as `#[inline(always)] || …`, and mark the
/// functions it calls. (The closure is taken as `FnMut`, because the shim by which the compiler calls such a closure as
/// `FnOnce` is not inlined.)
#[inline(always)]
pub fn vectorised<R>(f: impl FnMut() -> R) -> R {
    vectorised_for(Arch::new(), f)
}

/// Does the same as [`vectorised`] for a processor that is already known.
#[inline(always)]
pub(crate) fn vectorised_for<R>(arch: Arch, f: impl FnMut() -> R) -> R {
    arch.dispatch(Call(f))
}

struct Call<F>(F);

impl<R, F: FnMut() -> R> WithSimd for Call<F> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) -> R {
        (self.0)()
    }
}
