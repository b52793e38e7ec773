//! Dates and points in time: as numbers they count days, or seconds of UTC, since 1970-01-01; as labels
//! they are written so that the order of the bytes is that of time.

use chrono::{DateTime, NaiveDate};
use polars::prelude::TimeUnit;

/// Units of a column of points in time in a second.
pub(crate) fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Nanoseconds => 1_000_000_000,
        TimeUnit::Microseconds => 1_000_000,
        TimeUnit::Milliseconds => 1_000,
    }
}

/// A day, counted since 1970-01-01, as `2020-01-31`.
pub(crate) fn day(days: i64) -> String {
    let date = i32::try_from(days).ok().and_then(NaiveDate::from_epoch_days);
    date.map_or_else(|| format!("day {days}"), |date| date.to_string())
}

/// A point in time, counted in some unit since 1970-01-01, as `2020-01-31 23:59:59`, with the fraction of
/// the second where there is one.
pub(crate) fn time(count: i64, unit: TimeUnit) -> String {
    let per_second = per_second(unit);
    let nanoseconds = count.rem_euclid(per_second) * (1_000_000_000 / per_second);
    let time = DateTime::from_timestamp(count.div_euclid(per_second), nanoseconds as u32);
    time.map_or_else(|| format!("time {count}"), |time| time.naive_utc().format("%Y-%m-%d %H:%M:%S%.f").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_the_order_of_time() {
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(18_292), "2020-01-31");
        assert_eq!(day(-1), "1969-12-31");
        assert_eq!(time(1_580_515_199, TimeUnit::Milliseconds), "1970-01-19 07:01:55.199");
        assert_eq!(time(1_580_515_199_000_000, TimeUnit::Microseconds), "2020-01-31 23:59:59");
        assert_eq!(time(-1, TimeUnit::Nanoseconds), "1969-12-31 23:59:59.999999999");
    }
}
