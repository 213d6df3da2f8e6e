//! Generations: which of two tokens is the later one, where several processes share a store.
//!
//! All decisions are pure. Clocks of processes differ, so that no time of one is compared with a time of another alone.

use super::exclusive::StoredToken;
use super::token::Token;

/// The generations of a store that a process has to do with.
#[derive(Debug, Default)]
pub(super) struct Generations {
    /// That of the token in use; `None` if the token is of no store.
    used: Option<u64>,
    /// That which the token that is not saved yet replaces.
    replaced: u64,
}

/// The meaning of another generation than the one that a save was to replace.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Conflict {
    /// The store has this very token: an earlier save arrived, and its answer was lost.
    Saved,
    /// The store lost what it had: the token replaces that which is left.
    Again,
    /// Another process saved its own.
    Theirs(Token),
    LoggedOut,
}

impl Generations {
    /// Returns the token of the store if it is later than the one in use.
    pub(super) fn later<'a>(&self, active: Option<&Token>, stored: &'a StoredToken) -> Option<&'a Token> {
        let token = stored.token()?;
        let Some(active) = active else { return Some(token) };
        let is_older = self.used.is_some_and(|used| goes_back(used, active, stored.generation(), token));
        let is_other = self.used != Some(stored.generation()) && !active.has_secrets_of(token);
        (is_other && !is_older).then_some(token)
    }

    /// Records the generation of the token that is used from now on.
    pub(super) const fn use_now(&mut self, generation: u64) {
        self.used = Some(generation);
    }

    /// Records which generation the token replaces that was just received.
    pub(super) const fn receive(&mut self, replaced: u64) {
        self.replaced = replaced;
    }

    pub(super) const fn replaced(&self) -> u64 {
        self.replaced
    }
}

/// Returns what became of a token that was to replace this generation.
pub(super) fn conflict(token: &Token, replaced: u64, stored: &StoredToken) -> Conflict {
    match stored.token() {
        Some(other) if other.has_secrets_of(token) => Conflict::Saved,
        Some(other) if goes_back(replaced, token, stored.generation(), other) => Conflict::Again,
        Some(other) => Conflict::Theirs(other.clone()),
        None if stored.is_nothing() => Conflict::Again,
        None => Conflict::LoggedOut,
    }
}

/// Returns whether a store has an older token than it had, such as a replica that became the master without the last
/// writes. Its generation and its time both have to say so: not all generations grow, and not all clocks agree.
fn goes_back(generation: u64, token: &Token, found: u64, other: &Token) -> bool {
    found < generation && other.obtained_at() < token.obtained_at()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    /// A token that was obtained at this second.
    fn token(access: &str, second: u64) -> Token {
        Token::obtained(access.to_owned(), SystemTime::UNIX_EPOCH + Duration::from_secs(second))
    }

    fn stored(generation: u64, token: Token) -> StoredToken {
        StoredToken::new(generation, Some(token))
    }

    #[test]
    fn another_generation_is_later_whatever_the_clocks_say() {
        let mut generations = Generations::default();
        generations.use_now(5);
        let used = token("A", 100);
        for (found, is_later) in [
            (stored(5, token("A", 100)), false),
            // The same generation, whose times were rounded.
            (stored(5, token("A", 99)), false),
            // By a process whose clock is a minute behind.
            (stored(6, token("B", 40)), true),
            (stored(6, token("B", 160)), true),
            // The same token, saved again.
            (stored(6, token("A", 100)), false),
            // A store whose generations do not grow.
            (stored(4, token("B", 160)), true),
            // A store that went back.
            (stored(4, token("B", 40)), false),
            (StoredToken::new(6, None), false),
            (StoredToken::nothing(), false),
        ] {
            assert_eq!(generations.later(Some(&used), &found).is_some(), is_later, "{found:?}");
        }
        assert!(generations.later(None, &stored(5, token("A", 1))).is_some());
        assert!(Generations::default().later(Some(&used), &stored(5, token("B", 1))).is_some());
    }

    #[test]
    fn no_token_is_lost_that_could_be_the_only_valid_one() {
        let mine = token("MINE", 100);
        for (found, meaning) in [
            (stored(7, mine.clone()), Conflict::Saved),
            (stored(6, token("B", 40)), Conflict::Theirs(token("B", 40))),
            (stored(6, token("B", 160)), Conflict::Theirs(token("B", 160))),
            (stored(4, token("OLD", 10)), Conflict::Again),
            (StoredToken::nothing(), Conflict::Again),
            (StoredToken::new(6, None), Conflict::LoggedOut),
        ] {
            assert_eq!(conflict(&mine, 5, &found), meaning, "{found:?}");
        }
    }
}
