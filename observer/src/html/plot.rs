//! Plots as inline SVG: small ones, in a width that a phone shows as it is, several beside each other on a screen.
//!
//! - [`axis`]: from values to places, and what is written along it
//! - [`lines`]: lines over time, or of distributions
//! - [`strip`]: single values, row by row
//! - [`bars`]: parts of a whole, with the band that chance explains
//!
//! A series is told by its place in the legend, its colour and its dashes, so that no colour is needed.

pub mod axis;
pub mod bars;
pub mod lines;
pub mod strip;

use super::escape;

/// Width of every plot, in CSS pixels before the page scales it.
pub const WIDTH: f64 = 360.0;
/// Series that look different; after that they begin anew.
pub const LOOKS: usize = 8;

/// A plot with its caption: what it shows, and how to read it.
pub fn figure(title: &str, note: &str, height: f64, svg: &str) -> String {
    format!(
        "<figure>\n<figcaption><b>{title}</b> {note}</figcaption>\n\
         <svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{title}\">\n{svg}</svg>\n</figure>\n",
        title = escape(title),
        note = escape(note),
    )
}

/// Names beside samples of their lines.
pub fn legend<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let item = |(look, name): (usize, &str)| {
        format!(
            "<span class=\"key\"><svg viewBox=\"0 0 28 10\" class=\"{}\" aria-hidden=\"true\">\
             <path class=\"line\" d=\"M1 5H27\"/></svg>{}</span>\n",
            look_of(look),
            escape(name)
        )
    };
    format!("<p class=\"legend\">\n{}</p>\n", names.enumerate().map(item).collect::<String>())
}

/// The class of a series.
fn look_of(index: usize) -> String {
    format!("s{}", index % LOOKS)
}

/// Text at a place; `class` says how it hangs there.
fn text(x: f64, y: f64, class: &str, text: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{}</text>\n", escape(text))
}
