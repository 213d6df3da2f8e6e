//! Echo: what a service may repeat of a credential.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::live::{Live, Source};
use super::{Credential, Part};
use crate::redact::{Mask, Secret};

impl Credential {
    /// Takes out of a service's words what this credential sent. For the way of errors: it copies every secret.
    ///
    /// What a [`Sign`](super::Sign) makes is not known here.
    pub(crate) fn mask(&self) -> Mask {
        Mask::of(self.0.iter().flat_map(|part| match part {
            Part::Header { value, label, .. } => of_header(value.expose(), label),
            Part::Query { value, .. } => vec![value.clone()],
            Part::Live(live) => live.secrets(),
            Part::Signed(_) => Vec::new(),
        }))
    }
}

impl Live {
    /// The tokens in use and those before, and all that is sent for them.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let mut secrets = match &self.source {
            Source::OAuth(oauth) => oauth.secrets(),
            Source::Own(_) => Vec::new(),
        };
        let state = self.state();
        let current = state.current();
        let held = state.held.iter().chain(&state.former).map(|held| &held.token);
        let tokens = current.iter().chain(held);
        secrets
            .extend(tokens.flat_map(|token| [Some(token.expose()), token.expose_refresh()]).flatten().map(Secret::new));
        secrets
    }
}

/// The value, and what of it is secret by itself.
fn of_header(value: &str, label: &str) -> Vec<Secret> {
    let bare = value.split_once(' ').map(|(_, bare)| bare);
    let password = || {
        let pair = Zeroizing::new(STANDARD.decode(bare?).ok()?);
        Some(Secret::new(std::str::from_utf8(&pair).ok()?.split_once(':')?.1))
    };
    match (label, bare) {
        ("basic", Some(bare)) => password().into_iter().chain([Secret::new(bare)]).collect(),
        ("bearer", Some(bare)) => vec![Secret::new(bare)],
        // The user's own scheme, perhaps.
        (_, bare) => bare.into_iter().chain([value]).map(Secret::new).collect(),
    }
}
