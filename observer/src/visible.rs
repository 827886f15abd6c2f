//! Text that others chose, made safe to look at; and what is said on stderr, beside the output. demo-server says it the same way.

pub use demo_server::visible::{Shown, is_obeyed, lines, push, say, visible};
