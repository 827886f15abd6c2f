//! The screen in a real terminal: no key, click, size or signal makes it fail, and it leaves the terminal as it was.

#[path = "screen/endings.rs"]
mod endings;
#[path = "screen/keys.rs"]
mod keys;
