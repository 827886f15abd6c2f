//! How the terminal wants to be drawn on.

/// How to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Use the terminal's colours.
    pub colour: bool,
    /// Use nothing but ASCII.
    pub ascii: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { colour: true, ascii: false }
    }
}

impl Options {
    /// Reads the wishes of the environment through `variable`, which looks up a variable by name.
    ///
    /// No colour if `NO_COLOR` is set and not empty (<https://no-color.org>) or `TERM` is `dumb`; ASCII if the locale
    /// is set and is not UTF-8.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_some_and(|term| term == "dumb");
        // The order in which setlocale(3) looks.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let foreign = locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            !locale.contains("utf-8") && !locale.contains("utf8")
        });
        Self { colour: set("NO_COLOR").is_none() && !dumb, ascii: foreign || dumb }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(environment: &[(&str, &str)], colour: bool, ascii: bool) {
        let options = Options::from_environment(|name| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        assert_eq!(options, Options { colour, ascii });
    }

    #[test]
    fn the_environment_is_heard() {
        check(&[], true, false);
        check(&[("NO_COLOR", "1")], false, false);
        check(&[("NO_COLOR", "")], true, false);
        check(&[("LANG", "C")], true, true);
        check(&[("LANG", "C"), ("LC_ALL", "C.UTF-8")], true, false);
        check(&[("LANG", "de_DE.utf8")], true, false);
        check(&[("TERM", "dumb")], false, true);
    }
}
