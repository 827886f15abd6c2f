//! `observer replay`: the screen, fed from a recording.

use anyhow::Result;

use crate::{
    cli,
    engine::{Engine, Stop},
    outputs::screen::{Screen, require_terminal},
    signals::{Signals, end_though_the_terminal_is_stuck},
    source::{playback::Playback, recorded::Recorded},
    terminal::writes::writing,
    visible::say,
};

/// Plays a recording on the screen until the user quits, or SIGINT, SIGTERM, SIGHUP or SIGQUIT comes.
pub(super) async fn run(options: cli::Replay) -> Result<()> {
    require_terminal()?;
    // Before the terminal is taken, so that what is wrong can be read.
    let recorded = Recorded::open_within(&options.file, options.sizes.into())?;
    let mut remarks = recorded.remarks();
    let mut stop = Stop::at_signal(Signals::of_a_screen()?);
    end_though_the_terminal_is_stuck()?;
    let mut screen = Screen::take(options.ascii, options.theme)?;
    if let Some(remark) = remarks.first() {
        screen.tell(Err(remark.clone()));
    }
    let mut engine = Engine::new(Playback::new(recorded, options.speed, !options.paused));
    engine.add(screen);
    let outcome = engine.run(&mut stop).await;
    // What is said from here on stands on the terminal as it was before.
    remarks.extend(engine.left_out());
    remarks.iter().for_each(|remark| writing(|| say(format_args!("observer: {remark}"))));
    outcome
}
