//! What the command lines of both programs have in common: numbers that are wrong are told as numbers.

use std::ops::RangeInclusive;

use clap::builder::RangedI64ValueParser;
use clap::{Arg, Command, Parser};

use crate::settings::LIMITS;
use crate::visible;

/// Reads the command line. What is wrong with it is said as clap says it, and ends the process; but what was typed, which
/// may be the name of a file that somebody else made, is not obeyed by the terminal.
pub fn read<T: Parser>() -> T {
    let words = with_negative_numbers(T::command()).try_get_matches();
    words.and_then(|words| T::from_arg_matches(&words)).unwrap_or_else(|error| {
        if std::env::args_os().any(|word| word.to_string_lossy().contains(visible::is_obeyed)) {
            // Without colours, which would not be told from what was typed.
            visible::say(error.to_string().trim_end());
            std::process::exit(error.exit_code());
        }
        error.exit()
    })
}

/// Takes what follows an option and begins with a dash for a value where it can be meant as one: the error is then about
/// the number, and not about an option `-1` that there is not.
#[must_use]
pub fn with_negative_numbers(command: Command) -> Command {
    let argument = |argument: Arg| {
        let names = argument.get_value_names().unwrap_or_default();
        let is_duration = names.iter().any(|name| *name == "DURATION");
        match argument.get_action().takes_values() {
            // `-5s` is no number.
            true if is_duration => argument.allow_hyphen_values(true),
            true => argument.allow_negative_numbers(true),
            false => argument,
        }
    };
    command.mut_args(argument).mut_subcommands(|subcommand| subcommand.mut_args(argument))
}

/// Parses a setting within its limits; see [`LIMITS`].
pub fn setting<T: TryFrom<i64> + Clone + Send + Sync>(name: &str) -> RangedI64ValueParser<T> {
    let row = LIMITS.iter().find(|(known, _)| *known == name);
    let range = row.map_or(0..=u64::from(u32::MAX), |(_, range)| range.clone());
    let [first, last] = [*range.start(), *range.end()].map(|end| i64::try_from(end).unwrap_or(i64::MAX));
    RangedI64ValueParser::new().range::<RangeInclusive<i64>>(first..=last)
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;

    use super::*;

    fn error(words: &[&str]) -> String {
        let command = Command::new("test").subcommand(
            Command::new("go")
                .arg(Arg::new("backlog").long("backlog").value_parser(setting::<u32>("backlog")))
                .arg(
                    Arg::new("time").long("time").value_name("DURATION").value_parser(crate::duration::parse),
                )
                .arg(Arg::new("json").long("json").action(ArgAction::SetTrue)),
        );
        let words = ["test", "go"].iter().chain(words);
        match with_negative_numbers(command).try_get_matches_from(words) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_out_of_range_is_told_with_the_range() {
        for value in ["-1", "65536", "99999999999999999999"] {
            let error = error(&["--backlog", value]);
            assert!(error.contains(&format!("invalid value '{value}' for '--backlog")), "{error}");
        }
        assert!(error(&["--backlog", "-1"]).contains("-1 is not in 0..=65535"));
        assert!(error(&["--time", "-5s"]).contains("'-5s' is not a duration"));
        assert_eq!(error(&["--backlog", "65535", "--time", "5s", "--json"]), "");
        assert!(error(&["--backlog", "--json"]).contains("a value is required"), "a flag is no value");
    }
}
