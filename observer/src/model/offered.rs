//! What a load generator says that it offers, so that a rule can tell when it does not.

use serde::{Deserialize, Serialize};

/// What one load generator offers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Offered {
    /// Process of the generator.
    pub pid: u32,
    /// Connections per second that it wants to make; null for a closed loop.
    pub rate: Option<f64>,
    /// Most of its connections at one time.
    pub connections: u32,
    /// Its rate is the same all the time, and each request is a connection.
    pub is_even: bool,
    /// Cookies of the listeners that it connects to.
    pub listeners: Vec<u64>,
}
