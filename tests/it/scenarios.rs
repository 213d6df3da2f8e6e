//! The services of the mission, simulated as they are documented, through the public interface alone: each with its own
//! profile, over real sockets and on the real clock. So the tests assert counts and order, and never a time.
//!
//! By default limits and windows are shortened where the true ones would take long; `LONGHAUL_LONG=1` takes the true
//! ones.

mod aprimo;
mod constant_contact;
mod genesys;
mod sitecore_send;
mod smag;

use longhaul::Profile;
use serde_json::Value;

fn is_long() -> bool {
    std::env::var_os("LONGHAUL_LONG").is_some_and(|long| long == "1")
}

/// The profile with windows that are shorter by this factor.
fn shrunk(profile: &Profile, factor: u32) -> Profile {
    let mut written = serde_json::to_value(profile).unwrap();
    for limit in written["limits"].as_array_mut().unwrap() {
        for window in limit["windows"].as_array_mut().unwrap() {
            if let Some(seconds) = window.get("seconds").and_then(Value::as_f64) {
                window["seconds"] = Value::from(seconds / f64::from(factor));
            }
        }
    }
    serde_json::from_value(written).unwrap()
}
