//! A column of numbers in the narrowest type that holds all of them exactly.

use std::ops::Range;

/// Numbers as bytes, single or double precision.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Narrow {
    /// Whole numbers from 0 to 255.
    Bytes(Vec<u8>),
    /// Numbers that single precision holds exactly.
    Single(Vec<f32>),
    /// Any numbers.
    Double(Vec<f64>),
}

/// How much a number needs: 0 for a byte, 1 for single, 2 for double precision.
#[inline(always)]
fn width(value: f64) -> u8 {
    let byte = value as u8;
    let single = value as f32;
    if f64::from(byte).to_bits() == value.to_bits() {
        0
    } else if f64::from(single).to_bits() == value.to_bits() {
        1
    } else {
        2
    }
}

impl Narrow {
    /// `n` zeros.
    pub(super) fn zeros(n: usize) -> Narrow {
        Narrow::Bytes(vec![0; n])
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Narrow::Bytes(values) => values.len(),
            Narrow::Single(values) => values.len(),
            Narrow::Double(values) => values.len(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Narrow::Bytes(values) => values.len(),
            Narrow::Single(values) => 4 * values.len(),
            Narrow::Double(values) => 8 * values.len(),
        }
    }

    /// Puts values at the given places, after widening the column if they need it.
    pub(super) fn scatter(&mut self, places: &[u32], values: &[f64]) {
        let needed = values.iter().map(|&v| width(v)).max().unwrap_or(0);
        self.widen(needed);
        let pairs = places.iter().zip(values);
        match self {
            Narrow::Bytes(all) => pairs.for_each(|(&at, &v)| all[at as usize] = v as u8),
            Narrow::Single(all) => pairs.for_each(|(&at, &v)| all[at as usize] = v as f32),
            Narrow::Double(all) => pairs.for_each(|(&at, &v)| all[at as usize] = v),
        }
    }

    fn widen(&mut self, needed: u8) {
        let wider = match (&*self, needed) {
            (Narrow::Bytes(values), 1) => Narrow::Single(values.iter().map(|&v| f32::from(v)).collect()),
            (Narrow::Bytes(values), 2) => Narrow::Double(values.iter().map(|&v| f64::from(v)).collect()),
            (Narrow::Single(values), 2) => Narrow::Double(values.iter().map(|&v| f64::from(v)).collect()),
            _ => return,
        };
        *self = wider;
    }

    /// Writes the values of some rows, less a shift, to a column of `out`, whose rows have `width` numbers.
    #[inline(always)]
    pub(super) fn spread(&self, rows: Range<usize>, shift: f64, out: &mut [f64], (column, width): (usize, usize)) {
        let rows_out = out.chunks_exact_mut(width);
        match self {
            Narrow::Bytes(values) => rows_out.zip(&values[rows]).for_each(|(o, &v)| o[column] = f64::from(v) - shift),
            Narrow::Single(values) => rows_out.zip(&values[rows]).for_each(|(o, &v)| o[column] = f64::from(v) - shift),
            Narrow::Double(values) => rows_out.zip(&values[rows]).for_each(|(o, &v)| o[column] = v - shift),
        }
    }

    /// The value of one row.
    pub(crate) fn at(&self, row: usize) -> f64 {
        match self {
            Narrow::Bytes(values) => f64::from(values[row]),
            Narrow::Single(values) => f64::from(values[row]),
            Narrow::Double(values) => values[row],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_widen_and_keep_every_value() {
        let mut column = Narrow::zeros(4);
        column.scatter(&[3, 0], &[7.0, 255.0]);
        assert_eq!(column, Narrow::Bytes(vec![255, 0, 0, 7]));
        column.scatter(&[1], &[-0.5]);
        assert_eq!(column, Narrow::Single(vec![255.0, -0.5, 0.0, 7.0]));
        column.scatter(&[2], &[0.1]);
        assert_eq!(column, Narrow::Double(vec![255.0, -0.5, 0.1, 7.0]));
        let mut out = [0.0; 4];
        column.spread(1..3, 1.0, &mut out, (1, 2));
        assert_eq!(out, [0.0, -1.5, 0.0, -0.9]);
        assert_eq!(width(-0.0), 1);
    }
}
