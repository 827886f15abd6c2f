//! The parser, on odd and broken requests, whole and cut at every byte; and what a client sees of it.

use std::io::{Read as _, Write as _};

use crate::support::{self, TestServer, ask, connect};
use demo_server::http::{MAX_BODY, MAX_HEAD, Method, Request, parse};
use demo_server::settings::Settings;

const GOOD: &[(&str, Method, bool)] = &[
    ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", Method::Get, true),
    ("GET /a%20b?c=d&e=%00 HTTP/1.1\r\nHost: a\r\n\r\n", Method::Get, true),
    ("\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n", Method::Get, true),
    ("HEAD / HTTP/1.1\r\nhost:\r\n\r\n", Method::Head, true),
    ("GET / HTTP/1.0\r\n\r\n", Method::Get, false),
    ("GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n", Method::Get, true),
    ("GET / HTTP/1.1\r\nhost: a\r\nConnection: foo, Close\r\n\r\n", Method::Get, false),
    ("GET / HTTP/1.1\r\nhost: a\r\nconnection: close, keep-alive\r\n\r\n", Method::Get, false),
    ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello", Method::Post, true),
    (
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ncontent-length: 04\r\n\r\n\r\n\r\n",
        Method::Post,
        true,
    ),
    ("GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n\0\n", Method::Get, true),
    ("OPTIONS-IS-NO-GET-BUT", Method::Get, true),
];

const BAD: &[(&str, &str)] = &[
    ("GET / HTTP/1.1\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", "400"),
    ("GET  / HTTP/1.1\r\nhost: a\r\n\r\n", "400"),
    ("GET /\r\nhost: a\r\n\r\n", "400"),
    ("GET / HTTP/1.1 \r\nhost: a\r\n\r\n", "400"),
    ("GET / http/1.1\r\nhost: a\r\n\r\n", "400"),
    ("GET /\u{e9} HTTP/1.1\r\nhost: a\r\n\r\n", "400"),
    ("G(T / HTTP/1.1\r\nhost: a\r\n\r\n", "400"),
    (" / HTTP/1.1\r\nhost: a\r\n\r\n", "400"),
    ("GET / HTTP/1.1\nhost: a\n\n", "400"),
    ("GET / HTTP/1.1\r\nhost: a\nx: y\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nhost : a\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nhost: a\r\n folded\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nhost: a\r\n: empty\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nhost: a\r\nno colon\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n", "400"),
    ("GET / HTTP/1.1\r\nhost: a\r\nx: a\rb\r\n\r\n", "400"),
    ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", "400"),
    ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\nhello", "400"),
    ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\nhello", "400"),
    ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5, 5\r\n\r\nhello", "400"),
    ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length:\r\n\r\n", "400"),
    ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1048577\r\n\r\n", "413"),
    ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999999999\r\n\r\n", "413"),
    ("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n", "417"),
    ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", "501"),
    ("PUT / HTTP/1.1\r\nhost: a\r\n\r\n", "501"),
    ("get / HTTP/1.1\r\nhost: a\r\n\r\n", "501"),
    ("GET / HTTP/2.0\r\nhost: a\r\n\r\n", "505"),
    ("GET / HTTP/1.10\r\nhost: a\r\n\r\n", "505"),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"),
    ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}", "400"),
    ("SSH-2.0-OpenSSH_9.2p1\r\n", "400"),
];

#[test]
fn whole_requests_are_understood() {
    for &(text, method, keep_alive) in GOOD.iter().filter(|(text, ..)| text.contains('\n')) {
        let length = text.len();
        assert_eq!(parse(text.as_bytes()), Ok(Some(Request { method, length, keep_alive })), "{text:?}");
    }
}

#[test]
fn a_request_cut_anywhere_waits_for_the_rest_and_nothing_else() {
    for (text, ..) in GOOD {
        for cut in 0..text.len() {
            assert_eq!(parse(&text.as_bytes()[..cut]), Ok(None), "{text:?} cut at {cut}");
        }
    }
}

#[test]
fn what_follows_a_request_is_left_alone() {
    for (text, ..) in GOOD.iter().filter(|(text, ..)| text.contains('\n')) {
        let two = format!("{text}\0garbage\n\n");
        assert_eq!(parse(two.as_bytes()).unwrap().unwrap().length, text.len(), "{text:?}");
    }
}

#[test]
fn broken_requests_are_refused_with_the_right_status() {
    for (text, status) in BAD {
        let refusal = parse(text.as_bytes()).unwrap_err();
        assert!(refusal.status.starts_with(status), "{text:?}: {refusal:?}");
        // Cut short it may still look like a request, or be refused already; it is never taken for a whole one.
        for cut in 0..text.len() {
            match parse(&text.as_bytes()[..cut]) {
                Ok(None) => {}
                Ok(Some(request)) => panic!("{text:?} cut at {cut} was taken for {request:?}"),
                Err(early) => assert_ne!(early.status, "", "{text:?} cut at {cut}"),
            }
        }
    }
}

#[test]
fn limits_hold_to_the_byte() {
    let head = |length: usize| {
        let fixed = "GET / HTTP/1.1\r\nhost: a\r\nx: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(length - fixed))
    };
    assert!(parse(head(MAX_HEAD).as_bytes()).unwrap().is_some());
    assert!(parse(head(MAX_HEAD + 1).as_bytes()).unwrap_err().status.starts_with("431"));
    // A head that never ends is refused when it is as long as the longest, not kept for ever.
    assert_eq!(parse(&head(MAX_HEAD + 100).as_bytes()[..MAX_HEAD - 1]), Ok(None));
    assert!(parse(&head(MAX_HEAD + 100).as_bytes()[..MAX_HEAD]).is_err());
    assert!(parse(&b"\r\n".repeat(MAX_HEAD)).is_err());

    let mut post = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {MAX_BODY}\r\n\r\n").into_bytes();
    let head = post.len();
    post.resize(head + MAX_BODY - 1, b'x');
    assert_eq!(parse(&post), Ok(None));
    post.push(b'x');
    assert_eq!(parse(&post).unwrap().unwrap().length, head + MAX_BODY);
}

#[test]
fn no_bytes_make_the_parser_panic() {
    // Every sequence of up to four pieces that a parser may stumble over.
    let pieces: &[&[u8]] = &[
        b"GET / HTTP/1.1",
        b"\r\n",
        b"\r",
        b"\n",
        b":",
        b" ",
        b"\0",
        b"\xff",
        b"host: a",
        b"content-length: 3",
        b"POST",
    ];
    let mut texts: Vec<Vec<u8>> = vec![Vec::new()];
    for _ in 0..4 {
        texts = texts.iter().flat_map(|text| pieces.iter().map(|piece| [text, *piece].concat())).collect();
        for text in &texts {
            let _ = parse(text);
        }
    }
}

#[test]
fn every_pattern_says_why_it_refuses_and_goes_on_with_others() {
    for pattern in support::sound() {
        let test = TestServer::start(pattern, Settings { workers: 2, ..Settings::default() });
        for (text, status) in BAD.iter().filter(|(text, _)| text.contains("\r\n")) {
            let mut stream = connect(test.address());
            stream.write_all(text.as_bytes()).unwrap();
            stream.write_all(&[b'x'; 100]).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap_or_else(|error| {
                panic!("{}: {text:?}: {error} after {answer:?}", pattern.id);
            });
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{}: {text:?}: {answer:?}",
                pattern.id
            );
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert_eq!(support::field(head, "content-length"), Some(body.len().to_string().as_str()));
        }
        assert!(ask(&mut connect(test.address())).is_some(), "{}", pattern.id);
        test.server.end().unwrap();
    }
}

#[test]
fn a_request_sent_byte_by_byte_is_served() {
    for pattern in support::sound() {
        let test = TestServer::start(pattern, Settings { workers: 2, ..Settings::default() });
        let mut stream = connect(test.address());
        stream.set_nodelay(true).unwrap();
        for (count, byte) in support::GET.iter().enumerate() {
            stream.write_all(&[*byte]).unwrap();
            // The next only when this one was read by itself.
            test.wait_for("the byte to be read", |state| state.counters.bytes_read == count as u64 + 1);
        }
        assert!(support::read_response(&mut stream).is_some(), "{}", pattern.id);
        test.server.end().unwrap();
    }
}
