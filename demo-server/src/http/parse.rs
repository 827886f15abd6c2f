//! Reading a request from the bytes that have arrived so far.
//!
//! Strict where leniency has been used to smuggle requests past proxies (RFC 9112 section 11.2): lines end with
//! CRLF, no white space before a colon, no folded fields, one Content-Length, no Transfer-Encoding.

use super::{MAX_BODY, MAX_HEAD};

/// What the client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The answer has a body.
    Get,
    /// The answer has the header fields that GET would have, and no body.
    Head,
    /// The request has a body, which is read to its end and not used.
    Post,
}

/// A complete request: it lies at the beginning of the bytes it was parsed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub method: Method,
    /// Bytes that the request occupies, body included; the next request begins after them.
    pub length: usize,
    /// Whether the connection stays open after the answer.
    pub keep_alive: bool,
}

/// Why a request is not served. The connection is closed after the answer, because where the next request would
/// begin is no longer certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status code and its phrase.
    pub status: &'static str,
    /// The body: one sentence for a person.
    pub reason: &'static str,
}

const fn bad(reason: &'static str) -> Refusal {
    Refusal { status: "400 Bad Request", reason }
}

const HEAD_TOO_LARGE: Refusal = Refusal {
    status: "431 Request Header Fields Too Large",
    reason: "the request line and header fields are longer than 8192 bytes",
};
const BODY_TOO_LARGE: Refusal =
    Refusal { status: "413 Content Too Large", reason: "the body is longer than 1048576 bytes" };
const METHOD_UNKNOWN: Refusal =
    Refusal { status: "501 Not Implemented", reason: "only GET, HEAD and POST are implemented" };
const CODING_UNKNOWN: Refusal = Refusal {
    status: "501 Not Implemented",
    reason: "transfer codings are not implemented; send a content-length",
};
const VERSION_UNKNOWN: Refusal = Refusal {
    status: "505 HTTP Version Not Supported",
    reason: "only HTTP/1.0 and HTTP/1.1 are spoken here",
};
const EXPECTATION_UNKNOWN: Refusal = Refusal {
    status: "417 Expectation Failed",
    reason: "no expectation is supported; send the body at once",
};

/// Looks for one request at the beginning of `bytes`.
///
/// `Ok(None)` asks for more bytes. A refusal comes as soon as it is certain, so that a client that never ends its
/// request line is not fed for ever.
pub fn parse(bytes: &[u8]) -> Result<Option<Request>, Refusal> {
    // An empty line before a request is skipped (RFC 9112 section 2.2), within the limit of the head.
    let mut start = 0;
    while bytes[start..].starts_with(b"\r\n") && start < MAX_HEAD {
        start += 2;
    }
    let searched = &bytes[start..bytes.len().min(MAX_HEAD)];
    let Some(end) = searched.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if bytes.len() >= MAX_HEAD { Err(HEAD_TOO_LARGE) } else { plausible(searched) };
    };
    let (request_line, mut rest) = cut_line(&searched[..end]);
    let (method, minor) = parse_request_line(request_line)?;

    let mut fields = Fields::default();
    while let Some(lines) = rest {
        let (line, after) = cut_line(lines);
        fields.take(line)?;
        rest = after;
    }
    if minor >= 1 && !fields.host {
        return Err(bad("an HTTP/1.1 request needs a host field"));
    }
    if fields.expectation {
        return Err(EXPECTATION_UNKNOWN);
    }
    let body = fields.content_length.unwrap_or(0);
    if body > MAX_BODY {
        return Err(BODY_TOO_LARGE);
    }
    let length = start + end + 4 + body;
    Ok((bytes.len() >= length).then_some(Request { method, length, keep_alive: fields.keep_alive(minor) }))
}

/// Whether an unfinished head can still become a request: garbage is refused at its first line.
fn plausible(head: &[u8]) -> Result<Option<Request>, Refusal> {
    match cut_line(head) {
        (line, Some(_)) => parse_request_line(line).map(|_| None),
        (line, None) if line.iter().any(|&byte| byte.is_ascii_control() && byte != b'\r') => {
            Err(bad("the request line contains a control character; lines end with CR and LF"))
        }
        (_, None) => Ok(None),
    }
}

/// The first line, without its CRLF, and what follows it. A lone CR or LF stays in the line, where it is refused as
/// the control character it is.
fn cut_line(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    match bytes.windows(2).position(|two| two == b"\r\n") {
        Some(end) => (&bytes[..end], Some(&bytes[end + 2..])),
        None => (bytes, None),
    }
}

/// The method and the minor version of HTTP/1.
fn parse_request_line(line: &[u8]) -> Result<(Method, u8), Refusal> {
    let mut words = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad("a request line is a method, a target and a version, with one space between"));
    };
    if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
        return Err(bad("the method is not a word"));
    }
    if target.is_empty() || !target.iter().all(|&byte| byte.is_ascii_graphic()) {
        return Err(bad("the target is empty or contains a character that must be escaped"));
    }
    let minor = match version {
        b"HTTP/1.1" => 1,
        b"HTTP/1.0" => 0,
        _ if version.starts_with(b"HTTP/") => return Err(VERSION_UNKNOWN),
        _ => return Err(bad("the request line does not end with an HTTP version")),
    };
    let method = match method {
        b"GET" => Method::Get,
        b"HEAD" => Method::Head,
        b"POST" => Method::Post,
        _ => return Err(METHOD_UNKNOWN),
    };
    Ok((method, minor))
}

/// What the header fields say, as far as it matters here.
#[derive(Default)]
struct Fields {
    host: bool,
    close: bool,
    keep_alive: bool,
    expectation: bool,
    content_length: Option<usize>,
}

impl Fields {
    fn take(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let colon = line
            .iter()
            .position(|&byte| byte == b':')
            .ok_or(bad("a header field has no colon, or is folded"))?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) {
            return Err(bad("a header field's name is not a word"));
        }
        if value.iter().any(|&byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(bad("a header field's value contains a control character"));
        }
        if name.eq_ignore_ascii_case(b"host") {
            if self.host {
                return Err(bad("there is more than one host field"));
            }
            self.host = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let length = parse_length(value)?;
            if self.content_length.is_some_and(|earlier| earlier != length) {
                return Err(bad("two content-length fields disagree"));
            }
            self.content_length = Some(length);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(CODING_UNKNOWN);
        } else if name.eq_ignore_ascii_case(b"expect") {
            self.expectation = true;
        } else if name.eq_ignore_ascii_case(b"connection") {
            for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                if option.eq_ignore_ascii_case(b"close") {
                    self.close = true;
                } else if option.eq_ignore_ascii_case(b"keep-alive") {
                    self.keep_alive = true;
                }
            }
        }
        Ok(())
    }

    /// HTTP/1.1 keeps a connection unless told to close it, HTTP/1.0 closes it unless told to keep it.
    const fn keep_alive(&self, minor: u8) -> bool {
        !self.close && (self.keep_alive || minor >= 1)
    }
}

/// Decimal digits only: Rust's own parser would take a plus sign, which the grammar does not.
fn parse_length(value: &[u8]) -> Result<usize, Refusal> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(bad("the content-length is not a number"));
    }
    // More digits than a usize holds are a number all the same, only too large.
    Ok(std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()).unwrap_or(usize::MAX))
}

/// The characters of a token, RFC 9110 section 5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}
