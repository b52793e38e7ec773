//! Data for the tests of several crates: tables in memory that deliver blocks, students in schools, the
//! rows of one partition, and simulated samples as tables with formulas. Not published.

mod cases;
mod filtered;
mod memory;
mod random;
mod sample;
mod shapes;
mod students;

pub use cases::{Cases, Refused};
pub use filtered::{Filtered, partition_labels};
pub use memory::{Memory, Values};
pub use random::Random;
pub use sample::table_of;
pub use shapes::samples;
pub use students::{MODELS, ModelSpec, plan, students};
