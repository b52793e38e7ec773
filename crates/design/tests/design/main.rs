//! Tests of the public interface, from a formula and a table to encoded rows.

mod encoding;
mod resolving;
mod table;
mod z_matrix;
