//! Pictures as one picture that moves: an SVG with CSS alone, which shows wherever a picture shows.
//!
//! A picture has each of its elements on a line. One that stays for several frames is in the file once, in a group that is
//! visible for as long.

use std::{collections::BTreeMap, fmt::Write as _, ops::Range};

/// A second has so many frames.
const RATE: f64 = 2.0;
/// The last frame stays for so many more.
const REST: usize = 5;
/// Lines that every picture begins with: its size, and the background.
const HEAD: usize = 2;

/// The pictures one after the other, and again. `still` is the one for those who want no motion.
pub(crate) fn of(pictures: &[String], still: usize) -> String {
    let Some(first) = pictures.first() else { return String::new() };
    let frames = pictures.len() + REST;
    // What is behind a text comes before every text, whichever of them changes.
    let (mut behind, mut ink) = (BTreeMap::new(), BTreeMap::new());
    let shown: Vec<Vec<&str>> = pictures.iter().map(|picture| elements(picture)).collect();
    for (frame, lines) in shown.iter().enumerate() {
        for line in lines {
            let layer: &mut BTreeMap<_, Vec<&str>> = if is_behind(line) { &mut behind } else { &mut ink };
            let has = |frame: usize| shown.get(frame).is_some_and(|lines| lines.contains(line));
            if frame > 0 && has(frame - 1) {
                continue;
            }
            let end = (frame..).find(|next| !has(*next)).unwrap_or(frame);
            let end = if end == pictures.len() { frames } else { end };
            layer.entry((frame, end)).or_default().push(line);
        }
    }
    let head: Vec<&str> = first.lines().take(HEAD).collect();
    let mut svg = head.join("\n");
    svg.push_str("\n<style>\n.h{visibility:hidden}\n@media (prefers-reduced-motion:no-preference){\n");
    let mut times: Vec<(usize, usize)> = behind.keys().chain(ink.keys()).copied().collect();
    times.sort_unstable();
    times.dedup();
    for (from, to) in times.into_iter().filter(|(from, to)| to - from < frames) {
        rule(&mut svg, from..to, frames);
    }
    svg.push_str("}\n</style>\n");
    for ((from, to), lines) in behind.into_iter().chain(ink) {
        let hidden = if (from..to).contains(&still) { "" } else { " h" };
        let _ = match to - from < frames {
            true => writeln!(svg, "<g class=\"f{from}-{to}{hidden}\">"),
            false => writeln!(svg, "<g>"),
        };
        for line in lines {
            let _ = writeln!(svg, "{line}");
        }
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

fn elements(picture: &str) -> Vec<&str> {
    picture.lines().skip(HEAD).filter(|line| *line != "</svg>").collect()
}

/// The colour behind a text; shapes that are drawn in place of a text have an opacity.
fn is_behind(line: &str) -> bool {
    line.starts_with("<rect") && !line.contains("opacity=")
}

/// What makes a group visible in these frames of so many.
fn rule(svg: &mut String, shown: Range<usize>, frames: usize) {
    let Range { start, end } = shown;
    let name = format!("f{start}-{end}");
    let seconds = frames as f64 / RATE;
    let percent = |frame: usize| frame as f64 * 100.0 / frames as f64;
    let _ = write!(svg, ".{name}{{animation:{name} {seconds}s step-end infinite}}@keyframes {name}{{");
    if start > 0 {
        svg.push_str("0%{visibility:hidden}");
    }
    let _ = write!(svg, "{:.2}%{{visibility:visible}}", percent(start));
    if end < frames {
        let _ = write!(svg, "{:.2}%{{visibility:hidden}}", percent(end));
    }
    svg.push_str("}\n");
}

#[test]
fn an_element_is_there_once_and_shown_as_long_as_it_was() {
    let picture = |lines: &str| format!("<svg>\n<rect fill=\"#000\"/>\n{lines}</svg>\n");
    let pictures = [picture("<a/>\n<b/>\n"), picture("<a/>\n<rect x=\"1\"/>\n"), picture("<a/>\n")];
    let svg = of(&pictures, 1);
    assert_eq!(svg.matches("<a/>").count(), 1);
    assert!(svg.contains("<g>\n<a/>\n</g>"), "{svg}");
    assert!(svg.contains("<g class=\"f0-1 h\">\n<b/>\n</g>"), "{svg}");
    assert!(svg.contains("<g class=\"f1-2\">\n<rect x=\"1\"/>\n</g>"), "{svg}");
    assert!(
        svg.contains(".f1-2{animation:f1-2 4s step-end infinite}@keyframes f1-2{0%{visibility:hidden}12.50%{visibility:visible}25.00%{visibility:hidden}}"),
        "{svg}"
    );
    assert!(svg.find("x=\"1\"") < svg.find("<a/>"), "what is behind comes first");
}
