//! The themes: a row each. What a colour is for, is decided in [`Styles`](super::Styles).

use ratatui::style::Color;

/// A colour, and the one of the terminal's sixteen that stands for it where there are no others.
type Shade = (u32, Color);

/// The colours of a theme, for each role.
#[derive(Debug)]
pub(crate) struct Palette {
    pub back: Shade,
    pub text: Shade,
    pub dim: Shade,
    pub accent: Shade,
    pub good: Shade,
    pub warn: Shade,
    pub bad: Shade,
    pub bar: Shade,
    pub mark: Shade,
}

struct Row {
    name: &'static str,
    line: &'static str,
    /// None: the terminal's own sixteen colours, on its own background.
    palette: Option<Palette>,
}

const THEMES: &[Row] = &[
    Row { name: "terminal", line: "the terminal's own sixteen colours", palette: None },
    Row {
        name: "dark",
        line: "on a dark background",
        palette: Some(Palette {
            back: (0x0016_181d, Color::Black),
            text: (0x00d8_dee9, Color::White),
            dim: (0x008b_95a7, Color::Gray),
            accent: (0x005e_c8d8, Color::LightCyan),
            good: (0x007e_c97e, Color::LightGreen),
            warn: (0x00e5_c07b, Color::LightYellow),
            bad: (0x00ff_6b6b, Color::LightRed),
            bar: (0x006e_a8fe, Color::LightBlue),
            mark: (0x00d3_8aea, Color::LightMagenta),
        }),
    },
    Row {
        name: "light",
        line: "on a light background",
        palette: Some(Palette {
            back: (0x00fa_fafa, Color::White),
            text: (0x001f_2328, Color::Black),
            dim: (0x005f_6772, Color::DarkGray),
            accent: (0x0000_697a, Color::Blue),
            good: (0x001a_7232, Color::Green),
            warn: (0x008a_5a00, Color::Magenta),
            bad: (0x00b3_261e, Color::Red),
            bar: (0x000b_5cad, Color::Blue),
            mark: (0x008b_2fa3, Color::Magenta),
        }),
    },
    Row {
        name: "contrast",
        line: "as much contrast as there is",
        palette: Some(Palette {
            back: (0x0000_0000, Color::Black),
            text: (0x00ff_ffff, Color::White),
            dim: (0x00c8_c8c8, Color::Gray),
            accent: (0x0000_ffff, Color::LightCyan),
            good: (0x0000_ff7f, Color::LightGreen),
            warn: (0x00ff_ff00, Color::LightYellow),
            bad: (0x00ff_9090, Color::LightRed),
            bar: (0x0080_c0ff, Color::LightCyan),
            mark: (0x00ff_a0ff, Color::LightMagenta),
        }),
    },
    // After the palette of Okabe and Ito (https://jfly.uni-koeln.de/color/), lighter where a dark background asks for it.
    Row {
        name: "colour-blind",
        line: "told apart without red and green",
        palette: Some(Palette {
            back: (0x0010_1014, Color::Black),
            text: (0x00e8_e8e8, Color::White),
            dim: (0x009a_a0a8, Color::Gray),
            accent: (0x0020_c095, Color::LightCyan),
            good: (0x0056_b4e9, Color::LightBlue),
            warn: (0x00f0_e442, Color::LightYellow),
            bad: (0x00e8_6a10, Color::LightRed),
            bar: (0x004f_9fd8, Color::Blue),
            mark: (0x00cc_79a7, Color::LightMagenta),
        }),
    },
];

/// One of the themes; the first one unless another is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Theme(usize);

impl Theme {
    /// The terminal's own colours.
    pub const DEFAULT: Self = Self(0);

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..THEMES.len()).map(Self)
    }

    /// The theme of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|theme| theme.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        THEMES.get(self.0).map_or("", |row| row.name)
    }

    /// What it is.
    pub fn line(self) -> &'static str {
        THEMES.get(self.0).map_or("", |row| row.line)
    }

    /// The one after it; after the last one the first.
    pub(crate) fn next(self) -> Self {
        Self((self.0 + 1) % THEMES.len())
    }

    /// Its colours, if they are not the terminal's own.
    pub(crate) fn palette(self) -> Option<&'static Palette> {
        THEMES.get(self.0)?.palette.as_ref()
    }
}

/// How many colours the terminal has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Depth {
    /// None at all.
    None,
    /// The sixteen that its user may have chosen.
    #[default]
    Sixteen,
    /// The 256 of xterm.
    Indexed,
    /// Any.
    Full,
}

impl Depth {
    /// A shade as it can be shown.
    pub(crate) fn colour(self, (rgb, of_sixteen): Shade) -> Color {
        let [_, red, green, blue] = rgb.to_be_bytes();
        match self {
            Self::None => Color::Reset,
            Self::Sixteen => of_sixteen,
            Self::Indexed => Color::Indexed(indexed([red, green, blue])),
            Self::Full => Color::Rgb(red, green, blue),
        }
    }
}

/// Levels of the channels of xterm's cube.
const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The nearest of the colours that xterm numbers 16 to 255: a cube of six levels each, and 24 greys.
fn indexed(wanted: [u8; 3]) -> u8 {
    let away = |one: u8, two: u8| u32::from(one.abs_diff(two)).pow(2);
    let level = |channel: u8| (0..6).min_by_key(|level| away(LEVELS[*level], channel)).unwrap_or(0);
    let cube = wanted.map(level);
    let cube_away: u32 = cube.iter().zip(wanted).map(|(level, channel)| away(LEVELS[*level], channel)).sum();
    let grey_away = |grey: u8| wanted.iter().map(|channel| away(8 + 10 * grey, *channel)).sum::<u32>();
    let grey = (0..24_u8).min_by_key(|grey| grey_away(*grey)).unwrap_or(0);
    if grey_away(grey) < cube_away {
        return 232 + grey;
    }
    (16 + 36 * cube[0] + 6 * cube[1] + cube[2]) as u8
}

/// A colour for a picture, as `#rrggbb`. The terminal's own are those of the dark theme, as nobody can ask a terminal
/// for them.
pub(crate) fn hex(colour: Color, is_background: bool) -> String {
    let dark = THEMES.iter().find_map(|row| row.palette.as_ref());
    let shade = |role: fn(&Palette) -> Shade| dark.map_or(0, |palette| role(palette).0);
    let rgb = match colour {
        Color::Rgb(red, green, blue) => u32::from_be_bytes([0, red, green, blue]),
        Color::Indexed(index) => of_index(index),
        Color::Reset if is_background => shade(|palette| palette.back),
        Color::Reset | Color::White => shade(|palette| palette.text),
        Color::Black => shade(|palette| palette.back),
        Color::Gray | Color::DarkGray => shade(|palette| palette.dim),
        Color::Red | Color::LightRed => shade(|palette| palette.bad),
        Color::Green | Color::LightGreen => shade(|palette| palette.good),
        Color::Yellow | Color::LightYellow => shade(|palette| palette.warn),
        Color::Blue | Color::LightBlue => shade(|palette| palette.bar),
        Color::Magenta | Color::LightMagenta => shade(|palette| palette.mark),
        Color::Cyan | Color::LightCyan => shade(|palette| palette.accent),
    };
    format!("#{rgb:06x}")
}

/// One of xterm's colours from 16 on; those before are the terminal's own, and the themes do not number them.
fn of_index(index: u8) -> u32 {
    let [red, green, blue] = match index {
        232.. => [8 + 10 * (index - 232); 3],
        16.. => [(index - 16) / 36, (index - 16) / 6 % 6, (index - 16) % 6]
            .map(|level| LEVELS[usize::from(level)]),
        _ => [128; 3],
    };
    u32::from_be_bytes([0, red, green, blue])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels(shade: Shade) -> [f64; 3] {
        let [_, red, green, blue] = shade.0.to_be_bytes();
        [red, green, blue].map(|channel| {
            let part = f64::from(channel) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        })
    }

    /// Contrast as the Web Content Accessibility Guidelines 2 define it.
    fn contrast(one: Shade, two: Shade) -> f64 {
        let light = |shade| {
            let [red, green, blue] = channels(shade);
            0.2126 * red + 0.7152 * green + 0.0722 * blue
        };
        let (one, two) = (light(one), light(two));
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    #[test]
    fn every_role_can_be_read_on_its_background() {
        for theme in Theme::all() {
            let Some(palette) = theme.palette() else { continue };
            let least = if theme.name() == "contrast" { 7.0 } else { 4.5 };
            let Palette { back, text, dim, accent, good, warn, bad, bar, mark } = palette;
            for (role, shade) in [text, dim, accent, good, warn, bad, bar, mark].into_iter().enumerate() {
                let found = contrast(*shade, *back);
                assert!(found >= least, "{} role {role}: {found:.1}", theme.name());
            }
        }
    }

    /// How two shades differ for somebody who lacks red or green cones (Machado, Oliveira, Fernandes 2009, severity 1).
    fn apart(one: Shade, two: Shade) -> f64 {
        const PROTAN: [[f64; 3]; 3] = [
            [0.152_286, 1.052_583, -0.204_868],
            [0.114_503, 0.786_281, 0.099_216],
            [-0.003_882, -0.048_116, 1.051_998],
        ];
        const DEUTAN: [[f64; 3]; 3] = [
            [0.367_322, 0.860_646, -0.227_968],
            [0.280_085, 0.672_501, 0.047_413],
            [-0.011_820, 0.042_940, 0.968_881],
        ];
        let seen = |matrix: [[f64; 3]; 3], shade| {
            let light = channels(shade);
            matrix.map(|row| {
                row.iter().zip(light).map(|(part, light)| part * light).sum::<f64>().max(0.0).cbrt()
            })
        };
        let distance = |matrix| {
            let (one, two) = (seen(matrix, one), seen(matrix, two));
            one.iter().zip(two).map(|(one, two)| (one - two).powi(2)).sum::<f64>().sqrt()
        };
        distance(PROTAN).min(distance(DEUTAN))
    }

    #[test]
    fn good_warn_and_bad_are_apart_without_red_and_green() {
        let theme = Theme::named("colour-blind").unwrap();
        let palette = theme.palette().unwrap();
        let pairs = [(palette.good, palette.warn), (palette.warn, palette.bad), (palette.good, palette.bad)];
        for (one, two) in pairs {
            assert!(apart(one, two) > 0.25, "{one:?} {two:?}: {}", apart(one, two));
        }
        // What this measures is what the usual green and red fail at.
        assert!(apart((0x0000_a000, Color::Green), (0x00c8_5000, Color::Red)) < 0.25);
    }

    #[test]
    fn the_nearest_of_256() {
        assert_eq!(indexed([0, 0, 0]), 16);
        assert_eq!(indexed([255, 255, 255]), 231);
        assert_eq!(indexed([255, 0, 0]), 196);
        assert_eq!(indexed([0x80, 0x80, 0x80]), 244);
        for index in 16..=255 {
            let [_, red, green, blue] = of_index(index).to_be_bytes();
            assert_eq!(of_index(indexed([red, green, blue])), of_index(index));
        }
        assert_eq!(Depth::Sixteen.colour((0x00ff_0000, Color::Red)), Color::Red);
    }
}
