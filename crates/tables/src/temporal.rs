//! Dates and points in time: as numbers, days or seconds (UTC) since 1970-01-01; as labels, text whose
//! byte order is the chronological order.

use chrono::{DateTime, NaiveDate};
use polars::prelude::TimeUnit;

/// Returns how many units of a column of points in time make a second.
pub(crate) fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Nanoseconds => 1_000_000_000,
        TimeUnit::Microseconds => 1_000_000,
        TimeUnit::Milliseconds => 1_000,
    }
}

/// Formats a day, counted from 1970-01-01, as `2020-01-31`.
pub(crate) fn day(days: i64) -> String {
    let date = i32::try_from(days).ok().and_then(NaiveDate::from_epoch_days);
    date.map_or_else(|| format!("day {days}"), |date| date.to_string())
}

/// Formats a point in time, counted in some unit from 1970-01-01, as `2020-01-31 23:59:59`, with a
/// fraction of the second if it has one.
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
    fn days_and_times_are_formatted() {
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(18_292), "2020-01-31");
        assert_eq!(day(-1), "1969-12-31");
        assert_eq!(time(1_580_515_199, TimeUnit::Milliseconds), "1970-01-19 07:01:55.199");
        assert_eq!(time(1_580_515_199_000_000, TimeUnit::Microseconds), "2020-01-31 23:59:59");
        assert_eq!(time(-1, TimeUnit::Nanoseconds), "1969-12-31 23:59:59.999999999");
    }
}
