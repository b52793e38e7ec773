//! Comparison of moments.

use tiers_moments::{IngestError, Ingested};

/// All bits of moments, in their order.
pub(crate) fn bits(name: &str, ingested: Result<Ingested, IngestError>) -> String {
    match ingested {
        Err(error) => format!("{name}: {error}"),
        Ok(Ingested { recipe, moments, dropped }) => {
            let numbers = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<u64>>();
            let mut text = format!("{name}: {recipe:?} {dropped:?} {:?}\n", numbers(&moments.cross.to_dense()));
            text += &format!("{} {}\n", moments.rows, moments.sum_log_weights.to_bits());
            for cells in &moments.shards {
                let labels: Vec<String> = (0..cells.labels.len())
                    .map(|i| moments.labels[i % moments.summands.keys].label(cells.labels[i]))
                    .collect();
                text += &format!("{labels:?} {:?} {:?} {:?}\n", cells.counts, cells.first_row, numbers(&cells.sums));
            }
            text
        }
    }
}

/// Sums, cell by cell in the order of labels.
fn by_label(ingested: &Ingested) -> Vec<(Vec<String>, u64, Vec<f64>)> {
    let per_cell = ingested.moments.summands.per_cell();
    let mut all = Vec::new();
    for shard in 0..ingested.moments.shards.len() {
        let cells = ingested.moments.cells_of(shard);
        for i in 0..cells.rows.len() {
            let label: Vec<String> = cells.keys.iter().map(|key| key.dictionary.label(key.codes[i] as usize)).collect();
            all.push((label, cells.rows[i], cells.sums[i * per_cell..(i + 1) * per_cell].to_vec()));
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// Checks that two sets of moments agree up to rounding, except for the numbers of their first rows.
#[track_caller]
pub(crate) fn same_moments(name: &str, got: &Ingested, want: &Ingested, digits: f64) {
    assert_eq!(got.recipe, want.recipe, "{name}");
    assert_eq!(got.dropped, want.dropped, "{name}");
    assert_eq!(got.moments.rows, want.moments.rows, "{name}");
    assert!((got.moments.sum_log_weights - want.moments.sum_log_weights).abs() < 1e-9, "{name}");
    let (own, other) = (&got.moments.summands, &want.moments.summands);
    assert_eq!((own.m, &own.z, own.keys), (other.m, &other.z, other.keys), "{name}");
    let m = want.moments.summands.m;
    let scale = |i: usize| want.moments.cross.get(i, i).sqrt().max(1e-3);
    for (i, j) in (0..m).flat_map(|i| (0..m).map(move |j| (i, j))) {
        let (got, want) = (got.moments.cross.get(i, j), want.moments.cross.get(i, j));
        assert!((got - want).abs() <= digits * scale(i) * scale(j), "{name}: C'WC {i} {j}: {got} {want}");
    }
    let (got_cells, want_cells) = (by_label(got), by_label(want));
    assert_eq!(got_cells.len(), want_cells.len(), "{name}");
    for (got, wanted) in got_cells.iter().zip(&want_cells) {
        assert_eq!((&got.0, got.1), (&wanted.0, wanted.1), "{name}");
        for (k, (got, sum)) in got.2.iter().zip(&wanted.2).enumerate() {
            let room = digits * scale(want.moments.summands.z[k / m]) * scale(k % m);
            assert!((got - sum).abs() <= room, "{name}: {:?} {k}: {got} {sum}", wanted.0);
        }
    }
}
