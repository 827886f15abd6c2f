//! An `sk_lookup` program, which gives a listener what was sent to another port: as TPROXY does, without a tool of netfilter's.
//!
//! <https://docs.kernel.org/bpf/prog_sk_lookup.html>; the calls and structures are of `include/uapi/linux/bpf.h`.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use socket2::Socket;

const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE: libc::c_int = 2;
const PROG_LOAD: libc::c_int = 5;
const LINK_CREATE: libc::c_int = 28;
const MAP_TYPE_SOCKMAP: u32 = 15;
const PROG_TYPE_SK_LOOKUP: u32 = 30;
const ATTACH_SK_LOOKUP: u32 = 36;

const MAP_LOOKUP_ELEM: i32 = 1;
const SK_RELEASE: i32 = 86;
const SK_ASSIGN: i32 = 124;
/// Offset of `local_port` in `struct bpf_sk_lookup`: the port that a packet was sent to.
const LOCAL_PORT: i16 = 60;

/// Attached to the network namespace of the thread that made it, while it lives.
#[derive(Debug)]
pub(crate) struct Redirect {
    _link: OwnedFd,
}

impl Redirect {
    /// Gives a listener all that is sent to this port.
    pub(crate) fn to(listener: &Socket, port: u16) -> io::Result<Self> {
        let map = bpf(MAP_CREATE, &words(&[MAP_TYPE_SOCKMAP, 4, 8, 1]))?;
        let (key, socket) = (0u32, listener.as_raw_fd() as u64);
        let pointer = |address: usize| (address as u64).to_ne_bytes();
        let mut update = words(&[map.as_raw_fd().cast_unsigned(), 0]);
        update.extend(pointer((&raw const key).expose_provenance()));
        update.extend(pointer((&raw const socket).expose_provenance()));
        update.extend([0; 8]);
        call(MAP_UPDATE, &update)?;

        let program = program(map.as_raw_fd(), port);
        let license = c"GPL";
        let mut load = words(&[PROG_TYPE_SK_LOOKUP, program.len() as u32]);
        load.extend(pointer(program.as_ptr().expose_provenance()));
        load.extend(pointer(license.as_ptr().expose_provenance()));
        // log_level, log_size, log_buf, kern_version, prog_flags, prog_name, prog_ifindex.
        load.extend([0; 4 + 4 + 8 + 4 + 4 + 16 + 4]);
        load.extend(ATTACH_SK_LOOKUP.to_ne_bytes());
        let loaded = bpf(PROG_LOAD, &load)?;

        let here = File::open("/proc/thread-self/ns/net")?;
        let link = [loaded.as_raw_fd(), here.as_raw_fd()].map(i32::cast_unsigned);
        let link = bpf(LINK_CREATE, &words(&[link[0], link[1], ATTACH_SK_LOOKUP, 0]))?;
        Ok(Self { _link: link })
    }
}

/// `if (ctx->local_port == port) bpf_sk_assign(ctx, map[0], 0); return SK_PASS;`
fn program(map: i32, port: u16) -> Vec<[u8; 8]> {
    let code = |code: u8, to: u8, from: u8, offset: i16, value: i32| {
        let (offset, value) = (offset.to_ne_bytes(), value.to_ne_bytes());
        [code, to | from << 4, offset[0], offset[1], value[0], value[1], value[2], value[3]]
    };
    const MOVE: u8 = 0xbf;
    const MOVE_VALUE: u8 = 0xb7;
    const ADD_VALUE: u8 = 0x07;
    const LOAD_WORD: u8 = 0x61;
    const STORE_VALUE: u8 = 0x62;
    const LOAD_MAP: u8 = 0x18;
    const JUMP_IF_NOT: u8 = 0x55;
    const JUMP_IF: u8 = 0x15;
    const CALL: u8 = 0x85;
    const EXIT: u8 = 0x95;
    const PSEUDO_MAP: u8 = 1;
    vec![
        code(MOVE, 6, 1, 0, 0),
        code(LOAD_WORD, 2, 6, LOCAL_PORT, 0),
        code(JUMP_IF_NOT, 2, 0, 14, port.into()),
        code(STORE_VALUE, 10, 0, -4, 0),
        code(MOVE, 2, 10, 0, 0),
        code(ADD_VALUE, 2, 0, 0, -4),
        code(LOAD_MAP, 1, PSEUDO_MAP, 0, map),
        code(0, 0, 0, 0, 0),
        code(CALL, 0, 0, 0, MAP_LOOKUP_ELEM),
        code(JUMP_IF, 0, 0, 7, 0),
        code(MOVE, 7, 0, 0, 0),
        code(MOVE, 1, 6, 0, 0),
        code(MOVE, 2, 7, 0, 0),
        code(MOVE_VALUE, 3, 0, 0, 0),
        code(CALL, 0, 0, 0, SK_ASSIGN),
        code(MOVE, 1, 7, 0, 0),
        code(CALL, 0, 0, 0, SK_RELEASE),
        code(MOVE_VALUE, 0, 0, 0, 1),
        code(EXIT, 0, 0, 0, 0),
    ]
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// A call that returns a descriptor.
fn bpf(command: libc::c_int, attributes: &[u8]) -> io::Result<OwnedFd> {
    let descriptor = call(command, attributes)?;
    #[expect(unsafe_code, reason = "a number becomes a descriptor that is closed once")]
    // SAFETY: the kernel has just made it, and nothing else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn call(command: libc::c_int, attributes: &[u8]) -> io::Result<libc::c_int> {
    #[expect(unsafe_code, reason = "no library here offers these commands of bpf(2) without an object file")]
    // SAFETY: the kernel reads as many bytes as it is told of; what they point at lives in the callers, through the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_ptr(), attributes.len()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as libc::c_int) }
}
