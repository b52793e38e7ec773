//! Many models within a limit of memory.

use crate::many::pass::{Outcome, Pass};
use crate::memory::{MemoryLimit, Size, Until};

/// Puts models off, the last first, until the others have room; the last one that is left has an
/// error instead.
pub(crate) fn make(pass: &mut Pass, limit: &MemoryLimit) {
    loop {
        let models: Vec<usize> =
            pass.sums.iter().flat_map(|sums| sums.bundle.members.iter().map(|member| member.model)).collect();
        if let [model] = models[..] {
            let alone = &pass.sums[0];
            let about = &alone.bundle.members[0];
            let size = size(pass, 0, 0);
            let names = about.recipe.keys.iter().map(|&key| about.recipe.requests[key].column.as_str());
            let names: Vec<&str> = alone.by.iter().map(String::as_str).chain(names).collect();
            // A partition is fitted at a time, and is small; what it is taken from is not.
            let until = if alone.by.is_empty() { limit.until } else { Until::Moments };
            let limit = MemoryLimit { until, ..*limit };
            if let Err(error) = limit.check_size(size, names.join(" and "), (pass.rows_read, "rows")) {
                pass.sums.clear();
                pass.outcomes[model] = Outcome::Failed(error.into());
            }
            return;
        }
        if needed(pass, limit) <= limit.bytes {
            return;
        }
        let last = models.into_iter().max().expect("several models");
        pass.defer(last);
    }
}

/// The size of what one model needs.
fn size(pass: &Pass, bundle: usize, member: usize) -> Size {
    let sums = &pass.sums[bundle];
    let about = &sums.bundle.members[member];
    Size::of_member(&about.recipe, &about.projection, &sums.moments, sums.totals.bytes() as u64)
}

/// Bytes for the sums of all models, and beside them for the model that needs most.
fn needed(pass: &Pass, limit: &MemoryLimit) -> u64 {
    let held: u64 = pass.sums.iter().map(|sums| Size::held(&sums.moments) + sums.totals.bytes() as u64).sum();
    let each = pass.sums.iter().enumerate().flat_map(|(bundle, sums)| {
        (0..sums.bundle.members.len()).map(move |member| {
            let size = size(pass, bundle, member);
            match sums.by.is_empty() {
                true => size.needed().peak(limit.until),
                false => size.needed().reading,
            }
        })
    });
    held + each.max().unwrap_or(0)
}
