//! Attacks by a service, a storage, a token, a folder and a caller's data: each ends in a clear error or a safe reading,
//! and its legitimate neighbour goes on working. `docs/security.md` lists them.

mod bounds;
mod headers;
mod origins;
mod paths;
mod templates;
mod tokens;

use longhaul::testing::Script;
use longhaul::{Client, ClientBuilder, Credential};

use crate::support::{accepted, secs};

/// A client with a credential that no request elsewhere may carry.
fn builder(service: &Script) -> ClientBuilder {
    let credential = Credential::bearer("T0KEN").and(Credential::api_key_header("x-key", "K3Y"));
    service.client().credential(credential)
}

fn client(service: &Script) -> Client {
    builder(service).build().unwrap()
}

/// The requests so far: method and URL, and whether each had the credential.
fn asked(service: &Script) -> Vec<(String, bool)> {
    let line = |seen: &longhaul::testing::Recorded| {
        let carries = [seen.header("authorization").is_some(), seen.header("x-key").is_some()];
        assert_eq!(carries[0], carries[1], "a part of the credential without the other");
        (format!("{} {}", seen.method(), seen.url()), carries[0])
    };
    service.requests().iter().map(line).collect()
}
