//! The limit for the size of files, RLIMIT_FSIZE. Whoever writes beyond it gets SIGXFSZ, which kills, unless it is
//! caught: then write(2) fails with EFBIG, and is told as a full disk is.

/// Has writes beyond the limit fail. Programs that are started from here have the signal as it was.
pub fn exceeding_is_an_error() {
    extern "C" fn nothing(_: libc::c_int) {}
    let handler: extern "C" fn(libc::c_int) = nothing;
    // SAFETY: the handler does nothing, so it may run at any point. A handler and not SIG_IGN, which execve(2) keeps.
    #[expect(unsafe_code, reason = "neither std nor rustix sets a handler of a signal")]
    unsafe {
        libc::signal(libc::SIGXFSZ, handler as libc::sighandler_t);
    }
}
