//! What a filter lets through, and what it says of one that cannot be read.

use ratatui::crossterm::event::KeyCode;

use super::*;

struct Thing(&'static str, f64, Option<u64>);

const FIELDS: &[Field<Thing>] = &[
    Field { name: "port", kind: Kind::Number, meaning: "", values: |thing, _| Value::number(thing.1) },
    Field { name: "wait", kind: Kind::Duration, meaning: "", values: |thing, _| Value::count(thing.2) },
    Field { name: "comm", kind: Kind::Text, meaning: "", values: |thing, _| Value::texts([thing.0]) },
    Field {
        name: "state",
        kind: Kind::Word(&["idle", "queued"]),
        meaning: "",
        values: |thing, _| Value::texts([if thing.1 > 80.0 { "queued" } else { "idle" }]),
    },
];

const THINGS: &[Thing] =
    &[Thing("nginx", 443.0, Some(20_000_000)), Thing("sshd", 22.0, None), Thing("Envoy", 80.0, Some(900))];

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let filter = Filter::parse(text, FIELDS).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
    let history = History::default();
    let found: Vec<&str> =
        THINGS.iter().filter(|thing| filter.holds(thing, &history)).map(|thing| thing.0).collect();
    assert_eq!(found, expected, "{text}");
}

#[track_caller]
fn wrong(text: &str, at: usize, part: &str) {
    let wrong = Filter::parse(text, FIELDS).err().unwrap_or_else(|| panic!("{text} is accepted"));
    assert!(wrong.at == at && wrong.why.contains(part), "{text}: {wrong:?}");
}

#[test]
fn all_words_have_to_hold() {
    check("", &["nginx", "sshd", "Envoy"]);
    check("port:443", &["nginx"]);
    check("  port>=80   wait<1ms ", &["Envoy"]);
    check("port<=80", &["sshd", "Envoy"]);
    check("wait>10ms", &["nginx"]);
    check("wait>.5us wait<1.5us", &["Envoy"]);
    check("state:queued", &["nginx"]);
    check("state:idle port>22", &["Envoy"]);
}

#[test]
fn blanks_around_an_operator_change_nothing() {
    for text in
        ["wait > 10ms", "wait >10ms", "wait> 10ms", "port:443 wait  >  10ms", "wait > 10ms port = 443"]
    {
        check(text, &["nginx"]);
    }
    check("!port : 443", &["sshd", "Envoy"]);
    check("port <= 80 wait < 1ms", &["Envoy"]);
    check("comm = envoy", &["Envoy"]);
    // What is no field is text, and what begins with a colon an address.
    check("nginx :443", &[]);
    check("nginx ::1", &[]);
    wrong("port:22 wait > 10", 8, "write 800us, 10ms or 2s");
    wrong("ü wait >", 2, "lacks its value");
    wrong("wait > > 1ms", 0, "no duration");
}

#[test]
fn text_is_found_in_any_case_and_in_part() {
    check("comm:env", &["Envoy"]);
    check("comm=env", &[]);
    check("comm=ENVOY", &["Envoy"]);
    check("ss", &["sshd"]);
    check("!n", &["sshd"]);
    check("10.0.0.1:80", &[]);
    check("[::1]:80", &[]);
}

#[test]
fn what_is_unknown_is_neither_above_nor_below() {
    check("wait>0ns", &["nginx", "Envoy"]);
    check("!wait>0ns", &[]);
    check("!wait>1ms", &["Envoy"]);
}

#[test]
fn errors_say_where_and_what_would_be_right() {
    wrong("port:22 wait>10", 8, "write 800us, 10ms or 2s");
    wrong("wait>10m", 0, "no duration");
    wrong("port:x", 0, "`x` is no number");
    wrong("port:1.2.3", 0, "no number");
    wrong("port:-1", 0, "no number");
    wrong("port:inf", 0, "no number");
    wrong("tid:7", 0, "there is port wait comm state");
    wrong("port:", 0, "lacks its value");
    wrong("ü !", 2, "follow");
    wrong("comm>a", 0, "no order");
    wrong("state:gone", 0, "none of idle queued");
}

#[test]
fn no_text_is_too_odd() {
    for text in ["::", "!!", ">", "<=", "port:99999999999999999999999999", "é:é", "\u{301}:", "wait>.", "k:"]
    {
        let _ = Filter::parse(text, FIELDS);
        let _ = (hint(text, FIELDS), complete(text, FIELDS));
    }
}

#[test]
fn who_types_is_told_what_can_follow() {
    assert_eq!(hint("", FIELDS), "port wait comm state");
    assert_eq!(hint("port:1 !co", FIELDS), "comm:TEXT  ");
    assert_eq!(hint("state:", FIELDS), "state:idle|queued  ");
    assert_eq!(hint("port:1 wait ", FIELDS), hint("wait", FIELDS));
    assert_eq!(hint("wait > ", FIELDS), "wait>10ms <2s  ");
    assert_eq!(hint("wait > 1ms ", FIELDS), "port wait comm state");
    assert_eq!(hint("zzz", FIELDS), "any text: an address, a name, a state");
    assert_eq!(complete("port:1 w", FIELDS).as_deref(), Some("port:1 wait:"));
    assert_eq!(complete("x", FIELDS), None);
    assert_eq!(complete("", FIELDS), None);
}

#[test]
fn what_is_not_finished_does_not_filter_yet() {
    let mut bar = bar::FilterBar::new(FIELDS);
    let mut shown = |keys: &str| -> usize {
        for key in keys.chars() {
            let key = if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) };
            assert!(bar.key(key.into()));
        }
        THINGS.iter().filter(|thing| bar.holds(thing, &History::default())).count()
    };
    assert_eq!(shown("/n"), 2);
    assert_eq!(shown(" port"), 2);
    assert_eq!(shown(":443"), 1);
    assert_eq!(shown(" wait>"), 1);
    assert_eq!(shown("1s"), 0);
    assert_eq!(shown("\n"), 0);
    // Nor does it for a moment look for the text `wait`.
    assert_eq!(["/ wait", " ", ">", " ", "1s"].map(&mut shown), [0; 5]);
    assert_eq!(shown("\n"), 0);
    assert!(!bar.is_typing());
    assert!(bar.key(KeyCode::Esc.into()) && !bar.is_active() && bar.rows() == 0);
    // A wrong one does not end the typing, and Esc brings back what was there.
    bar.set("port:22");
    for key in ['/', 'x'] {
        bar.key(KeyCode::Char(key).into());
    }
    bar.key(KeyCode::Enter.into());
    assert!(bar.is_typing());
    bar.key(KeyCode::Esc.into());
    assert!(!bar.is_typing() && bar.holds(&THINGS[1], &History::default()));
    assert!(!bar.holds(&THINGS[0], &History::default()));
}
