//! One step of one client: connected, sent, received; what it says and what is measured.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::time::Instant;

use rustix::io::Errno;

use super::client::{Client, Phase};
use super::measure::Measure;
use super::report::NO_PORT;

/// What comes of going on with a client.
pub(super) enum Step {
    /// More can be done at once.
    On,
    /// Nothing until the socket says so.
    Wait,
    /// A response is complete.
    Answered { closes: bool },
    /// The server has closed a connection on which nothing was due.
    Gone,
}

/// The socket of a client that connects has something to say: it is connected, or it is not.
pub(super) fn connected(client: &mut Client, measure: &mut Measure) -> Result<Step, &'static str> {
    match client.socket.take_error() {
        Ok(None) => {}
        Ok(Some(error)) | Err(error) => return Err(kind(&error)),
    }
    // The first event of a connection is its completion or its failure: there is no other edge before.
    measure.established += 1;
    measure.connect.record(client.began.elapsed());
    client.phase = Phase::Sending(0);
    Ok(Step::On)
}

/// Sends the whole request of a connection that has just been begun; false if it is not established yet.
///
/// On loopback the handshake is over when connect(2) returns: what arrives meanwhile waits in the socket's backlog and
/// is worked off on the way out (`release_sock`). To wait for the news of it would cost a connection two calls more,
/// of ten. An error is told here, for the socket tells it once.
pub(super) fn send_at_once(
    client: &mut Client,
    request: &[u8],
    measure: &mut Measure,
) -> Result<bool, &'static str> {
    let connected = Instant::now();
    let done = match client.socket.write(request) {
        Ok(done) => done,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
        Err(error) => return Err(kind(&error)),
    };
    measure.established += 1;
    measure.connect.record(connected - client.began);
    measure.bytes_sent += done as u64;
    client.sent = connected;
    if done < request.len() {
        client.phase = Phase::Sending(done);
        return Ok(false);
    }
    measure.sent += 1;
    client.phase = Phase::Receiving;
    Ok(true)
}

/// Sends what is left of the request, at most so many bytes.
pub(super) fn send(
    client: &mut Client,
    request: &[u8],
    most: usize,
    measure: &mut Measure,
) -> Result<Step, &'static str> {
    let Phase::Sending(mut done) = client.phase else { return Ok(Step::On) };
    if done == 0 {
        client.sent = Instant::now();
    }
    match client.socket.write(&request[done..request.len().min(done.saturating_add(most))]) {
        Ok(count) => {
            done += count;
            measure.bytes_sent += count as u64;
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Step::Wait),
        Err(error) => return Err(kind(&error)),
    }
    if done < request.len() {
        client.phase = Phase::Sending(done);
        return Ok(Step::On);
    }
    measure.sent += 1;
    client.phase = Phase::Receiving;
    // The answer will make an edge of its own.
    Ok(Step::Wait)
}

/// Reads once.
pub(super) fn receive(
    client: &mut Client,
    buffer: &mut [u8],
    measure: &mut Measure,
) -> Result<Step, &'static str> {
    let count = match client.socket.read(buffer) {
        Ok(0) => return Err("closed before the response"),
        Ok(count) => count,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Step::Wait),
        Err(error) => return Err(kind(&error)),
    };
    measure.bytes_received += count as u64;
    let begun = client.reader.begun;
    let now = Instant::now();
    if !begun {
        measure.first_byte.record(now - client.sent);
    }
    match client.reader.feed(&buffer[..count])? {
        Some(response) => {
            if response.status != 200 {
                return Err("status other than 200");
            }
            measure.responses += 1;
            measure.service.record(now - client.sent);
            measure.response.record(now - client.intended);
            Ok(Step::Answered { closes: response.closes })
        }
        // Read again even after a short read: the end of the stream may have come with the same edge.
        None => Ok(Step::On),
    }
}

/// The socket of a client on which nothing is due has something to say.
pub(super) fn closed_while_idle(client: &mut Client) -> Result<Step, &'static str> {
    match client.socket.read(&mut [0]) {
        Ok(0) => Ok(Step::Gone),
        Ok(_) => Err("bad response"),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Step::Wait),
        Err(error) => Err(kind(&error)),
    }
}

/// The word under which an error is counted.
pub(super) fn kind(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused",
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "connection reset",
        ErrorKind::TimedOut => "timed out",
        // Without an address of its own a socket gets EADDRNOTAVAIL from connect(2), with one EADDRINUSE.
        ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse => NO_PORT,
        _ => match Errno::from_io_error(error) {
            Some(Errno::MFILE | Errno::NFILE) => "no free descriptor",
            _ => "other",
        },
    }
}
