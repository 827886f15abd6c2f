//! `observer lab`: the list of labs, a guided run, and runs that only check.

use std::io::{self, BufRead as _, IsTerminal as _, Write};

use anyhow::{Context as _, Result, bail};

use crate::{
    cli,
    failure::Failure,
    kernel::origin,
    lab::{self, LABS, Lab},
    trial::{self, Verdict, json, text},
};

/// Lists, guides or checks, as was asked for.
pub(super) fn run(options: &cli::Lab) -> Result<()> {
    let named = options.name.as_deref().map(lab::expect).transpose().map_err(Failure::Usage)?;
    let mut out = io::stdout().lock();
    match named {
        None if options.check => check(&mut out, LABS.iter(), options),
        None => list(&mut out, options.json),
        Some(lab) if options.check || options.json => check(&mut out, [lab].into_iter(), options),
        Some(lab) => guide(&mut out, lab, options),
    }
}

fn list(out: &mut impl Write, as_json: bool) -> Result<()> {
    for lab in LABS {
        match as_json {
            true => json_line(out, lab)?,
            false => writeln!(out, "{}", text::row(lab))?,
        }
    }
    if !as_json {
        writeln!(out, "\n`observer lab NAME` guides through one, `observer lab --check` runs all.")?;
    }
    Ok(())
}

/// Runs without questions; what is outside its expectation is a failure of the command.
fn check<'a>(
    out: &mut impl Write,
    labs: impl Iterator<Item = &'static Lab> + 'a,
    options: &cli::Lab,
) -> Result<()> {
    let kernel = origin::release();
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for lab in labs {
        let result = trial::run(lab, options.patience);
        // Without the privileges, or without the kernel's help, the next one fails in the same way.
        if let Err(error) = &result
            && error.downcast_ref::<Failure>().is_some()
        {
            return result.map(drop);
        }
        match json::outcome(&result) {
            "passed" => passed += 1,
            "skipped" => skipped += 1,
            _ => failed += 1,
        }
        match options.json {
            true => json_line(out, &json::Run::new(lab, &kernel, &result))?,
            false => writeln!(out, "{}", text::line(lab, &result))?,
        }
        out.flush()?;
    }
    if !options.json && passed + failed + skipped > 1 {
        writeln!(out, "{passed} passed, {failed} failed, {skipped} skipped, on Linux {kernel}")?;
    }
    match failed {
        0 => Ok(()),
        1 => bail!("one lab failed, see above"),
        _ => bail!("{failed} labs failed, see above"),
    }
}

/// Explains, asks, runs, and shows. Only a person at a terminal is waited for.
fn guide(out: &mut impl Write, lab: &'static Lab, options: &cli::Lab) -> Result<()> {
    writeln!(out, "{}: {}\n", lab.name, lab.title)?;
    write!(out, "{}", text::wrapped(lab.setup, ""))?;
    writeln!(out, "\nQuestion")?;
    write!(out, "{}", text::wrapped(lab.question, "  "))?;
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        write!(out, "\nThink of an answer, then press Enter to see. ")?;
        out.flush()?;
        io::stdin().lock().read_line(&mut String::new()).context("cannot read from the terminal")?;
    }
    let verdict = trial::run(lab, options.patience)?;
    let figures = match &verdict {
        Verdict::Skipped(why) => {
            writeln!(out, "\nskipped: {why}")?;
            return Ok(());
        }
        Verdict::Ran(figures) => figures,
    };
    write!(out, "\nSeen on Linux {}\n{}", origin::release(), text::table(figures))?;
    for (head, body) in [("Why", lab.why), ("Try next", lab.next)] {
        write!(out, "\n{head}\n{}", text::wrapped(body, "  "))?;
    }
    if verdict.is_fine() { Ok(()) } else { bail!("{}: not everything is as expected, see above", lab.name) }
}

fn json_line(out: &mut impl Write, value: &impl serde::Serialize) -> Result<()> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(())
}
