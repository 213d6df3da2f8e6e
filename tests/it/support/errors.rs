//! What an error says.

use std::error::Error;

/// The error and its sources, outermost first.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    sources(error).map(ToString::to_string).collect()
}

/// All that the error and its sources print, in every form.
pub(crate) fn shown(error: &(dyn Error + 'static)) -> String {
    sources(error).map(|error| format!("{error} {error:?} {error:#?} ")).collect()
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
