//! The table of the examples in this documentation.

use crate::table::Table;
use std::ops::Range;

/// 48 students of six schools: `score`, `pretest`, `sex`, `school`.
///
/// Each school adds a shift of its own to its students' scores, and every row a residual; both are
/// fixed numbers, so that the examples print the same everywhere.
pub fn schools() -> Table {
    schools_of(0..48)
}

/// Some rows of [`schools`].
pub fn schools_of(rows: Range<u32>) -> Table {
    let shifts = [-3.1, 2.4, 0.3, -1.2, 3.0, -1.4];
    let (mut score, mut pretest, mut sex, mut school) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let of = (row / 8) as usize;
        let before = 6.0 + f64::from((row * 7) % 11);
        let residual = f64::from((row * row * 5 + row * 3) % 13) / 4.0 - 1.5;
        pretest.push(before);
        sex.push(if row % 3 == 0 { "F" } else { "M" });
        school.push(["a", "b", "c", "d", "e", "f"][of]);
        score.push(4.0 + 1.1 * before + shifts[of] + residual);
    }
    Table::from_columns([
        ("score", score.into()),
        ("pretest", pretest.into()),
        ("sex", sex.into()),
        ("school", school.into()),
    ])
    .expect("columns of one length")
}
