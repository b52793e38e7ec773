//! Sums over shards, made side by side and merged in the order of the shards, in bounded memory.
//!
//! With many columns a shard's sums are large (m×m numbers, several times), and holding those of all
//! shards at once is what a fit of few rows would need most memory for.

use rayon::prelude::*;

/// Bytes of sums that may be held at once beyond one per thread.
const AT_ONCE: usize = 32 << 20;

/// How many sums of this size are held at once, beside their total.
pub fn at_once(bytes_each: usize, shards: usize) -> usize {
    (AT_ONCE / bytes_each.max(1)).max(rayon::current_num_threads()).clamp(1, shards.max(1))
}

/// Makes a sum of each shard, side by side, and merges them in the order of the shards; the bits do
/// not depend on how many are held at once. `None` without shards; the first error in the order of
/// the shards.
pub fn merged<I: IndexedParallelIterator, T: Send, E: Send>(
    shards: impl Iterator<Item = I>,
    make: impl Fn(I::Item) -> Result<T, E> + Sync,
    merge: impl Fn(&mut T, &T),
) -> Result<Option<T>, E> {
    let mut total: Option<T> = None;
    for some in shards {
        let sums: Vec<Result<T, E>> = some.with_max_len(1).map(&make).collect();
        for sum in sums {
            let sum = sum?;
            match &mut total {
                None => total = Some(sum),
                Some(total) => merge(total, &sum),
            }
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_shards_however_many_are_held() {
        let shards: Vec<f64> = (0..64).map(|i| (i as f64).sin() * 10f64.powi(i % 17)).collect();
        let sum = |at_once: usize| {
            let some = shards.chunks(at_once).map(|some| some.par_iter());
            merged(some, |&x| Ok::<f64, ()>(x), |total, x| *total += x).unwrap().unwrap()
        };
        let all = sum(64);
        assert!([1, 2, 5, 63].into_iter().all(|at_once| sum(at_once).to_bits() == all.to_bits()));
        let failed = merged(shards.chunks(3).map(|some| some.par_iter()), |&x| Err::<f64, f64>(x), |_, _| {});
        assert_eq!(failed, Err(shards[0]));
    }

    #[test]
    fn small_sums_are_held_all_at_once_and_large_ones_one_per_thread() {
        assert_eq!(at_once(1000, 64), 64);
        assert_eq!(at_once(1 << 30, 64), rayon::current_num_threads().min(64));
    }
}
