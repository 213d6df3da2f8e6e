//! Words: a length of time in a sentence.

use std::time::Duration;

use super::{number, span};

/// Returns the longest length of time that a sentence names: 90 seconds for `Try again in 1 minute 30 seconds.`
///
/// Consecutive terms with different units are one length (`7h41m36s`, `2 hours and 5 minutes`). Rates (`100 per 5
/// minutes`) and the past (`5 minutes ago`) are skipped. A term that may be part of a length that is not understood (`2
/// heures 5 minutes`, `1:30 minutes`, `1h30`) makes the whole sentence unreadable, because part of a wait would be too
/// short.
pub(super) fn longest(text: &str) -> Option<Duration> {
    let iso = text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    let mut found = iso.filter(|word| word.starts_with('P')).filter_map(span::duration).max();
    let sentence = Sentence(tokens(text));
    let (mut at, mut read) = (0, 0);
    while at < sentence.0.len() {
        let Some((length, end)) = sentence.length(at)? else {
            at += 1;
            continue;
        };
        match sentence.before(at, read) {
            WordBefore::Broken => return None,
            WordBefore::Nothing if !sentence.is_past(end) => found = found.max(Some(length)),
            WordBefore::Nothing | WordBefore::Other => {}
        }
        (at, read) = (end, end);
    }
    found
}

/// A piece of a sentence, and whether a space precedes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WordToken<'a> {
    kind: WordKind<'a>,
    spaced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WordKind<'a> {
    /// Digits, with points and commas between them.
    Number(&'a str),
    Word(&'a str),
    Mark(char),
}

/// The text directly before a length of time.
enum WordBefore {
    /// Nothing that belongs to the length.
    Nothing,
    /// A word by which the length counts something else: a rate, or a name such as `v2`.
    Other,
    /// A minus, or the end of a term that is not understood.
    Broken,
}

struct Sentence<'a>(Vec<WordToken<'a>>);

impl<'a> Sentence<'a> {
    fn kind(&self, at: usize) -> Option<WordKind<'a>> {
        self.0.get(at).map(|token| token.kind)
    }

    /// Returns the terms from here on, and where they end. The inner `None` means that there is no term; the outer
    /// `None` means that the text cannot be understood.
    #[expect(clippy::option_option, reason = "an end of the reading, and nothing here")]
    fn length(&self, begin: usize) -> Option<Option<(Duration, usize)>> {
        let (mut total, mut units, mut end, mut next) = (Duration::ZERO, Vec::new(), begin, begin);
        while let Some((digits, unit, after)) = self.term(next).filter(|(_, unit, _)| !units.contains(unit)) {
            total = total.checked_add(number::decimal(&number::without_commas(digits)?, unit)?)?;
            units.push(unit);
            (end, next) = (after, self.behind_connector(after));
        }
        // `1h30`: the rest has no unit.
        let breaks_off = end > begin && matches!(self.kind(end), Some(WordKind::Number(_))) && self.term(end).is_none();
        (!breaks_off).then_some((end > begin).then_some((total, end)))
    }

    /// Returns a number and its unit, in milliseconds, and where they end.
    fn term(&self, at: usize) -> Option<(&'a str, u128, usize)> {
        let Some(WordKind::Number(digits)) = self.kind(at) else { return None };
        // The brackets of a template may still surround the number.
        let marks = |at: &usize| matches!(self.kind(*at), Some(WordKind::Mark(mark)) if AROUND.contains(&mark));
        let unit = (at + 1..).find(|at| !marks(at))?;
        let Some(WordKind::Word(word)) = self.kind(unit) else { return None };
        Some((digits, millis(word)?, unit + 1))
    }

    /// Skips a comma, an `and`, or both.
    fn behind_connector(&self, at: usize) -> usize {
        let at = at + usize::from(matches!(self.kind(at), Some(WordKind::Mark(',' | '&' | '+'))));
        at + usize::from(matches!(self.kind(at), Some(WordKind::Word(word)) if is_of(AND, word)))
    }

    /// Returns the text before the term at `at`; the terms before `read` are already read.
    fn before(&self, at: usize, read: usize) -> WordBefore {
        let last = |end: usize| end.checked_sub(1).filter(|at| *at >= read).and_then(|at| self.kind(at));
        let is_glued = self.0.get(at).is_some_and(|token| !token.spaced);
        let number_or_word = |kind| matches!(kind, Some(WordKind::Number(_) | WordKind::Word(_)));
        match last(at) {
            // The meaning of `1s2s` is unknown.
            None if is_glued && at > 0 && at == read => return WordBefore::Broken,
            Some(WordKind::Word(_)) if is_glued => return WordBefore::Other,
            Some(WordKind::Mark('/')) => return WordBefore::Other,
            Some(WordKind::Word(word)) if is_of(&["per"], word) => return WordBefore::Other,
            Some(WordKind::Mark('.' | ':' | ',')) if is_glued && number_or_word(last(at - 1)) => {
                return if matches!(last(at - 1), Some(WordKind::Number(_))) {
                    WordBefore::Broken
                } else {
                    WordBefore::Nothing
                };
            }
            Some(WordKind::Mark('-' | '\u{2212}' | '\u{2013}')) if is_glued => {
                // `1-2 minutes` is a range, whose end is the longer; `T-5` is a name.
                return match last(at - 1) {
                    Some(WordKind::Number(_)) => WordBefore::Nothing,
                    Some(WordKind::Word(_)) => WordBefore::Other,
                    _ => WordBefore::Broken,
                };
            }
            Some(WordKind::Number(_)) => return WordBefore::Broken,
            _ => {}
        }
        let mut end = at;
        if matches!(last(end), Some(WordKind::Word(word)) if is_of(AND, word)) {
            end -= 1;
        }
        if matches!(last(end), Some(WordKind::Mark(',' | '&' | '+'))) {
            end -= 1;
        }
        let Some(WordKind::Word(word)) = last(end) else { return WordBefore::Nothing };
        let counts = matches!(last(end - 1), Some(WordKind::Number(_))) && !is_of(CUES, word);
        if counts || millis(word).is_some() { WordBefore::Broken } else { WordBefore::Nothing }
    }

    fn is_past(&self, end: usize) -> bool {
        matches!(self.kind(end), Some(WordKind::Word(word)) if is_of(&["ago", "earlier"], word))
    }
}

fn tokens(text: &str) -> Vec<WordToken<'_>> {
    let (mut tokens, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.trim_start().chars().next() {
        let spaced = rest.starts_with(char::is_whitespace);
        rest = rest.trim_start();
        let length = match first {
            '0'..='9' => number_length(rest),
            _ if first.is_alphabetic() => rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (piece, behind) = rest.split_at(length);
        let kind = match first {
            '0'..='9' => WordKind::Number(piece),
            _ if first.is_alphabetic() => WordKind::Word(piece),
            _ => WordKind::Mark(first),
        };
        tokens.push(WordToken { kind, spaced });
        rest = behind;
    }
    tokens
}

/// Returns the length of digits, with points and commas that have digits on both sides.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let joins = |at: usize| matches!(bytes.get(at), Some(b'.' | b',')) && digit(at + 1);
    (0..bytes.len()).find(|at| !digit(*at) && !joins(*at)).unwrap_or(bytes.len())
}

fn is_of(words: &[&str], word: &str) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

fn millis(word: &str) -> Option<u128> {
    UNITS.iter().find(|(words, _)| is_of(words, word)).map(|(_, millis)| *millis)
}

const UNITS: [(&[&str], u128); 6] = [
    (&["ms", "msec", "msecs", "millis", "millisecond", "milliseconds"], 1),
    (&["s", "sec", "secs", "second", "seconds"], 1000),
    (&["m", "min", "mins", "minute", "minutes"], 60_000),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600_000),
    (&["d", "day", "days"], 86_400_000),
    (&["w", "wk", "wks", "week", "weeks"], 604_800_000),
];
const AND: &[&str] = &["and", "et", "und", "y", "e", "en", "og", "och"];
/// Words between a number of something and a wait: `status 429, wait 60 seconds`.
const CUES: &[&str] =
    &["in", "after", "wait", "for", "within", "retry", "about", "least", "is", "of", "to", "or", "than"];
const AROUND: [char; 12] = ['"', '\'', '(', ')', '[', ']', '{', '}', '<', '>', '`', '-'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_whole_length_in_a_sentence() {
        for (text, seconds) in [
            ("Rate limit exceeded. Retry the request in [42] seconds", 42.0),
            ("Rate limit is exceeded. Try again in 60 seconds.", 60.0),
            ("Max rate limit '100' exceeded with in '20' secs", 20.0),
            ("Error 429: wait 1.5 MINUTES", 90.0),
            ("again in 250ms", 0.25),
            ("again in 1 hour", 3600.0),
            ("Please try again in 7h41m36s. Need more tokens?", 27_696.0),
            ("Please try again in 1m30s.", 90.0),
            ("Please try again in 1h30min", 5400.0),
            ("retry after 2 hours 5 minutes", 7500.0),
            ("retry after 2 hours, 5 minutes and 10 seconds", 7510.0),
            ("in 1,200 seconds", 1200.0),
            ("in 1,000,000.5 seconds", 1_000_000.5),
            ("blocked for 2 days", 172_800.0),
            ("try again in 1 d 2 h", 93_600.0),
            ("Try again in PT1M30S.", 90.0),
            ("wait=60s", 60.0),
            ("respect the 60-second pause", 60.0),
            ("in 1-2 minutes", 120.0),
            // The longest of several.
            ("wait 30 seconds, at most 2 minutes", 120.0),
            ("60 seconds, 60 seconds", 60.0),
            ("wait 30 seconds. The account is blocked for 2 hours.", 7200.0),
            // Lengths of time that count something else.
            ("1000 per 24 hours are allowed. Retry in 30 seconds", 30.0),
            ("Limit: 3 / min. Please try again in 20s.", 20.0),
            ("100 requests/5 minutes, try again in 10 s", 10.0),
            ("it was reset 5 minutes ago, try again in 10 seconds", 10.0),
            ("HTTP 429 in v2 seconds, wait 7 seconds", 7.0),
            ("status 429 wait 60 seconds", 60.0),
            ("in 60 seconds, 3 attempts are left", 60.0),
        ] {
            assert_eq!(longest(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
    }

    #[test]
    fn takes_no_part_of_a_length_that_it_does_not_understand() {
        for text in [
            "429.",
            "in 60",
            "in 99999999999999999999 seconds",
            "in 5 séconds",
            "",
            "soon",
            "one hour",
            "two hours 5 minutes",
            "an hour and 5 minutes",
            "2 heures 5 minutes",
            "2 heures, 5 minutes",
            "2 heures et 5 minutes",
            "1 month 2 days",
            "1 fortnight and 2 days",
            "1h30",
            "1s2s",
            "P400D1D",
            "1 hour 30",
            "1:30 minutes",
            "00:01:30 hours",
            "1 30 seconds",
            "1,5 hours",
            "1.2.3 seconds",
            "in -5 seconds",
            "in \u{2212}5 seconds",
            "5 minutes ago",
            "at most 3 / min",
            "1/2 hour",
        ] {
            assert_eq!(longest(text), None, "{text}");
        }
    }
}
