//! The way from a formula and a table to encoded rows, through the public interface.

mod encoding;
mod resolving;
mod table;
