//! Rules about who may use what: the layers of the architecture, told by the names that appear in a file.

use super::{Complaints, File};

/// A name, and where alone it may appear.
struct Layer {
    /// Only files below this are looked at.
    within: &'static str,
    /// What appears in code.
    name: &'static str,
    /// Beginnings of the paths where it may.
    only: &'static [&'static str],
    /// Why, and what to do.
    instead: &'static str,
}

const LAYERS: &[Layer] = &[
    Layer {
        within: "observer/src/",
        name: "Color::",
        only: &["observer/src/view/styles"],
        instead: "colours are chosen in view/styles alone; use a style of its",
    },
    Layer {
        within: "observer/src/",
        name: "aya::",
        only: &["observer/src/kernel"],
        instead: "only the source of events knows eBPF; hand plain data to the model",
    },
    Layer {
        within: "observer/src/",
        name: "ratatui",
        only: &[
            "observer/src/view",
            "observer/src/terminal.rs",
            "observer/src/terminal/",
            "observer/src/outputs/screen.rs",
        ],
        instead: "only the views, the terminal and the output that joins them know what a terminal is",
    },
    Layer {
        within: "observer/src/",
        name: "crate::commands",
        only: &[],
        instead: "nothing but main knows the commands; what two of them need stands below them",
    },
    Layer {
        within: "observer/src/",
        name: "cli::",
        only: &[
            "observer/src/main.rs",
            "observer/src/cli",
            "observer/src/commands",
            // What follows from what was typed.
            "observer/src/selection.rs",
            "observer/src/compare/plan.rs",
        ],
        instead: "what can be typed is decided in cli alone; take a type of your own",
    },
    Layer {
        within: "observer/src/",
        name: "crate::engine",
        only: &[
            "observer/src/main.rs",
            "observer/src/engine",
            "observer/src/commands",
            // Engines that are asked by code.
            "observer/src/arena",
            "observer/src/self_test.rs",
            // Its tests play what they recorded.
            "observer/src/recording/tests",
        ],
        instead: "data flows one way: sources and outputs do not know who moves it",
    },
    Layer {
        within: "observer/src/",
        name: "demo_server::",
        only: &[
            "observer/src/backend",
            "observer/src/arena",
            "observer/src/lab",
            "observer/src/trial.rs",
            "observer/src/compare",
            "observer/src/commands/compare.rs",
            // The screen that operates it, and what it is operated with.
            "observer/src/view/demo.rs",
            "observer/src/view/pattern",
            // What both programs type, print and set alike.
            "observer/src/main.rs",
            "observer/src/cli.rs",
            "observer/src/visible.rs",
            "observer/src/self_test.rs",
            // Tests in directories of their own.
            "observer/src/output_file.rs",
            "observer/src/outputs/screen/picture.rs",
        ],
        instead: "only the pairing with the bundled backend and the experiments know it; an observer of others needs it not",
    },
    Layer {
        within: "observer/src/model",
        name: "std::fs",
        only: &[],
        instead: "the model does no I/O; pass it what was read",
    },
    Layer {
        within: "observer/src/model",
        name: "Instant::now",
        only: &[],
        instead: "the model reads no clock; time comes with the event",
    },
];

/// Names appear only in their layer. Comments may speak of anything.
pub(super) fn imports_stay_in_their_layer(files: &[File]) -> Complaints {
    let mut complaints = Vec::new();
    for layer in LAYERS {
        let outside = |file: &&File| {
            file.is_rust()
                && file.path.starts_with(layer.within)
                && !layer.only.iter().any(|p| file.path.starts_with(p))
        };
        for file in files.iter().filter(outside) {
            for (number, line) in (1..).zip(file.text.lines()) {
                let code = line.split("//").next().unwrap_or_default();
                if has_word(code, layer.name) {
                    complaints.push(format!("{}:{number}: `{}`: {}", file.path, layer.name, layer.instead));
                }
            }
        }
    }
    complaints
}

/// The name, not as the end of a longer one (`Color::` in `TextColor::`).
fn has_word(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::{super::tests::file, *};

    #[test]
    fn a_colour_outside_the_styles_is_found() {
        let text = "use x;\nlet c = Color::Red; // fine here: Color::Blue\n";
        let files = [file("observer/src/view/queues.rs", text), file("observer/src/view/styles.rs", text)];
        let found = imports_stay_in_their_layer(&files);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("observer/src/view/queues.rs:2: `Color::`"), "{found:?}");
    }

    #[test]
    fn comments_and_longer_names_are_left_alone() {
        let files =
            [file("observer/src/model/x.rs", "/// like aya::Ebpf\nlet x = TextColor::Red;\nmod nataya;\n")];
        assert_eq!(imports_stay_in_their_layer(&files), Vec::<String>::new());
    }

    #[test]
    fn ebpf_is_for_the_kernel_modules() {
        let text = "use aya::Ebpf;\n";
        let files = [file("observer/src/kernel/load.rs", text), file("observer/src/model.rs", text)];
        assert_eq!(imports_stay_in_their_layer(&files).len(), 1);
    }
}
