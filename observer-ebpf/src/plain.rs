//! Records as bytes and back.

/// A type that may be made of any bytes: `#[repr(C)]`, integers and arrays of integers only, no padding.
///
/// # Safety
/// Every bit pattern of the type's size must be a valid value, and the type must have no padding bytes.
#[expect(unsafe_code, reason = "the promise that makes decoding bytes from the kernel sound is made here")]
pub unsafe trait Plain: Copy + 'static {}

/// Reads a record from bytes; `None` if they are too few.
pub fn decode<T: Plain>(bytes: &[u8]) -> Option<T> {
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: there are enough bytes, any bytes are a `T` (`Plain`), and the read does not need alignment.
    #[expect(unsafe_code, reason = "the one place where bytes become records")]
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

/// The bytes of a record.
pub fn bytes<T: Plain>(record: &T) -> &[u8] {
    // SAFETY: a `T` has no padding (`Plain`), so all of its bytes are initialised; the borrow keeps it in place.
    #[expect(unsafe_code, reason = "the one place where records become bytes")]
    unsafe {
        core::slice::from_raw_parts(core::ptr::from_ref(record).cast(), size_of::<T>())
    }
}
