//! The format of the tables that the library writes.

use tiers_outputs::TableFormat;

/// Returns csv or, with the feature `files`, parquet.
pub(crate) fn format() -> &'static dyn TableFormat {
    #[cfg(not(feature = "files"))]
    {
        &crate::csv::Csv
    }
    #[cfg(feature = "files")]
    {
        &tiers_tables::Parquet
    }
}
