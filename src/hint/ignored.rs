//! Ignored: an invalid value is skipped and reported, and the rest is read.

use crate::redact::scrub;

/// Reads all items, including those after an invalid item.
pub(super) fn each<T>(items: impl IntoIterator<Item = T>, mut read: impl FnMut(T) -> Option<()>) -> Option<()> {
    let mut sound = Some(());
    for item in items {
        sound = read(item).and(sound);
    }
    sound
}

/// Returns the report of a value that was not understood. The beginning of the value is enough to find it.
pub(super) fn ignored(what: &str, value: &str) -> String {
    let shown = |text: &str, most| text.chars().filter(|c| !c.is_control()).take(most).collect::<String>();
    // A service may put a link in any value.
    format!("ignored {}: `{}`", shown(what, 60), shown(&scrub(value), 40))
}
