//! Serialises symmetric matrices as their lower triangles, row by row, from which the size follows.
//!
//! JSON has no NaN: such entries are `null`.

use nalgebra::DMatrix;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Triangle(Vec<Vec<Option<f64>>>);

impl Triangle {
    fn of(matrix: &DMatrix<f64>) -> Triangle {
        let entry = |i: usize, j: usize| Some(matrix[(i, j)]).filter(|value| value.is_finite());
        Triangle((0..matrix.nrows()).map(|i| (0..=i).map(|j| entry(i, j)).collect()).collect())
    }

    fn matrix(&self) -> Result<DMatrix<f64>, String> {
        let n = self.0.len();
        if let Some((i, row)) = self.0.iter().enumerate().find(|(i, row)| row.len() != i + 1) {
            return Err(format!("row {} of a triangle has {} entries, not {}", i + 1, row.len(), i + 1));
        }
        Ok(DMatrix::from_fn(n, n, |i, j| self.0[i.max(j)][i.min(j)].unwrap_or(f64::NAN)))
    }
}

/// Mirrors the lower triangle of a matrix that is symmetric up to rounding, as reading it from a file
/// does. Computations with it are then bit-identical before and after saving.
pub(super) fn mirrored(matrix: DMatrix<f64>) -> DMatrix<f64> {
    let mut matrix = matrix;
    matrix.fill_upper_triangle_with_lower_triangle();
    matrix
}

/// One matrix: `#[serde(with = "…")]`.
pub(super) mod symmetric {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(matrix: &DMatrix<f64>, to: S) -> Result<S::Ok, S::Error> {
        Triangle::of(matrix).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DMatrix<f64>, D::Error> {
        Triangle::deserialize(from)?.matrix().map_err(serde::de::Error::custom)
    }
}

/// A list of matrices.
pub(super) mod list {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(matrices: &[DMatrix<f64>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(matrices.iter().map(Triangle::of))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<DMatrix<f64>>, D::Error> {
        let all = Vec::<Triangle>::deserialize(from)?;
        all.iter().map(|triangle| triangle.matrix().map_err(serde::de::Error::custom)).collect()
    }
}

/// A vector.
pub(super) mod vector {
    use nalgebra::DVector;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(vector: &DVector<f64>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(vector.iter().map(|value| Some(*value).filter(|value| value.is_finite())))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DVector<f64>, D::Error> {
        let entries = Vec::<Option<f64>>::deserialize(from)?;
        Ok(DVector::from_iterator(entries.len(), entries.iter().map(|entry| entry.unwrap_or(f64::NAN))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let matrix = DMatrix::from_row_slice(2, 2, &[1.5, -2.0, -2.0, 3.0]);
        let triangle = Triangle::of(&matrix);
        assert_eq!(triangle.0, [vec![Some(1.5)], vec![Some(-2.0), Some(3.0)]]);
        assert_eq!(triangle.matrix().expect("a triangle"), matrix);
        assert!(Triangle(vec![vec![], vec![]]).matrix().is_err());
        assert_eq!(Triangle(vec![]).matrix().expect("of nothing").nrows(), 0);
    }
}
