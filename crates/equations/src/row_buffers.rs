//! Buffers of rows for the cross-product kernel.

use tiers_moments::{CHUNK, Cross};

/// Buffer of pairs of rows for the cross-product kernel.
pub(crate) struct Pairs {
    width: usize,
    used: usize,
    a: Vec<f64>,
    b: Vec<f64>,
}

impl Pairs {
    pub(crate) fn new(width: usize) -> Self {
        Pairs { width, used: 0, a: vec![0.0; CHUNK * width], b: vec![0.0; CHUNK * width] }
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, a: &[f64], b: &[f64], into: &mut Cross) {
        let at = self.used * self.width;
        self.a[at..at + a.len()].copy_from_slice(a);
        self.b[at..at + b.len()].copy_from_slice(b);
        self.used += 1;
        if self.used == CHUNK {
            self.flush(into);
        }
    }

    #[inline(always)]
    pub(crate) fn flush(&mut self, into: &mut Cross) {
        let end = self.used * self.width;
        into.add(&self.a[..end], &self.b[..end]);
        self.used = 0;
    }
}

/// Buffer of the rows of F, for the cross-products of every pair of random coefficients.
pub(crate) struct FBuffers {
    r: usize,
    width: usize,
    used: usize,
    rows: Vec<Vec<f64>>,
}

impl FBuffers {
    pub(crate) fn new(r: usize, width: usize) -> Self {
        FBuffers { r, width, used: 0, rows: vec![vec![0.0; CHUNK * width]; r] }
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, f: &[f64], m: usize, into: &mut [Cross]) {
        let at = self.used * self.width;
        for (buffer, row) in self.rows.iter_mut().zip(f.chunks_exact(m)) {
            buffer[at..at + m].copy_from_slice(row);
        }
        self.used += 1;
        if self.used == CHUNK {
            self.flush(into);
        }
    }

    #[inline(always)]
    pub(crate) fn flush(&mut self, into: &mut [Cross]) {
        let end = self.used * self.width;
        let mut into = into.iter_mut();
        for a in 0..self.r {
            for b in a..self.r {
                let cross = into.next().expect("one sum for every pair");
                cross.add(&self.rows[a][..end], &self.rows[b][..end]);
                if a != b {
                    cross.add(&self.rows[b][..end], &self.rows[a][..end]);
                }
            }
        }
        self.used = 0;
    }
}
