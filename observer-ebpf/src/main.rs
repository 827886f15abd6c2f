//! The kernel half of observer.
//!
//! # Layout
//! - [`atomic`]: the atomic instructions
//! - [`maps`]: every map, with what happens when it is full
//! - [`constants`]: what the loader hands over: member offsets and filters
//! - [`copies`]: programs that are attached more than once
//! - [`kernel`]: reads of kernel structures
//! - [`books`]: counting: atomics, histograms, losses
//! - [`select`]: which listeners are watched
//! - [`threads`]: who is doing it
//! - [`probes`]: the signals, one file each
//!
//! Nothing here changes what the kernel does: no helper that writes to user memory, overrides or signals is called.
#![cfg_attr(target_arch = "bpf", no_std)]
#![cfg_attr(target_arch = "bpf", no_main)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![cfg_attr(
    target_arch = "bpf",
    expect(unsafe_code, clippy::undocumented_unsafe_blocks, reason = "the verifier proves every access")
)]

#[cfg(target_arch = "bpf")]
mod atomic;
#[cfg(target_arch = "bpf")]
mod books;
#[cfg(target_arch = "bpf")]
mod constants;
#[cfg(target_arch = "bpf")]
mod copies;
#[cfg(target_arch = "bpf")]
mod kernel;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod probes;
#[cfg(target_arch = "bpf")]
mod select;
#[cfg(target_arch = "bpf")]
mod threads;

/// On the host this target has nothing to do; only its library is of use there.
#[cfg(not(target_arch = "bpf"))]
fn main() {}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses programs that could get here: an endless loop is not loadable.
    loop {}
}

#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
