//! A simulated study with the shape of the Television School and Family Smoking Prevention and
//! Cessation Project: 1,600 students in 135 classrooms in 28 schools, with schools randomised to a
//! classroom curriculum (SC) and to television (TV) in a 2×2 design.
//!
//! Only the shape and the order of magnitude of the parameters are those of the real study; no values are.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use std::fmt::Write as _;

/// Number of students.
pub const STUDENTS: usize = 1600;
/// Number of classrooms.
pub const CLASSES: usize = 135;
/// Number of schools.
pub const SCHOOLS: usize = 28;

/// True fixed effects: intercept, PTHK, SC, TV.
pub const BETA: [f64; 4] = [1.7, 0.3, 0.5, 0.1];
/// True standard deviation of the school effects u_s.
pub const SD_SCHOOL: f64 = 0.25;
/// True standard deviation of the classroom effects v_cs.
pub const SD_CLASS: f64 = 0.3;
/// True residual standard deviation.
pub const SD_STUDENT: f64 = 1.25;

/// The study, one entry per student.
#[derive(Clone, Debug, PartialEq)]
pub struct SmokingStudy {
    /// Number of the row, from 1.
    pub student: Vec<i64>,
    /// School, a number of three digits.
    pub school: Vec<i64>,
    /// Classroom, `1000·school + k`: unique across schools.
    pub class: Vec<i64>,
    /// Whether the school has the social-resistance curriculum.
    pub sc: Vec<i64>,
    /// Whether the school has the television programme.
    pub tv: Vec<i64>,
    /// Knowledge score before, 0 to 6.
    pub pthk: Vec<i64>,
    /// Knowledge score after (the response), to four decimals, not truncated to the range of scores.
    pub thk: Vec<f64>,
}

/// Simulates the study.
pub fn smoking_prevention(seed: u64) -> SmokingStudy {
    let mut rng = StdRng::seed_from_u64(seed);
    let ids = school_ids(&mut rng);
    let mut arms: Vec<usize> = (0..SCHOOLS).map(|s| s % 4).collect();
    arms.shuffle(&mut rng);

    // 2 to 9 classrooms per school, 1 to 28 students per classroom
    let classes = spread(&mut rng, CLASSES, &[2; SCHOOLS], 9);
    let mut least = [1; CLASSES];
    least[3..].fill(4);
    let sizes = spread(&mut rng, STUDENTS, &least, 28);

    let mut study = SmokingStudy {
        student: (1..=STUDENTS as i64).collect(),
        school: vec![],
        class: vec![],
        sc: vec![],
        tv: vec![],
        pthk: vec![],
        thk: vec![],
    };
    // Shuffle, so that the smallest classrooms can be anywhere.
    let mut sizes = sizes;
    sizes.shuffle(&mut rng);
    let mut size = sizes.into_iter();
    for s in 0..SCHOOLS {
        let u = SD_SCHOOL * rng.sample::<f64, _>(StandardNormal);
        let (sc, tv) = ((arms[s] % 2) as i64, (arms[s] / 2) as i64);
        for k in 1..=classes[s] {
            let v = SD_CLASS * rng.sample::<f64, _>(StandardNormal);
            for _ in 0..size.next().expect("as many sizes as classrooms") {
                let pthk = (0..6).filter(|_| rng.random_range(0.0..1.0) < 0.35).count() as i64;
                let fixed = BETA[0] + BETA[1] * pthk as f64 + BETA[2] * sc as f64 + BETA[3] * tv as f64;
                let thk = fixed + u + v + SD_STUDENT * rng.sample::<f64, _>(StandardNormal);
                study.school.push(ids[s]);
                study.class.push(1000 * ids[s] + k as i64);
                study.sc.push(sc);
                study.tv.push(tv);
                study.pthk.push(pthk);
                study.thk.push((thk * 1e4).round() / 1e4);
            }
        }
    }
    study
}

/// Draws distinct three-digit numbers, in increasing order.
fn school_ids(rng: &mut StdRng) -> Vec<i64> {
    let mut ids: Vec<i64> = (193..=515).collect();
    ids.shuffle(rng);
    ids.truncate(SCHOOLS);
    ids.sort_unstable();
    ids
}

/// Distributes `total` at random over places, each of which gets between its `least` and `most`.
fn spread(rng: &mut StdRng, total: usize, least: &[usize], most: usize) -> Vec<usize> {
    let mut sizes = least.to_vec();
    while sizes.iter().sum::<usize>() < total {
        let at = rng.random_range(0..sizes.len());
        if sizes[at] < most {
            sizes[at] += 1;
        }
    }
    sizes
}

impl SmokingStudy {
    /// Formats the study as CSV.
    pub fn to_csv(&self) -> String {
        let mut text = String::from("student,school,class,SC,TV,PTHK,THK\n");
        for i in 0..self.student.len() {
            let (sc, tv, pthk) = (self.sc[i], self.tv[i], self.pthk[i]);
            let (student, school, class) = (self.student[i], self.school[i], self.class[i]);
            writeln!(text, "{student},{school},{class},{sc},{tv},{pthk},{:?}", self.thk[i]).expect("a string");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_study_has_the_shape_of_the_real_one() {
        let study = smoking_prevention(1);
        let distinct = |ids: &[i64]| ids.iter().collect::<BTreeSet<_>>().len();
        assert_eq!((study.thk.len(), distinct(&study.class), distinct(&study.school)), (STUDENTS, CLASSES, SCHOOLS));
        assert!(study.class.iter().zip(&study.school).all(|(c, s)| c / 1000 == *s));
        assert_eq!(study, smoking_prevention(1));
        let treated: BTreeSet<_> =
            study.school.iter().zip(&study.sc).filter(|(_, sc)| **sc == 1).map(|(s, _)| s).collect();
        assert_eq!(treated.len(), SCHOOLS / 2);
    }
}
