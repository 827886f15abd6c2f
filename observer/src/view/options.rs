//! How the terminal wants to be drawn on.

use super::styles::themes::{Depth, Theme};

/// How to draw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Which colours.
    pub theme: Theme,
    /// How many colours the terminal has.
    pub depth: Depth,
    /// Use nothing but ASCII.
    pub ascii: bool,
}

impl Options {
    /// Reads the wishes of the environment through `variable`, which looks up a variable by name; a theme that somebody
    /// asked for outweighs them.
    ///
    /// No colour if `NO_COLOR` is set and not empty (<https://no-color.org>) or `TERM` is `dumb`; otherwise as many as
    /// `COLORTERM` and `TERM` promise. ASCII if the locale is set and is not UTF-8.
    pub fn from_environment(theme: Option<Theme>, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default();
        let dumb = term == "dumb";
        // The order in which setlocale(3) looks.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let foreign = locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            !locale.contains("utf-8") && !locale.contains("utf8")
        });
        let depth = match set("COLORTERM").as_deref() {
            _ if dumb || set("NO_COLOR").is_some() && theme.is_none() => Depth::None,
            Some("truecolor" | "24bit") => Depth::Full,
            _ if term.contains("direct") => Depth::Full,
            _ if term.contains("256color") => Depth::Indexed,
            _ => Depth::Sixteen,
        };
        Self { theme: theme.unwrap_or_default(), depth, ascii: foreign || dumb }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(environment: &[(&str, &str)], depth: Depth, ascii: bool) {
        let options = Options::from_environment(None, |name| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        assert_eq!(options, Options { depth, ascii, theme: Theme::default() });
    }

    #[test]
    fn the_environment_is_heard() {
        check(&[], Depth::Sixteen, false);
        check(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")], Depth::None, false);
        check(&[("NO_COLOR", "")], Depth::Sixteen, false);
        check(&[("TERM", "xterm-256color")], Depth::Indexed, false);
        check(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")], Depth::Full, false);
        check(&[("LANG", "C")], Depth::Sixteen, true);
        check(&[("LANG", "C"), ("LC_ALL", "C.UTF-8")], Depth::Sixteen, false);
        check(&[("LANG", "de_DE.utf8")], Depth::Sixteen, false);
        check(&[("TERM", "dumb")], Depth::None, true);
    }

    #[test]
    fn a_theme_outweighs_no_color() {
        let theme = Theme::named("light");
        let options = Options::from_environment(theme, |name| (name == "NO_COLOR").then(|| "1".to_owned()));
        assert_eq!((Some(options.theme), options.depth), (theme, Depth::Sixteen));
    }
}
