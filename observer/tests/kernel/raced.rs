//! Two CPUs take up one request at the same time: one of the two sockets is given up, and the books know of it.

use std::{
    mem::MaybeUninit,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use demo_server::segment::{ACK, SYN, raw_socket};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    counters::Counters,
    half_open,
    namespace::{AT_ONCE, natively},
    observed::Observer,
    traffic::{Server, V4},
};

/// Requests after which the race is given up: where a machine has one CPU, or stops one of two for long.
const MOST: u32 = 3000;
/// Sockets given up that are enough.
const ENOUGH: i64 = 23;

/// A segment without data.
fn packet(from: SocketAddrV4, to: SocketAddrV4, flags: u8, numbers: [u32; 2]) -> [u8; 40] {
    let mut packet = [0; 40];
    packet[0] = 0x45;
    packet[3] = 40;
    packet[8] = 64;
    packet[9] = libc::IPPROTO_TCP as u8;
    packet[12..16].copy_from_slice(&from.ip().octets());
    packet[16..20].copy_from_slice(&to.ip().octets());
    packet[20..22].copy_from_slice(&from.port().to_be_bytes());
    packet[22..24].copy_from_slice(&to.port().to_be_bytes());
    packet[24..28].copy_from_slice(&numbers[0].to_be_bytes());
    packet[28..32].copy_from_slice(&numbers[1].to_be_bytes());
    packet[32] = 5 << 4;
    packet[33] = flags;
    packet[34..36].copy_from_slice(&u16::MAX.to_be_bytes());
    let words = packet[12..].chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let mut sum = words.sum::<u32>() + libc::IPPROTO_TCP as u32 + 20;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    packet[36..38].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    packet
}

/// What passes through loopback, also what nobody is there to take.
fn tap() -> Socket {
    let every_ip = i32::from((libc::ETH_P_IP as u16).to_be());
    let tap =
        Socket::new(Domain::PACKET, Type::DGRAM, Some(Protocol::from(every_ip))).expect("a packet socket");
    tap.set_read_timeout(Some(Duration::from_secs(20))).expect("SO_RCVTIMEO");
    tap
}

/// The number with which the SYN-ACK to an address begins.
fn answer(tap: &Socket, to: SocketAddrV4) -> u32 {
    let mut room = [MaybeUninit::<u8>::uninit(); 128];
    loop {
        let length = tap.recv(&mut room).expect("a SYN-ACK");
        // SAFETY: recv(2) has written so many bytes.
        #[expect(unsafe_code, reason = "socket2 reads into memory that nobody has written to")]
        let packet = unsafe { std::slice::from_raw_parts(room.as_ptr().cast::<u8>(), length) };
        let is_it = length >= 40 && packet[33] == SYN | ACK && packet[16..20] == to.ip().octets();
        if is_it {
            return u32::from_be_bytes([packet[24], packet[25], packet[26], packet[27]]);
        }
    }
}

/// The first two CPUs that this thread may run on; twice the same where there is one.
fn cpus() -> [usize; 2] {
    let may = sched_getaffinity(None).expect("sched_getaffinity");
    let mut cpus = (0..CpuSet::MAX_CPU).filter(|cpu| may.is_set(*cpu));
    let first = cpus.next().expect("a CPU");
    [first, cpus.next().unwrap_or(first)]
}

/// Sends a packet from both CPUs at once, each time that it is asked to.
struct Pair {
    round: AtomicU32,
    done: AtomicU32,
    acknowledged: AtomicU32,
}

impl Pair {
    const END: u32 = u32::MAX;

    fn send(&self, cpu: usize, to: SocketAddrV4) {
        let mut only = CpuSet::new();
        only.set(cpu);
        sched_setaffinity(None, &only).expect("sched_setaffinity");
        let socket = raw_socket().expect("a raw socket");
        for round in 1.. {
            loop {
                match self.round.load(Ordering::SeqCst) {
                    Self::END => return,
                    now if now == round => break,
                    _ => std::hint::spin_loop(),
                }
            }
            let isn = self.acknowledged.load(Ordering::SeqCst);
            let packet = packet(client(round), to, ACK, [1001, isn.wrapping_add(1)]);
            socket.send_to(&packet, &SocketAddr::from(to).into()).expect("a packet is sent");
            self.done.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// The silent address of a round.
fn client(round: u32) -> SocketAddrV4 {
    let [.., high, low] = round.to_be_bytes();
    SocketAddrV4::new(Ipv4Addr::new(127, 200, high, low), 4000)
}

#[test]
fn sockets_that_lose_the_race_for_a_request_are_noted_and_the_books_balance() {
    natively(AT_ONCE, || {
        let _silence = half_open::silence();
        let server = Server::listen(V4, 64);
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, server.address.port());
        let mut observer = Observer::start();
        let before = Counters::read();
        let raced = |rounds: u32| (Counters::read() - &before).of("PassiveOpens") - i64::from(rounds);
        let pair =
            Pair { round: AtomicU32::new(0), done: AtomicU32::new(0), acknowledged: AtomicU32::new(0) };
        let (tap, socket) = (tap(), raw_socket().expect("a raw socket"));
        let mut rounds = 0;
        thread::scope(|scope| {
            for cpu in cpus() {
                let pair = &pair;
                scope.spawn(move || pair.send(cpu, to));
            }
            while rounds < MOST && raced(rounds) < ENOUGH {
                rounds += 1;
                let syn = packet(client(rounds), to, SYN, [1000, 0]);
                socket.send_to(&syn, &SocketAddr::from(to).into()).expect("a packet is sent");
                pair.acknowledged.store(answer(&tap, client(rounds)), Ordering::SeqCst);
                pair.round.store(rounds, Ordering::SeqCst);
                while pair.done.load(Ordering::SeqCst) < 2 * rounds {
                    thread::yield_now();
                }
                crate::traffic::reset(server.accept());
            }
            pair.round.store(Pair::END, Ordering::SeqCst);
        });
        let raced = raced(rounds);
        println!("{raced} sockets were given up in {rounds} rounds");
        observer.wait_for_connections(rounds as usize);
        observer.wait_for_next_lines();
        let lines = observer.finish();
        let books: Vec<_> = lines.0.iter().filter(|line| line["check"] == "passive_opens").collect();
        let last = books.last().expect("a check of PassiveOpens");
        let opens = i64::from(rounds) + raced;
        assert_eq!((&last["ours"], &last["kernel"]), (&opens.into(), &opens.into()), "{last}");
        let note = last["reason"].as_str().unwrap_or_default();
        assert_eq!(note.starts_with(&format!("{raced} of them")), raced > 0, "{last}");
        assert_eq!((lines.loss().total, lines.connections().len()), (0, rounds as usize));
        assert_eq!(lines.listener(server.cookie).enqueued, u64::from(rounds));
    });
}
