//! Ignored: a value that makes no sense is passed over and reported, and the rest is read.

use crate::redact::scrub;

/// Reads all, also behind one that makes no sense.
pub(super) fn each<T>(items: impl IntoIterator<Item = T>, mut read: impl FnMut(T) -> Option<()>) -> Option<()> {
    let mut sound = Some(());
    for item in items {
        sound = read(item).and(sound);
    }
    sound
}

/// What is said of a value that was not understood. Its beginning is enough to find it by.
pub(super) fn ignored(what: &str, value: &str) -> String {
    let shown = |text: &str, most| text.chars().filter(|c| !c.is_control()).take(most).collect::<String>();
    // A service may put a link anywhere.
    format!("ignored {}: `{}`", shown(what, 60), shown(&scrub(value), 40))
}
