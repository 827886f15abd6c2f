//! Requests to demo-server.

use demo_server::http::{MAX_BODY, MAX_HEAD, parse};

use crate::Take;

const REQUESTS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /x?work_us=5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
];

const PIECES: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    " ",
    "\t",
    ":",
    "\0",
    "HTTP/1.1",
    "HTTP/9.9",
    "Content-Length: 5\r\n",
    "Content-Length: 18446744073709551615\r\n",
    "Content-Length: -1\r\n",
    "Content-Length: 5, 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "Expect: 100-continue\r\n",
    "ffffffffffffffff\r\n",
    "0\r\n",
    "GET ",
    "POST ",
    "\u{ff}",
];

pub(crate) fn prepare() -> Take {
    Box::new(|chance| {
        let mut bytes = chance.one_of(REQUESTS).as_bytes().to_vec();
        chance.change_text(&mut bytes, PIECES, 5);
        if chance.once_in(64) {
            let at = chance.below(bytes.len() + 1);
            bytes.splice(at..at, vec![b'x'; MAX_HEAD]);
        }
        let whole = parse(&bytes);
        match &whole {
            Ok(Some(request)) => {
                assert!(request.length <= bytes.len(), "it claims bytes that are not there");
                assert!(request.length <= MAX_HEAD + MAX_BODY + bytes.len());
            }
            Ok(None) => {}
            Err(refusal) => assert!(!refusal.reason.is_empty()),
        }
        // However the bytes come, they mean the same.
        let mut cuts = [0; 6].map(|_| chance.below(bytes.len() + 1));
        cuts.sort_unstable();
        for cut in cuts {
            match parse(&bytes[..cut]) {
                Ok(None) => {}
                Ok(Some(early)) => {
                    let request = whole.as_ref().ok().and_then(Option::as_ref).expect("a request");
                    assert_eq!(early.length, request.length);
                    break;
                }
                Err(_) => {
                    assert!(whole.is_err(), "what is refused early is refused late");
                    break;
                }
            }
        }
    })
}
