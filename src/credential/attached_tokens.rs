//! AttachedTokens: the tokens that a request carries.

use std::sync::Arc;

use super::active_token::ActiveToken;

/// The tokens that a request carries, in the order of the credential's parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttachedTokens(pub(super) Vec<Arc<ActiveToken>>);

impl AttachedTokens {
    /// Records that the service accepted the tokens: an answer other than 401.
    pub(crate) fn accept(&self) {
        self.0.iter().for_each(|token| token.accept());
    }
}
