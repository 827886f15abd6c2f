//! Pages that need nothing but themselves: no script, no font, no image from elsewhere. They follow the reader's choice
//! of dark or light, fit a phone, and print.
//!
//! # Layout
//! - [`plot`]: plots as inline SVG
//! - `page.css`: how all of it looks; colours are chosen there alone

pub mod plot;

use std::fmt;

use crate::visible;

/// A whole page.
#[derive(Debug)]
pub struct Page<'a> {
    /// Its title, as text.
    pub title: &'a str,
    /// What is in it, as HTML.
    pub body: &'a str,
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The policy makes the browser hold the page to its promise.
        write!(
            f,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
             <meta name=\"color-scheme\" content=\"light dark\"/>\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n\
             <title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
            escape(self.title),
            include_str!("html/page.css"),
            self.body
        )
    }
}

/// Text as it stands within an element or between quotation marks.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\n' => escaped.push(c),
            // Controls are not allowed in XML, and a change of direction goes on beyond what it came with.
            c => visible::push(&mut escaped, c),
        }
    }
    escaped
}

/// A table; the cells are HTML. It scrolls sideways by itself where it is too wide.
pub fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let cells = |row: &[String], tag: &str| -> String {
        let cell = |(column, cell): (usize, &String)| match column {
            0 => format!("<th scope=\"row\">{cell}</th>"),
            _ => format!("<{tag}>{cell}</{tag}>"),
        };
        row.iter().enumerate().map(cell).collect()
    };
    let rows: String = rows.iter().map(|row| format!("<tr>{}</tr>\n", cells(row, "td"))).collect();
    let head = cells(head, "th").replace("<th>", "<th scope=\"col\">").replace("\"row\"", "\"col\"");
    format!(
        "<div class=\"wide\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
}

/// An instant of Unix time as people write it, in UTC.
pub fn date(unix_s: u64) -> String {
    let (mut days, minutes) = (unix_s / 86_400, unix_s / 60);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    // A clock may say anything, and nobody reads of that.
    while days >= 365 + u64::from(is_leap(year)) && year < 9999 {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02} {:02}:{:02} UTC", days + 1, minutes / 60 % 24, minutes % 60)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Whether every element is closed in its turn, and nothing is loaded from anywhere.
    #[track_caller]
    pub(crate) fn check(page: &str) {
        let mut open: Vec<&str> = Vec::new();
        let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap_or(page);
        while let Some(start) = rest.find('<') {
            let end = start + rest[start..].find('>').unwrap();
            let tag = &rest[start + 1..end];
            rest = &rest[end + 1..];
            let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap().trim_end_matches('/');
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric()) && !name.is_empty(), "<{tag}>");
            assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
            match (tag.starts_with('/'), tag.ends_with('/')) {
                (true, _) => assert_eq!(open.pop(), Some(name), "</{name}> does not close what is open"),
                (false, false) => open.push(name),
                (false, true) => {}
            }
        }
        assert_eq!(open, Vec::<&str>::new(), "not closed");
        for outside in
            ["http://", "https://", "url(", "@import", "<script", "<link", "<img", "<iframe", " src="]
        {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(!page.contains("NaN") && !page.contains("inf\""), "a number that is none");
    }

    #[test]
    fn markup_in_text_is_only_text() {
        assert_eq!(escape("<b a=\"1\">&\u{1b}</b>"), "&lt;b a=&quot;1&quot;&gt;&amp;\\x1b&lt;/b&gt;");
        assert_eq!(escape("\u{202e}gpj\n"), "\\u{202e}gpj\n");
        let page = Page { title: "<script>", body: "<p>x</p>" }.to_string();
        check(&page);
    }

    #[test]
    fn dates_follow_the_calendar() {
        for (unix_s, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_798_761_599, "2026-12-31 23:59 UTC"),
            (1_798_761_600, "2027-01-01 00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(date(unix_s), text);
        }
        assert!(date(u64::MAX).starts_with("9999-12-"));
    }

    #[test]
    fn a_table_has_heads_for_rows_and_columns() {
        let table = table(&["a".into(), "b".into()], &[vec!["1".into(), "2".into()]]);
        check(&table);
        assert!(
            table.contains("<th scope=\"col\">b</th>")
                && table.contains("<th scope=\"row\">1</th><td>2</td>")
        );
    }
}
