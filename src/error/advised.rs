//! Advised: a cause with advice on the fix.

use std::error::Error as StdError;
use std::fmt;

/// A cause with a known fix. The advice stands in the chain of sources above the cause, and code that shows the root of
/// a chain adds it.
#[derive(Debug)]
pub(crate) struct Advised {
    advice: &'static str,
    cause: Box<dyn StdError + Send + Sync>,
}

impl Advised {
    pub(crate) fn new(advice: &'static str, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { advice, cause: cause.into() }
    }
}

impl fmt::Display for Advised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.advice)
    }
}

impl StdError for Advised {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.cause.as_ref())
    }
}

/// Returns the message of the error at the end of the chain, which matters most to people, with its advice.
pub(crate) fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let mut advice = None;
    let mut last = error;
    loop {
        advice = advice.or(last.downcast_ref::<Advised>().map(|advised| advised.advice));
        match last.source() {
            Some(source) => last = source,
            None => break,
        }
    }
    advice.map_or_else(|| last.to_string(), |advice| format!("{last}; {advice}"))
}

/// Returns an error's message with the root of its chain.
pub(crate) fn with_cause(error: &(dyn StdError + 'static)) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", root_cause(source)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::error::{Error, ErrorKind};

    #[test]
    fn the_root_is_shown_with_the_advice_that_stands_above_it() {
        let root = || io::Error::new(io::ErrorKind::ConnectionRefused, "refused");
        assert_eq!(root_cause(&root()), "refused");
        assert_eq!(with_cause(&root()), "refused");
        let lost = Error::new(ErrorKind::Network, "lost").with_source(Advised::new("look at the port", root()));
        assert_eq!(root_cause(&lost), "refused; look at the port");
        assert_eq!(with_cause(&lost), "no answer from the service: lost: refused; look at the port");
        let outer = Error::new(ErrorKind::Network, "outer").with_source(lost);
        assert_eq!(root_cause(&outer), "refused; look at the port");
    }
}
