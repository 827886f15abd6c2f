//! A browser for the tests that look at pages. It needs no window, so one without is enough.

use super::{
    apt,
    requirements::{State, first_line},
    step::{Remedy, Step},
};
use crate::machine::Machine;

/// As the tests look for it (`observer/tests/pages/browser.rs`).
const PROGRAMS: [&str; 4] = ["chromium", "chromium-headless-shell", "chromium-browser", "google-chrome"];
/// Half as many packages as with windows; only newer releases of Debian have it.
const WITHOUT_WINDOWS: [&str; 1] = ["chromium-headless-shell"];

/// Looks for one.
pub(super) fn check(machine: &dyn Machine) -> State {
    let states = PROGRAMS.iter().map(|program| first_line(machine, program, &["--version"]));
    let found = states.into_iter().find(|state| matches!(state, State::Present(_)));
    found.unwrap_or_else(|| State::Missing(format!("none of {} runs", PROGRAMS.join(", "))))
}

/// How to get one.
pub(super) fn remedy(machine: &dyn Machine) -> Remedy {
    let offered = apt::offers(machine, &WITHOUT_WINDOWS);
    Remedy::Steps(vec![Step::packages(if offered { &WITHOUT_WINDOWS } else { &["chromium"] })])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::scripted::Scripted;

    #[test]
    fn any_of_them_will_do() {
        let machine = Scripted::default().command("chromium-headless-shell --version", "Chromium 1\n");
        assert_eq!(check(&machine), State::Present("Chromium 1".into()));
    }

    #[test]
    fn the_smaller_package_is_preferred() {
        let line =
            "apt-get install -y --no-install-recommends --no-remove --simulate chromium-headless-shell";
        let new = Scripted::default().command(line, "");
        assert_eq!(remedy(&new), Remedy::Steps(vec![Step::packages(&WITHOUT_WINDOWS)]));
        assert_eq!(remedy(&Scripted::default()), Remedy::Steps(vec![Step::packages(&["chromium"])]));
    }
}
