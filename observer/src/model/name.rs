//! Names of threads and processes: bytes in the kernel, text in every output, spelled in one way.
//!
//! A name is any bytes but zero, cut at 15 of them (`TASK_COMM_LEN`), if need be in the middle of a character. A program
//! chooses it, so it may hold what a terminal or a browser obeys. The spelling shows all of that, and no two names share
//! one: a backslash is doubled, and whatever is not shown as it is comes as an escape that begins with one.

use std::fmt::Write as _;

use crate::visible::push;

/// Returns the spelling of a name: all bytes up to the first zero.
pub fn spelled(name: &[u8]) -> String {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    let mut text = String::with_capacity(end);
    for chunk in name[..end].utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' { text.push_str(r"\\") } else { push(&mut text, c) }
        }
        for byte in chunk.invalid() {
            // Writing into a string cannot fail.
            let _ = write!(text, r"\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::visible::visible;

    use super::*;

    #[test]
    fn a_name_ends_at_the_first_zero() {
        assert_eq!(spelled(b"acc-0\0\0\0x\0"), "acc-0");
        assert_eq!(spelled(&[b'x'; 16]), "x".repeat(16));
        assert_eq!(spelled(b"\0"), "");
    }

    #[test]
    fn a_character_that_is_cut_is_shown_byte_by_byte() {
        assert_eq!(spelled(&"обработчик".as_bytes()[..15]), r"обработ\xd1");
        assert_eq!(spelled(&"受信スレッド".as_bytes()[..14]), r"受信スレ\xe3\x83");
        assert_eq!(spelled(&"worker-🦀🦀".as_bytes()[..14]), r"worker-🦀\xf0\x9f\xa6");
    }

    #[test]
    fn no_two_names_have_one_spelling() {
        let names: [&[u8]; 9] =
            [b"a\xff", b"a\xfe", br"a\xff", b"a\\", b"a\n", br"a\n", b"a\x85", "a\u{85}".as_bytes(), b"a"];
        let spellings: std::collections::BTreeSet<String> = names.iter().map(|name| spelled(name)).collect();
        assert_eq!(spellings.len(), names.len(), "{spellings:?}");
    }

    #[test]
    fn what_is_obeyed_is_shown() {
        assert_eq!(spelled("\u{202e}txt\u{1b}\n".as_bytes()), r"\u{202e}txt\x1b\n");
        assert_eq!(spelled("é日🦀".as_bytes()), "é日🦀");
    }

    #[test]
    fn a_spelling_is_not_spelled_again() {
        for name in [&b"a\\b\xff\x1b"[..], "\u{202e}".as_bytes(), b"plain"] {
            let spelling = spelled(name);
            assert_eq!(visible(&spelling), spelling);
        }
    }
}
