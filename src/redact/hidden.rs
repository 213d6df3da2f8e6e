//! Hidden: the secrets that an answer may repeat, known by whoever sent them.

use std::fmt;
use std::sync::Arc;

use super::{Mask, Secret};

/// The secrets that an answer may repeat. They are asked for only where words of the answer are shown; until then it is
/// a pointer.
#[derive(Clone, Default)]
pub(crate) struct Hidden(Option<Arc<dyn Fn() -> Vec<Secret> + Send + Sync>>);

impl Hidden {
    /// Those that this gives when it is asked.
    pub(crate) fn by(secrets: impl Fn() -> Vec<Secret> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(secrets)))
    }

    /// Those and these, which went with one request alone.
    pub(crate) fn and(&self, sent: Vec<Secret>) -> Self {
        if sent.is_empty() {
            return self.clone();
        }
        let known = self.clone();
        Self::by(move || known.secrets().into_iter().chain(sent.iter().cloned()).collect())
    }

    pub(crate) fn mask(&self) -> Mask {
        Mask::of(self.secrets())
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
