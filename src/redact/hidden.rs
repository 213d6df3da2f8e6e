//! Hidden: the secrets that an answer may repeat, as the sender of the request knows them.

use std::fmt;
use std::sync::Arc;

use super::{Mask, Secret};

/// The secrets that an answer may repeat. The secrets are collected only when words of the answer are shown; until
/// then, the value is one pointer.
#[derive(Clone, Default)]
pub(crate) struct Hidden(Option<Arc<dyn Fn() -> Vec<Secret> + Send + Sync>>);

impl Hidden {
    /// Creates a value that collects the secrets by this function.
    pub(crate) fn by(secrets: impl Fn() -> Vec<Secret> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(secrets)))
    }

    /// Adds secrets that were sent with one request alone.
    pub(crate) fn and(&self, sent: Vec<Secret>) -> Self {
        if sent.is_empty() {
            return self.clone();
        }
        let known = self.clone();
        Self::by(move || known.secrets().into_iter().chain(sent.iter().cloned()).collect())
    }

    pub(crate) fn mask(&self) -> Mask {
        Mask::from_secrets(self.secrets())
    }

    fn secrets(&self) -> Vec<Secret> {
        self.0.as_ref().map(|secrets| secrets()).unwrap_or_default()
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}
