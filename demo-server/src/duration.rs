//! Durations as people write them: `200ms`, `5s`, `2m`.

use std::time::Duration;

/// The units, longest name first so that `ms` is not read as `m`.
const UNITS: &[(&str, u64)] = &[
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a whole number followed by `us`, `ms`, `s`, `m` or `h`.
///
/// The error is a sentence for the person who typed it.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let not_a_duration = || format!("'{text}' is not a duration; write it as 200ms, 5s or 2m");
    let (_, nanoseconds) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(not_a_duration)?;
    let number: u64 = number.parse().map_err(|_| not_a_duration())?;
    number
        .checked_mul(*nanoseconds)
        .map(Duration::from_nanos)
        .ok_or_else(|| format!("'{text}' is longer than this program can count"))
}

/// Writes nanoseconds with three significant digits and the unit that suits them: `43.9ms`.
#[must_use]
pub fn show_nanos(nanoseconds: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = nanoseconds as f64;
    let (value, unit) = match nanoseconds {
        0..1_000 => (value, "ns"),
        1_000..1_000_000 => (value / 1e3, "us"),
        1_000_000..1_000_000_000 => (value / 1e6, "ms"),
        _ => (value / 1e9, "s"),
    };
    let decimals = if value < 10.0 {
        2
    } else if value < 100.0 {
        1
    } else {
        0
    };
    format!("{value:.decimals$}{unit}")
}

/// Writes a duration so that [`parse`] reads it back.
#[must_use]
pub fn show(duration: Duration) -> String {
    let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let unit = UNITS.iter().rev().find(|(_, size)| nanoseconds.is_multiple_of(*size) && nanoseconds >= *size);
    match unit {
        Some((name, size)) => format!("{}{name}", nanoseconds / size),
        None => format!("{}us", nanoseconds / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, expected) in [
            ("200ms", Duration::from_millis(200)),
            ("5s", Duration::from_secs(5)),
            ("2m", Duration::from_secs(120)),
            ("1h", Duration::from_secs(3600)),
            ("7us", Duration::from_micros(7)),
            ("0s", Duration::ZERO),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
            assert_eq!(parse(&show(expected)), Ok(expected), "{text} shown and read again");
        }
    }

    #[test]
    fn refuses_the_rest_with_the_text_in_the_error() {
        for text in
            ["", "5", "s", "-1s", "1.5s", "5 s", "5S", "99999999999999999999s", "18446744073709551615h"]
        {
            let error = parse(text).unwrap_err();
            assert!(error.contains(&format!("'{text}'")), "{error}");
        }
    }

    #[test]
    fn shows_three_digits() {
        assert_eq!(show_nanos(999), "999ns");
        assert_eq!(show_nanos(43_980_000), "44.0ms");
        assert_eq!(show_nanos(1_230), "1.23us");
        assert_eq!(show_nanos(15_000_000_000), "15.0s");
    }
}
