//! The points that a search evaluated, saved so that an interrupted search can be resumed.
//!
//! A search is a deterministic function of its evaluations: given the saved ones it repeats the same steps
//! bit for bit, and continues where it was interrupted. Points are looked up by the bits of theta.

use crate::frames::{Broken, CheckpointError, FrameReader, FrameWriter};
use crate::objective::{Evaluation, SecondDerivatives};
use nalgebra::{DMatrix, DVector};
use std::io::{self, Read, Write};

/// First bytes of a file.
const MAGIC: &[u8; 16] = b"tiers theta path";
/// The version of the format; another one is refused.
const FORMAT: u64 = 2;

/// The evaluations of a search, in their order.
#[derive(Clone, Debug, Default)]
pub struct ThetaPath {
    points: Vec<Point>,
}

#[derive(Clone, Debug)]
struct Point {
    at: Evaluation,
    /// With (`true`) and without those of log|X'V⁻¹X|, as far as they were requested.
    second: Vec<(bool, SecondDerivatives)>,
}

impl Point {
    fn is_at(&self, theta: &[f64]) -> bool {
        self.at.theta.iter().map(|t| t.to_bits()).eq(theta.iter().map(|t| t.to_bits()))
    }
}

impl ThetaPath {
    /// Number of evaluations.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether nothing has been evaluated.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    fn point(&self, theta: &[f64]) -> Option<&Point> {
        self.points.iter().find(|point| point.is_at(theta))
    }

    /// Returns the evaluation at theta.
    pub(super) fn evaluation(&self, theta: &[f64]) -> Option<Evaluation> {
        self.point(theta).map(|point| point.at.clone())
    }

    /// Adds an evaluation.
    pub(super) fn keep(&mut self, at: &Evaluation) {
        self.points.push(Point { at: at.clone(), second: Vec::new() });
    }

    /// Returns the second derivatives at theta, including those of log|X'V⁻¹X| if `exact`.
    pub(super) fn second(&self, theta: &[f64], exact: bool) -> Option<SecondDerivatives> {
        let known = self.point(theta)?.second.iter().find(|(with, _)| *with == exact);
        known.map(|(_, second)| second.clone())
    }

    /// Adds second derivatives to the evaluation at theta.
    pub(super) fn keep_second(&mut self, theta: &[f64], exact: bool, second: &SecondDerivatives) {
        if let Some(point) = self.points.iter_mut().find(|point| point.is_at(theta)) {
            point.second.push((exact, second.clone()));
        }
    }

    /// Writes the path. `fingerprint` identifies the model and the data; the same one is needed to read
    /// the path.
    ///
    /// # Errors
    /// If `to` cannot be written to.
    pub fn write(&self, fingerprint: &str, to: &mut dyn Write) -> io::Result<()> {
        let mut to = FrameWriter::begin(MAGIC, FORMAT, fingerprint, to)?;
        to.u64(self.points.len() as u64)?;
        for Point { at, second } in &self.points {
            write_evaluation(at, &mut to)?;
            to.u64(second.len() as u64)?;
            for (exact, second) in second {
                to.u64(u64::from(*exact))?;
                matrices(second).into_iter().try_for_each(|matrix| write_matrix(matrix, &mut to))?;
            }
        }
        to.finish()
    }

    /// Reads a path back, checking every byte of it.
    ///
    /// # Errors
    /// If it is damaged, was written by another version of the program, or belongs to another model or data.
    pub fn read(from: &mut dyn Read, fingerprint: &str) -> Result<ThetaPath, CheckpointError> {
        let mut from = FrameReader::begin(MAGIC, FORMAT, fingerprint, from)?;
        let points = from.list(|from| {
            let at = read_evaluation(from)?;
            let second = from.list(|from| Ok((from.u64()? == 1, read_second(from)?)))?;
            Ok(Point { at, second })
        })?;
        from.finish()?;
        Ok(ThetaPath { points })
    }
}

fn write_evaluation(at: &Evaluation, to: &mut FrameWriter<'_>) -> io::Result<()> {
    to.f64s(&at.theta)?;
    to.f64s(&[at.criterion, at.log_det_v, at.log_det_xx, at.pwrss, at.loss_y, at.loss_x])?;
    [&at.gradient, &at.beta, &at.d_log_det, &at.gradient_g].iter().try_for_each(|vector| to.f64s(vector.as_slice()))?;
    write_matrix(&at.xx_inverse, to)?;
    to.u64(at.d_s.len() as u64)?;
    at.d_s.iter().try_for_each(|matrix| write_matrix(matrix, to))
}

fn read_evaluation(from: &mut FrameReader<'_>) -> Result<Evaluation, Broken> {
    let theta = from.f64s()?;
    let [criterion, log_det_v, log_det_xx, pwrss, loss_y, loss_x] =
        from.f64s()?.try_into().map_err(|_| Broken::Damaged("a point lacks numbers"))?;
    let mut vector = || from.f64s().map(DVector::from_vec);
    let (gradient, beta, d_log_det, gradient_g) = (vector()?, vector()?, vector()?, vector()?);
    let (xx_inverse, d_s) = (read_matrix(from)?, from.list(read_matrix)?);
    Ok(Evaluation {
        theta,
        criterion,
        gradient,
        log_det_v,
        log_det_xx,
        pwrss,
        loss_y,
        loss_x,
        beta,
        xx_inverse,
        d_log_det,
        d_s,
        gradient_g,
    })
}

/// All matrices, in the order of the file.
fn matrices(second: &SecondDerivatives) -> [&DMatrix<f64>; 5] {
    [&second.hessian, &second.hessian_g, &second.log_det, &second.pwrss, &second.log_det_xx]
}

fn read_second(from: &mut FrameReader<'_>) -> Result<SecondDerivatives, Broken> {
    let mut matrix = || read_matrix(from);
    let (hessian, hessian_g, log_det) = (matrix()?, matrix()?, matrix()?);
    Ok(SecondDerivatives { hessian, hessian_g, log_det, pwrss: matrix()?, log_det_xx: matrix()? })
}

fn write_matrix(matrix: &DMatrix<f64>, to: &mut FrameWriter<'_>) -> io::Result<()> {
    to.u64(matrix.nrows() as u64)?;
    to.f64s(matrix.as_slice())
}

fn read_matrix(from: &mut FrameReader<'_>) -> Result<DMatrix<f64>, Broken> {
    let (rows, values) = (from.usize()?, from.f64s()?);
    if values.is_empty() {
        return Ok(DMatrix::zeros(rows, 0));
    }
    match rows > 0 && values.len().is_multiple_of(rows) {
        true => Ok(DMatrix::from_vec(rows, values.len() / rows, values)),
        false => Err(Broken::Damaged("a matrix lacks numbers")),
    }
}
