//! Frames as `observer/benches/frame.rs` measures them.

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::{bench::figure, exec, toolchain::BpfToolchain, workspace};

/// The parts of a screen's frames, each frame in milliseconds.
#[derive(Debug, Deserialize)]
pub(super) struct Parts {
    screen: String,
    events_ms: Vec<f64>,
    snapshot_ms: Vec<f64>,
    update_ms: Vec<f64>,
    draw_ms: Vec<f64>,
}

impl Parts {
    /// What is drawn of a frame.
    pub(super) fn drawn(&self) -> Vec<f64> {
        self.draw_ms.clone()
    }

    /// What the screen takes for a frame in all.
    pub(super) fn whole(&self) -> Vec<f64> {
        self.update_ms.iter().zip(&self.draw_ms).map(|(update, draw)| update + draw).collect()
    }

    /// The cells of its row in a table.
    pub(super) fn cells(&self) -> Vec<String> {
        let parts = [&self.events_ms, &self.snapshot_ms, &self.update_ms, &self.draw_ms];
        let medians = parts.map(|samples| format!("{:.3}", figure::median_of(samples)));
        [self.screen.clone()].into_iter().chain(medians).collect()
    }
}

/// Builds and runs the measurement.
pub(super) fn measure(toolchain: &BpfToolchain) -> Result<Vec<Parts>> {
    eprintln!("bench: frames");
    let mut cargo = workspace::cargo_with_bpf(toolchain);
    let text = exec::capture(cargo.args(["bench", "--quiet", "--package", "observer", "--bench", "frame"]))?;
    let parse = |line: &str| serde_json::from_str(line).with_context(|| format!("the bench wrote `{line}`"));
    let all: Vec<Parts> =
        text.lines().filter(|line| line.starts_with('{')).map(parse).collect::<Result<_>>()?;
    if all.is_empty() {
        bail!("the bench of frames wrote no figures");
    }
    Ok(all)
}

/// These parts of the frames, of the screen where they take longest.
pub(super) fn dearest(all: &[Parts], parts: fn(&Parts) -> Vec<f64>) -> Vec<f64> {
    let frames = all.iter().map(parts);
    frames.max_by(|one, two| figure::median_of(one).total_cmp(&figure::median_of(two))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dearest_screen_is_the_one_that_counts() {
        let parts = |draw_ms: Vec<f64>| Parts {
            screen: "Queues".into(),
            events_ms: vec![9.0; 3],
            snapshot_ms: vec![8.0; 3],
            update_ms: vec![1.0; 3],
            draw_ms,
        };
        let all = [parts(vec![1.0, 1.0, 9.0]), parts(vec![2.0, 2.0, 2.0])];
        assert_eq!(dearest(&all, Parts::drawn), [2.0, 2.0, 2.0]);
        assert_eq!(dearest(&all, Parts::whole), [3.0, 3.0, 3.0]);
        assert_eq!(all[0].cells(), ["Queues", "9.000", "8.000", "1.000", "1.000"]);
    }
}
