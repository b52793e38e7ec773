//! Builds the polars queries: which files, which columns, which casts.

use std::path::Path;
use std::sync::Arc;

use polars::io::HiveOptions;
use polars::prelude::{
    CastColumnsPolicy, DslBuilder, ExtraColumnsPolicy, LazyFrame, ParquetOptions, PlRefPath, PlSmallStr, PolarsResult,
    ScanSources, Schema, UnifiedScanArgs,
};

use crate::paths::Format;

/// Name of the column in which the reader adds the path of each row's file, if requested.
pub(crate) const PATH_COLUMN: &str = "\u{1}path";

/// Queries the rows of files of one format, in the order of the files.
pub(crate) fn rows(
    paths: &[&Path],
    format: Format,
    schema: Option<&Schema>,
    with_path: bool,
) -> PolarsResult<LazyFrame> {
    let path_column = with_path.then(|| PlSmallStr::from_static(PATH_COLUMN));
    match format {
        Format::Parquet => {
            let options = ParquetOptions { schema: schema.map(|s| Arc::new(s.clone())), ..ParquetOptions::default() };
            let args = scan_args(path_column);
            Ok(DslBuilder::scan_parquet(sources(paths)?, options, args)?.build().into())
        }
        Format::Ipc => {
            let args = scan_args(path_column);
            LazyFrame::scan_ipc_sources(sources(paths)?, Default::default(), args)
        }
        Format::Csv => unreachable!("text files are read by tiers_csv"),
    }
}

/// Queries the rows of arrow files.
pub(crate) fn ipc(paths: &[&Path]) -> PolarsResult<LazyFrame> {
    rows(paths, Format::Ipc, None, false)
}

/// Returns the path in polars' notation, as it appears in [`PATH_COLUMN`].
pub(crate) fn polars_path(path: &Path) -> PolarsResult<PlRefPath> {
    PlRefPath::try_from_path(path)
}

fn sources(paths: &[&Path]) -> PolarsResult<ScanSources> {
    let paths: Vec<PlRefPath> = paths.iter().map(|p| polars_path(p)).collect::<PolarsResult<_>>()?;
    Ok(ScanSources::Paths(paths.into()))
}

/// Options of a scan: polars expands no globs and reads no hive partitions, because this crate does,
/// and widens columns whose types differ in width.
fn scan_args(path_column: Option<PlSmallStr>) -> UnifiedScanArgs {
    UnifiedScanArgs {
        hive_options: HiveOptions::new_disabled(),
        glob: false,
        include_file_paths: path_column,
        extra_columns_policy: ExtraColumnsPolicy::Ignore,
        cast_columns_policy: CastColumnsPolicy {
            integer_upcast: true,
            integer_to_float_cast: true,
            float_upcast: true,
            datetime_nanoseconds_downcast: true,
            datetime_milliseconds_upcast: true,
            datetime_convert_timezone: true,
            null_upcast: true,
            categorical_to_string: true,
            ..CastColumnsPolicy::ERROR_ON_MISMATCH
        },
        ..UnifiedScanArgs::default()
    }
}
