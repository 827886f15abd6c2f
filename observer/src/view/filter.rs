//! The filter language of the lists: `port:443 wait>10ms !comm:nginx`. Text in, a test out; nothing else.
//!
//! A filter is words with blanks between them, and shows what all of them hold for. A word is a field with a value
//! (`:` finds a part of a text or an equal number, `=` the whole text, `<` `>` `<=` `>=` compare), or any text, which
//! is looked for in every field that is text. Around the operator there may be blanks. `!` before a word turns it round. What is unknown of a thing holds for no
//! word about it, turned round or not: a wait that nobody saw is neither above nor below 10 ms.
//!
//! # Layout
//! - [`bar`]: where it is typed, and what can be typed

pub(crate) mod bar;

use super::history::History;

/// What a field is, or one value of it. Durations are in nanoseconds.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(crate) enum Value {
    /// A quantity.
    Number(f64),
    /// A name.
    Text(String),
}

impl Value {
    /// A quantity.
    pub(crate) fn number(number: impl Into<f64>) -> Vec<Self> {
        vec![Self::Number(number.into())]
    }

    /// A count or a duration, if it is known. An f64 is exact up to 2^53, which is 104 days in nanoseconds.
    pub(crate) fn count(count: impl Into<Option<u64>>) -> Vec<Self> {
        count.into().map(|count| Self::Number(count as f64)).into_iter().collect()
    }

    /// Names, each of which may be the one that is looked for.
    pub(crate) fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        texts.into_iter().map(|text| Self::Text(text.to_lowercase())).collect()
    }
}

/// How the value of a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// One of these words, or its beginning.
    Word(&'static [&'static str]),
    /// A number: `443`, `1.5k`.
    Number,
    /// A duration: `800us`, `10ms`, `2s`.
    Duration,
}

impl Kind {
    /// How it is written, for the hint.
    fn example(self) -> String {
        match self {
            Self::Text => ":TEXT".to_owned(),
            Self::Word(words) => format!(":{}", words.join("|")),
            Self::Number => ":N <N >N".to_owned(),
            Self::Duration => ">10ms <2s".to_owned(),
        }
    }
}

/// One field that things of type `T` can be filtered by.
#[derive(Debug)]
pub(crate) struct Field<T: 'static> {
    /// Its name before the colon.
    pub name: &'static str,
    /// How its value is written.
    pub kind: Kind,
    /// What it is.
    pub meaning: &'static str,
    /// Its values: one of them has to fit. None when it is unknown.
    pub values: fn(&T, &History) -> Vec<Value>,
}

/// What is wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The column of the word that is wrong.
    pub at: usize,
    /// Why, and what would be right.
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    /// A part of it, or equal.
    Has,
    /// All of it.
    Is,
    Below,
    Above,
    AtMost,
    AtLeast,
}

/// Operators, longer ones before those that they begin with.
const TESTS: [(&str, Test); 6] = [
    ("<=", Test::AtMost),
    (">=", Test::AtLeast),
    (":", Test::Has),
    ("=", Test::Is),
    ("<", Test::Below),
    (">", Test::Above),
];

#[derive(Debug)]
struct Word<T: 'static> {
    /// None: any field that is text.
    field: Option<&'static Field<T>>,
    test: Test,
    value: Value,
    turned: bool,
}

/// A filter that can be asked.
#[derive(Debug)]
pub(crate) struct Filter<T: 'static> {
    words: Vec<Word<T>>,
    fields: &'static [Field<T>],
}

impl<T> Filter<T> {
    /// Reads a filter over these fields.
    pub(crate) fn parse(text: &str, fields: &'static [Field<T>]) -> Result<Self, Wrong> {
        let mut words = Vec::new();
        for word in split(text, fields) {
            let wrong = |why| Wrong { at: text[..word.start].chars().count(), why };
            words.push(parse_word(&word.without_blanks(text), fields).map_err(wrong)?);
        }
        Ok(Self { words, fields })
    }

    /// Whether it asks for nothing, so that everything is shown.
    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether all its words hold.
    pub(crate) fn holds(&self, thing: &T, history: &History) -> bool {
        self.words.iter().all(|word| {
            let values = match word.field {
                Some(field) => (field.values)(thing, history),
                None => self
                    .fields
                    .iter()
                    .filter(|field| matches!(field.kind, Kind::Text | Kind::Word(_)))
                    .flat_map(|field| (field.values)(thing, history))
                    .collect(),
            };
            !values.is_empty()
                && values.iter().any(|value| fits(value, word.test, &word.value)) != word.turned
        })
    }
}

fn fits(value: &Value, test: Test, wanted: &Value) -> bool {
    match (value, wanted, test) {
        (Value::Text(value), Value::Text(wanted), Test::Has) => value.contains(wanted.as_str()),
        (_, _, Test::Has | Test::Is) => value == wanted,
        (_, _, Test::Below) => value < wanted,
        (_, _, Test::Above) => value > wanted,
        (_, _, Test::AtMost) => value <= wanted,
        (_, _, Test::AtLeast) => value >= wanted,
    }
}

/// Operators begin with one of these.
const OPERATORS: [char; 4] = [':', '=', '<', '>'];

/// Where in a text a word stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    start: usize,
    end: usize,
}

impl Place {
    fn without_blanks(&self, text: &str) -> String {
        text[self.start..self.end].split_whitespace().collect()
    }
}

/// The words of a text. What is written `wait > 10ms` is one.
fn split<T>(text: &str, fields: &[Field<T>]) -> Vec<Place> {
    let is_field = |name: &str| fields.iter().any(|field| field.name == name.trim_start_matches('!'));
    let mut words: Vec<Place> = Vec::new();
    for part in text.split_whitespace() {
        let start = part.as_ptr() as usize - text.as_ptr() as usize;
        let end = start + part.len();
        if let Some(last) = words.last_mut() {
            let before = last.without_blanks(text);
            let lacks_value = before.strip_suffix(OPERATORS).is_some_and(|name| {
                // Of `<=` the half is left.
                is_field(name.trim_end_matches(OPERATORS))
            });
            if lacks_value || is_field(&before) && part.starts_with(OPERATORS) {
                last.end = end;
                continue;
            }
        }
        words.push(Place { start, end });
    }
    words
}

fn parse_word<T>(word: &str, fields: &'static [Field<T>]) -> Result<Word<T>, String> {
    let (turned, word) = match word.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    if word.is_empty() {
        return Err("something has to follow the `!`".to_owned());
    }
    // Addresses have colons, too: it is a field only if a name stands before the first operator.
    let end = word.find(OPERATORS).unwrap_or(word.len());
    let (name, rest) = word.split_at(end);
    let Some((operator, test)) = TESTS.iter().find(|(operator, _)| rest.starts_with(operator)) else {
        return Ok(Word { field: None, test: Test::Has, value: Value::Text(word.to_lowercase()), turned });
    };
    let Some(field) = fields.iter().find(|field| field.name == name) else {
        if !name.chars().all(|letter| letter.is_ascii_alphabetic()) || name.is_empty() {
            let value = Value::Text(word.to_lowercase());
            return Ok(Word { field: None, test: Test::Has, value, turned });
        }
        let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        return Err(format!("there is no `{name}` here; there is {}", names.join(" ")));
    };
    let text = &rest[operator.len()..];
    if text.is_empty() {
        return Err(format!("`{name}{operator}` lacks its value: {}", field.kind.example()));
    }
    let value = parse_value(field.kind, text, *test).map_err(|why| format!("{name}: {why}"))?;
    Ok(Word { field: Some(field), test: *test, value, turned })
}

fn parse_value(kind: Kind, text: &str, test: Test) -> Result<Value, String> {
    let compares = !matches!(test, Test::Has | Test::Is);
    match kind {
        Kind::Text | Kind::Word(_) if compares => Err("a text has no order; write it with `:`".to_owned()),
        Kind::Text => Ok(Value::Text(text.to_lowercase())),
        Kind::Word(words) => {
            let text = text.to_lowercase();
            if !words.iter().any(|word| word.contains(text.as_str())) {
                return Err(format!("`{text}` is none of {}", words.join(" ")));
            }
            Ok(Value::Text(text))
        }
        Kind::Number => scaled(text, &[("", 1.0), ("k", 1e3), ("M", 1e6)])
            .map(Value::Number)
            .ok_or_else(|| format!("`{text}` is no number")),
        Kind::Duration => scaled(text, &[("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)])
            .map(Value::Number)
            .ok_or_else(|| format!("`{text}` is no duration; write 800us, 10ms or 2s")),
    }
}

/// A number with its unit.
fn scaled(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (_, scale) = units.iter().find(|(known, _)| *known == unit)?;
    // What parse() takes beside digits and points, such as `inf`, does not come this far.
    Some(number.parse::<f64>().ok()? * scale)
}

/// What can follow, for somebody who is typing.
pub(crate) fn hint<T>(text: &str, fields: &'static [Field<T>]) -> String {
    let last = last_word(text, fields);
    let last = last.as_str();
    let named =
        |field: &&Field<T>| last.strip_prefix(field.name).is_some_and(|rest| rest.starts_with(OPERATORS));
    if let Some(field) = fields.iter().find(named) {
        return format!("{}{}  {}", field.name, field.kind.example(), field.meaning);
    }
    let names: Vec<&str> =
        fields.iter().map(|field| field.name).filter(|name| name.starts_with(last)).collect();
    match names.as_slice() {
        [] => "any text: an address, a name, a state".to_owned(),
        [only] => fields
            .iter()
            .find(|field| field.name == *only)
            .map_or_else(String::new, |field| format!("{only}{}  {}", field.kind.example(), field.meaning)),
        several => several.join(" "),
    }
}

/// The name of a field that the last word begins, as far as all that begin so agree.
pub(crate) fn complete<T>(text: &str, fields: &'static [Field<T>]) -> Option<String> {
    let last = last_word(text, fields);
    let mut names = fields.iter().map(|field| field.name).filter(|name| name.starts_with(last.as_str()));
    let first = names.next().filter(|_| !last.is_empty())?;
    let (mut common, mut alone) = (first.len(), true);
    for name in names {
        common = first.bytes().zip(name.bytes()).take_while(|(one, other)| one == other).count().min(common);
        alone = false;
    }
    let rest = first.get(last.len()..common)?;
    Some(format!("{text}{rest}{}", if alone { ":" } else { "" }))
}

/// Where the word begins that is being typed. After a blank it is a new one, unless an operator would belong to the one
/// before, or it lacks its value.
fn last_start<T>(text: &str, fields: &[Field<T>]) -> usize {
    split(&format!("{text}:"), fields).last().map_or(0, |place| place.start)
}

fn last_word<T>(text: &str, fields: &[Field<T>]) -> String {
    let last = Place { start: last_start(text, fields), end: text.len() };
    last.without_blanks(text).trim_start_matches('!').to_owned()
}

#[cfg(test)]
mod tests;
