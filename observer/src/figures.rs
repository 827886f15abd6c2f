//! Figures as text: one way to write each kind of quantity, with widths that do not jump.

/// A duration with three significant digits and its unit, at most seven columns: `812 ns`, `1.23 µs`, `128 ms`.
pub(crate) fn duration(ns: u64) -> String {
    const UNITS: [(&str, f64); 3] = [("µs", 1e3), ("ms", 1e6), ("s", 1e9)];
    if ns < 1_000 {
        return format!("{ns} ns");
    }
    for (unit, size) in UNITS {
        let value = ns as f64 / size;
        // The bounds lie where rounding would add a digit.
        let text = match value {
            _ if value < 9.995 => format!("{value:.2}"),
            _ if value < 99.95 => format!("{value:.1}"),
            _ if value < 999.5 => format!("{value:.0}"),
            _ => continue,
        };
        return format!("{text} {unit}");
    }
    match ns as f64 / 1e9 {
        seconds if seconds < 9_999.5 => format!("{seconds:.0} s"),
        seconds if seconds < 3.6e6 => format!("{:.1} h", seconds / 3_600.0),
        seconds => format!("{:.0} d", seconds / 86_400.0),
    }
}

/// A duration, or a dash when there is none.
pub(crate) fn duration_or_dash(ns: Option<u64>) -> String {
    ns.map_or_else(|| "-".to_owned(), duration)
}

/// Events per second, at most five columns: `0`, `4.2`, `812`, `1.2k`, `12.3k`, `1.2M`.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        value if !value.is_finite() || value < 0.05 => "0".to_owned(),
        value if value < 9.95 => format!("{value:.1}"),
        value => compact(value),
    }
}

/// A count, at most five columns: `0`, `812`, `48.2k`, `1.2M`.
pub(crate) fn short(count: u64) -> String {
    compact(count as f64)
}

fn compact(value: f64) -> String {
    const UNITS: [(&str, f64); 5] = [("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12), ("P", 1e15)];
    if value < 999.5 {
        return format!("{value:.0}");
    }
    for (unit, size) in UNITS {
        let value = value / size;
        if value < 99.95 {
            return format!("{value:.1}{unit}");
        }
        if value < 999.5 {
            return format!("{value:.0}{unit}");
        }
    }
    "many".to_owned()
}

/// A whole number with thousands set off: `48,213`.
pub(crate) fn count(number: impl Into<i128>) -> String {
    let number: i128 = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes, at most eight columns: `18 B`, `1.2 KiB`, `34.1 MiB`.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if number < 1_024 {
        return format!("{number} B");
    }
    let mut value = number as f64 / 1_024.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    if value < 99.95 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

/// A part of one as per cent, at most six columns: `4.2 %`, `97.0 %`, `100 %`.
pub(crate) fn percent(part: f64) -> String {
    match part * 100.0 {
        value if !value.is_finite() => "-".to_owned(),
        value if value < 99.95 => format!("{value:.1} %"),
        value => format!("{value:.0} %"),
    }
}

/// Time since something, as a clock: `00:04:12`.
pub(crate) fn clock(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// A short time as minutes and seconds: `2:10`.
pub(crate) fn clock_short(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// A span of time as people say it: `30 s`, `5 min`.
pub(crate) fn span(ns: u64) -> String {
    match ns / 1_000_000_000 {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

/// `one thing`, `3 things`.
pub(crate) fn plural(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// A cause of refusals, or several that this kernel does not tell apart: `accept queue full (SYN) or another reason`.
pub(crate) fn cause(name: &str) -> String {
    // Two that differ only in the segment are one.
    let whole = name.replace("accept_queue_full_syn_or_ack", "accept_queue_full");
    let causes: Vec<&str> = whole
        .split("_or_")
        .map(|cause| match cause {
            "accept_queue_full_syn" => "accept queue full (SYN)",
            "accept_queue_full_ack" => "accept queue full (last ACK)",
            "accept_queue_full" => "accept queue full",
            "syn_queue_full" => "SYN queue full",
            "other" => "another reason",
            unknown => unknown,
        })
        .collect();
    causes.join(" or ")
}

/// "a", "a and b", "a, b and c".
pub(crate) fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        for (ns, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (9_994, "9.99 µs"),
            (9_996, "10.0 µs"),
            (99_960, "100 µs"),
            (999_499, "999 µs"),
            (999_500, "1.00 ms"),
            (128_400_000, "128 ms"),
            (999_500_000, "1.00 s"),
            (75_300_000_000, "75.3 s"),
            (7_200_000_000_000, "7200 s"),
            (36_000_000_000_000, "10.0 h"),
        ] {
            assert_eq!(duration(ns), text);
        }
    }

    #[test]
    fn nothing_is_wider_than_its_column() {
        for shift in 0..64 {
            for number in [(1_u64 << shift) - 1, 1 << shift, (1_u64 << shift) | 12_345] {
                assert!(duration(number).chars().count() <= 9, "{}", duration(number));
                assert!(short(number).chars().count() <= 5, "{}", short(number));
                assert!(rate(number as f64 / 16.0).chars().count() <= 5);
                assert!(bytes(number).chars().count() <= 8, "{}", bytes(number));
            }
        }
        for ns in (0..10_000_000_000_000_u64).step_by(123_456_789_012) {
            assert!(duration(ns).chars().count() <= 7, "{}", duration(ns));
        }
    }

    #[test]
    fn counts_and_rates() {
        assert_eq!(count(48_213_u64), "48,213");
        assert_eq!(count(-1_000), "-1,000");
        assert_eq!(count(999_u64), "999");
        assert_eq!(rate(0.01), "0");
        assert_eq!(rate(4.21), "4.2");
        assert_eq!(rate(1_234.0), "1.2k");
        assert_eq!(rate(f64::NAN), "0");
        assert_eq!(bytes(1_023), "1023 B");
        assert_eq!(bytes(1_024 * 1_024 - 1), "1.0 MiB");
        assert_eq!(percent(0.9996), "100 %");
        assert_eq!(clock(252_000_000_000), "00:04:12");
        assert_eq!(plural(1, "reader"), "1 reader");
    }

    #[test]
    fn causes_are_words() {
        assert_eq!(cause("accept_queue_full_syn"), "accept queue full (SYN)");
        assert_eq!(cause("accept_queue_full_syn_or_ack"), "accept queue full");
        assert_eq!(cause("accept_queue_full_syn_or_other"), "accept queue full (SYN) or another reason");
        let any = "accept_queue_full_syn_or_syn_queue_full_or_other";
        assert_eq!(cause(any), "accept queue full (SYN) or SYN queue full or another reason");
    }
}
