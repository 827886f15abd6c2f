//! What is done to install something: values first, so that they can be shown, and tested, before they are done.

use std::{fmt, path::PathBuf};

use anyhow::{Result, bail};

use super::apt;
use crate::{
    exec,
    exit::{Exit, Kind},
    machine::Machine,
    privilege::{self, Privilege},
};

/// How something that is missing can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Remedy {
    /// By these steps, in this order.
    Steps(Vec<Step>),
    /// Only by the user, who is told this.
    ByHand(String),
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Install these packages with apt.
    Packages(Vec<String>),
    /// Unpack these packages, and what they need and this machine lacks, into a directory.
    Unpack {
        /// The packages.
        names: Vec<String>,
        /// The directory.
        place: PathBuf,
    },
    /// Run this as the user.
    Run {
        /// Variables to set.
        variables: Vec<(&'static str, String)>,
        /// Program and arguments.
        line: Vec<String>,
    },
    /// Run this as root.
    RunAsRoot(Vec<String>),
}

impl Step {
    /// A step that runs these words as the user.
    pub(super) fn run_line(line: &str) -> Self {
        Self::Run { variables: Vec::new(), line: line.split_whitespace().map(Into::into).collect() }
    }

    /// A step that installs these packages.
    pub(super) fn packages(names: &[&str]) -> Self {
        Self::Packages(names.iter().map(|name| (*name).to_owned()).collect())
    }

    /// A step that unpacks these packages.
    pub(super) fn unpack(names: &[&str], place: PathBuf) -> Self {
        Self::Unpack { names: names.iter().map(|name| (*name).to_owned()).collect(), place }
    }

    /// Does it.
    pub(super) fn run(&self, machine: &dyn Machine) -> Result<()> {
        match self {
            Self::Packages(names) => apt::install(machine, names),
            Self::Unpack { names, place } => apt::unpack(machine, names, place),
            Self::RunAsRoot(line) => run_as_root(machine, line, &[]),
            Self::Run { variables, line } => {
                let [program, arguments @ ..] = line.as_slice() else { bail!("a step without a program") };
                let mut command = exec::command(program);
                command.args(arguments).envs(variables.iter().map(|(name, value)| (name, value)));
                exec::run(&mut command)
            }
        }
    }
}

/// Runs it as root, and says so when that goes through sudo.
pub(super) fn run_as_root(machine: &dyn Machine, line: &[String], variables: &[(&str, &str)]) -> Result<()> {
    let privilege = privilege::detect(machine);
    match &privilege {
        Privilege::None(reason) => {
            let message = format!("`{}` needs root: {reason}", line.join(" "));
            return Err(Exit::new(Kind::Privilege, message).into());
        }
        Privilege::Sudo => eprintln!("setup: not root, so the next command goes through sudo"),
        Privilege::Root => {}
    }
    let words = variables.iter().map(|(name, value)| format!("{name}={value}")).chain(line.iter().cloned());
    exec::run(privilege::as_root(&privilege, "env").args(words))
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packages(names) => write!(f, "(as root) {} {}", apt::INSTALL, names.join(" ")),
            Self::Unpack { names, place } => {
                write!(
                    f,
                    "apt-get download {} and what they need, and dpkg -x each to {}",
                    names.join(" "),
                    place.display()
                )
            }
            Self::RunAsRoot(line) => write!(f, "(as root) {}", line.join(" ")),
            Self::Run { variables, line } => {
                for (name, value) in variables {
                    write!(f, "{name}={value} ")?;
                }
                f.write_str(&line.join(" "))
            }
        }
    }
}
