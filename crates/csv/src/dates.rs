//! Dates and points in time in the notation of ISO 8601.

/// Days since 1970-01-01 of a date such as `2020-01-31`.
pub(crate) fn day(text: &[u8]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text else { return None };
    let (year, month, day) = (digits(&[y1, y2, y3, y4])?, digits(&[m1, m2])?, digits(&[d1, d2])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day == 0 || day > longest {
        return None;
    }
    // Count years from March, so that the leap day comes last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * month + 2) / 5 + day - 1;
    let (of_era, era) = (year.rem_euclid(400), year.div_euclid(400));
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// Microseconds since 1970-01-01 UTC of a point in time such as `2020-01-31T23:59:59.5Z`,
/// `2020-01-31 23:59` or `2020-01-31 23:59:59+01:00`. Without an offset, UTC is assumed.
pub(crate) fn microsecond(text: &[u8]) -> Option<i64> {
    let day = day(text.get(..10)?)?;
    let [b'T' | b't' | b' ', time @ ..] = &text[10..] else { return None };
    let (time, offset) = match time {
        [time @ .., b'Z' | b'z'] => (time, 0),
        [time @ .., sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let minutes = 60 * below(24, &[*h1, *h2])? + below(60, &[*m1, *m2])?;
            (time, if *sign == b'+' { minutes } else { -minutes })
        }
        time => (time, 0),
    };
    let [h1, h2, b':', m1, m2, seconds @ ..] = time else { return None };
    let minutes = 60 * below(24, &[*h1, *h2])? + below(60, &[*m1, *m2])?;
    let (seconds, fraction) = match seconds {
        [] => (0, 0),
        [b':', s1, s2] => (below(60, &[*s1, *s2])?, 0),
        [b':', s1, s2, b'.', fraction @ ..] => (below(60, &[*s1, *s2])?, micros(fraction)?),
        _ => return None,
    };
    let minute = day * 24 * 60 + minutes - offset;
    Some((minute * 60 + seconds) * 1_000_000 + fraction)
}

/// A fraction of a second in microseconds; further digits are dropped.
fn micros(fraction: &[u8]) -> Option<i64> {
    let mut six = [b'0'; 6];
    six.iter_mut().zip(fraction).for_each(|(to, &from)| *to = from);
    let fits = (1..=9).contains(&fraction.len()) && fraction.iter().all(u8::is_ascii_digit);
    digits(&six).filter(|_| fits)
}

fn below(bound: i64, text: &[u8]) -> Option<i64> {
    digits(text).filter(|&value| value < bound)
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |value, &byte| byte.is_ascii_digit().then(|| 10 * value + i64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_since_1970() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2000-02-29", 11_016),
            ("2020-01-31", 18_292),
            ("1900-03-01", -25_508),
            ("9999-12-31", 2_932_896),
        ] {
            assert_eq!(day(text.as_bytes()), Some(days), "{text}");
        }
        for text in ["2019-02-29", "1900-02-29", "2020-13-01", "2020-00-01", "2020-01-00", "2020-1-1", "20200131", "x"]
        {
            assert_eq!(day(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn points_in_time() {
        let second = 1_000_000;
        for (text, expected) in [
            ("1970-01-01T00:00:01Z", second),
            ("1970-01-01 00:01", 60 * second),
            ("2020-01-31 23:59:59", 1_580_515_199 * second),
            ("2020-01-31T23:59:59.25+01:00", (1_580_515_199 - 3600) * second + 250_000),
            ("1970-01-01T00:00:00.123456789-00:30", 1800 * second + 123_456),
        ] {
            assert_eq!(microsecond(text.as_bytes()), Some(expected), "{text}");
        }
        for text in ["2020-01-31", "2020-01-31T24:00", "2020-01-31 23", "2020-01-31 23:59:60", "2020-01-31 23:59:59."] {
            assert_eq!(microsecond(text.as_bytes()), None, "{text}");
        }
    }
}
