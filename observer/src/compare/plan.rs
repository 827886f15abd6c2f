//! What is run, and in which order: from what was typed, checked before anything starts.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use demo_server::{
    load::{self, Mode, Overrides, Profile},
    pattern::{self, PATTERNS, Pattern},
    settings::{Change, Settings},
};
use serde::{Serialize, Serializer};

use super::{figure::FIGURES, statistics};
use crate::{cli, failure::Failure};

/// Most repetitions: more add nothing that the test could tell.
pub const MOST_REPETITIONS: u32 = 30;

/// What is run.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// Each of them.
    #[serde(serialize_with = "ids")]
    pub patterns: Vec<&'static Pattern>,
    /// Under each of these.
    #[serde(serialize_with = "names")]
    pub profiles: Vec<&'static Profile>,
    /// How often.
    pub repetitions: u32,
    /// How long the load runs each time.
    #[serde(rename = "duration_ms", serialize_with = "millis")]
    pub duration: Duration,
    /// What the server does for a request, and with how many threads, in every pattern.
    pub settings: Settings,
    /// What replaces the parameters of every profile.
    pub overrides: Overrides,
}

/// One pattern under one profile in one round.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// From 1.
    pub round: u32,
    /// Place within the round, from 1.
    pub place: u32,
    /// What runs.
    pub pattern: &'static Pattern,
    /// Under which load.
    pub profile: &'static Profile,
}

impl Plan {
    /// Checks what was typed.
    ///
    /// # Errors
    /// [`Failure::Usage`] when something is unknown, out of range, or impossible with one of the profiles.
    pub fn new(options: &cli::Compare) -> Result<Self, Failure> {
        let patterns = match options.patterns.is_empty() {
            true => course(),
            false => each(&options.patterns, pattern::expect)?,
        };
        let profiles = match options.profiles.is_empty() {
            true => each(&["steady".to_owned()], load::profile::expect)?,
            false => each(&options.profiles, load::profile::expect)?,
        };
        twice("--pattern", patterns.iter().map(|pattern| pattern.id))?;
        twice("--profile", profiles.iter().map(|profile| profile.name))?;
        let comparisons = (patterns.len() - 1) * profiles.len() * FIGURES.len();
        let settings = Settings::default().with(&Change {
            workers: options.workers,
            backlog: options.backlog,
            work_us: options.work,
            sleep_us: options.sleep,
            ..Change::default()
        });
        let plan = Self {
            patterns,
            profiles,
            repetitions: match options.repeat {
                Some(repeat) => repeat,
                None => statistics::fewest_repetitions(comparisons.max(1)),
            },
            duration: options.duration,
            settings,
            overrides: Overrides { rate: options.rate, ..Overrides::default() },
        };
        plan.check().map_err(Failure::Usage)?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), String> {
        self.settings.check()?;
        // Any address of this machine does for the check; the port is not known yet.
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        for profile in &self.profiles {
            // A profile of bursts has a rate too, but of bursts.
            if self.overrides.rate.is_some() && profile.mode == Mode::Burst {
                return Err(format!("--rate is for open loops, and profile {} has bursts", profile.name));
            }
            load::Plan::new(target, profile.name, &self.load())
                .map_err(|why| format!("profile {}: {why}", profile.name))?;
        }
        Ok(())
    }

    /// The parameters of every load.
    pub fn load(&self) -> Overrides {
        Overrides { duration: Some(demo_server::duration::show(self.duration)), ..self.overrides.clone() }
    }

    /// What all others are compared with.
    pub fn baseline(&self) -> Option<&'static Pattern> {
        self.patterns.first().copied()
    }

    /// The runs, interleaved: each round has every pattern under every profile once. The next round begins one
    /// further, so that each has each place in turn; when all have had it, the direction changes, so that not always
    /// the same follows the same.
    pub fn runs(&self) -> Vec<Run> {
        let all = || {
            let under = |profile| self.patterns.iter().map(move |pattern| (*pattern, profile));
            self.profiles.iter().flat_map(move |profile| under(*profile))
        };
        let mut runs = Vec::new();
        for round in 0..self.repetitions {
            let mut cells: Vec<_> = all().collect();
            let count = cells.len().max(1);
            cells.rotate_left(round as usize % count);
            if round as usize / count % 2 == 1 {
                cells.reverse();
            }
            runs.extend((1..).zip(cells).map(|(place, (pattern, profile))| Run {
                round: round + 1,
                place,
                pattern,
                profile,
            }));
        }
        runs
    }

    /// How the runs are ordered, in a sentence.
    pub fn order(&self) -> String {
        let cells = self.patterns.len() * self.profiles.len();
        match (cells, self.repetitions) {
            (1, _) => "one run after the other".to_owned(),
            (_, 1) => "each once, in the order given".to_owned(),
            (_, rounds) => format!(
                "interleaved: {rounds} rounds with every run once, each round beginning one run further, the \
                 direction reversed after every {cells} rounds"
            ),
        }
    }
}

/// The patterns of the course, in its order.
fn course() -> Vec<&'static Pattern> {
    let mut patterns: Vec<_> = PATTERNS.iter().filter(|pattern| pattern.number.is_some()).collect();
    patterns.sort_by_key(|pattern| pattern.number);
    patterns
}

fn each<T>(names: &[String], expect: fn(&str) -> Result<T, String>) -> Result<Vec<T>, Failure> {
    names.iter().map(|name| expect(name).map_err(Failure::Usage)).collect()
}

fn twice(flag: &str, names: impl Iterator<Item = &'static str> + Clone) -> Result<(), Failure> {
    for (index, name) in names.clone().enumerate() {
        if names.clone().skip(index + 1).any(|other| other == name) {
            return Err(Failure::Usage(format!("{flag} {name} is there twice; to repeat it, use --repeat")));
        }
    }
    Ok(())
}

fn ids<S: Serializer>(patterns: &[&'static Pattern], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(patterns.iter().map(|pattern| pattern.id))
}

fn names<S: Serializer>(profiles: &[&'static Profile], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(profiles.iter().map(|profile| profile.name))
}

fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn plan(arguments: &str) -> Result<Plan, Failure> {
        let cli =
            cli::Cli::parse_from(["observer", "compare"].into_iter().chain(arguments.split_whitespace()));
        match cli.command {
            Some(cli::Command::Compare(options)) => Plan::new(&options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_said_is_the_course_as_often_as_it_takes() {
        let plan = plan("").unwrap();
        assert_eq!(plan.patterns.len(), 5);
        assert_eq!(plan.profiles[0].name, "steady");
        // Four against the first, eleven figures each.
        assert_eq!(plan.repetitions, statistics::fewest_repetitions(4 * FIGURES.len()));
    }

    #[test]
    fn rounds_are_rotated() {
        let plan = plan("--pattern 1 --pattern 5 --repeat 5").unwrap();
        let order: Vec<&str> = plan.runs().iter().map(|run| run.pattern.id).collect();
        let (a, b) = ("single-thread", "sharding");
        // Two rotations, then the same reversed, then from the start.
        assert_eq!(order, [a, b, b, a, b, a, a, b, a, b]);
        assert_eq!(plan.runs()[3].round, 2);
        assert_eq!(plan.runs()[3].place, 2);
    }

    #[test]
    fn every_cell_has_every_place_once_in_a_turn() {
        let plan = plan("--pattern 1 --pattern 2 --profile steady --profile burst --repeat 4").unwrap();
        let mut places: Vec<_> =
            plan.runs().iter().map(|run| (run.pattern.id, run.profile.name, run.place)).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 16);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (arguments, named) in [
            ("--pattern quantum", "unknown pattern 'quantum'"),
            ("--profile nope", "unknown profile 'nope'"),
            ("--pattern 1 --pattern single-thread", "single-thread is there twice"),
            ("--profile burst --profile burst", "burst is there twice"),
            ("--profile churn --rate 100", "churn is a closed loop"),
            ("--profile steady --profile burst --rate 100", "profile burst has bursts"),
            ("--rate 0", "rate 0 is out of range"),
            ("--duration 61m", "duration 61m is out of range"),
        ] {
            match plan(arguments) {
                Err(Failure::Usage(why)) => assert!(why.contains(named), "{arguments}: {why}"),
                other => panic!("{arguments}: {other:?}"),
            }
        }
    }
}
