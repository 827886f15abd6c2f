//! Lines on the control socket of demo-server.

use demo_server::{
    control::{LoadRequest, Request},
    settings::{Change, Settings},
};

use crate::Take;

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "null",
    "true",
    "-1",
    "1e999",
    "18446744073709551616",
    "0.5",
    "\\u0000",
    "\\ud800",
    "\u{202e}",
    "\"v\":1",
    "\"v\":2",
    "\"cmd\":\"set\"",
    "\"cmd\":\"load\"",
    "\"workers\":0",
    "\"backlog\":4294967295",
    "\"rate\":-0.0",
    "\"duration\":\"99999999999999h\"",
    "[[[[[[[[[[[[[[[[",
    "\n",
];

pub(crate) fn prepare() -> Take {
    let set = Change { pattern: Some("sharding".to_owned()), workers: Some(3), ..Change::default() };
    let load = LoadRequest {
        rate: Some(12.5),
        duration: Some("5s".to_owned()),
        seed: Some(7),
        ..LoadRequest::profile("steady")
    };
    let fault = Request::Fault { name: "stall".to_owned(), on: true, index: Some(1), ms: Some(5) };
    let requests = [
        Request::State {},
        Request::Set(set),
        fault,
        Request::Load(load),
        Request::Load(LoadRequest::stop()),
        Request::Subscribe {},
        Request::Stop {},
    ];
    let lines = requests.map(|request| request.to_line().unwrap());
    Box::new(move |chance| {
        let mut line = chance.one_of(&lines).clone();
        chance.change_text(&mut line, PIECES, 4);
        match Request::from_line(&line) {
            // What is refused is said in a line.
            Err(error) => assert!(!error.is_empty()),
            Ok(request) => {
                if let Request::Set(change) = &request {
                    let _ = Settings::default().with(change).check();
                }
                let again = Request::from_line(&request.to_line().unwrap());
                assert_eq!(again, Ok(request), "what was understood survives the wire");
            }
        }
    })
}
