//! Source text as words, without comments, texts, and lifetimes.

/// A word, a number, `::`, or one other character.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.text == text
    }

    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(|first: char| first.is_alphabetic() || first == '_')
    }
}

pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let (mut found, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let begin = at;
        at = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => until(&chars, at, |c| c == '\n'),
            '/' if chars.get(at + 1) == Some(&'*') => after_comment(&chars, at),
            '"' => after_text(&chars, at),
            '\'' => after_quote(&chars, at),
            c if c.is_whitespace() => at + 1,
            c if is_word(c) => {
                let end = until(&chars, at, |c| !is_word(c));
                let word: String = chars[at..end].iter().collect();
                match (word.as_str(), chars.get(end)) {
                    ("r" | "br" | "cr", Some('"' | '#')) => after_raw_text(&chars, end),
                    ("b" | "c", Some('"')) => after_text(&chars, end),
                    ("b", Some('\'')) => after_quote(&chars, end),
                    _ => {
                        found.push(Token { text: word, line });
                        end
                    }
                }
            }
            ':' if chars.get(at + 1) == Some(&':') => {
                found.push(Token { text: "::".to_owned(), line });
                at + 2
            }
            c => {
                found.push(Token { text: c.to_string(), line });
                at + 1
            }
        };
        line += chars[begin..at].iter().filter(|c| **c == '\n').count();
    }
    found
}

/// Without the items behind `#[cfg(test)]`.
pub(crate) fn without_tests(tokens: &[Token]) -> Vec<Token> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let is_test = tokens[at..].iter().zip(ATTRIBUTE).filter(|(token, text)| token.is(text)).count() == 7;
        if is_test {
            at = after_item(tokens, at + ATTRIBUTE.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Where the item that begins here ends: with its `;`, or with its block.
fn after_item(tokens: &[Token], begin: usize) -> usize {
    let is_use = tokens[begin..].iter().take(5).any(|token| token.is("use"));
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(begin) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && (token.is(";") || token.is("}") && !is_use) {
            return at + 1;
        }
    }
    tokens.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn until(chars: &[char], from: usize, ends: impl Fn(char) -> bool) -> usize {
    (from..chars.len()).find(|at| ends(chars[*at])).unwrap_or(chars.len())
}

fn after_comment(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0_usize);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (at, depth) = (at + 2, depth + 1),
            ('*', Some('/')) => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn after_text(chars: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn after_raw_text(chars: &[char], from: usize) -> usize {
    let hashes = chars[from..].iter().take_while(|c| **c == '#').count();
    let mut at = from + hashes;
    if chars.get(at) != Some(&'"') {
        // A raw word, as `r#type`.
        return from + 1;
    }
    loop {
        at = until(chars, at + 1, |c| c == '"');
        if at == chars.len() || chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
            return (at + 1 + hashes).min(chars.len());
        }
    }
}

/// Behind a character in quotes, or behind a lifetime.
fn after_quote(chars: &[char], from: usize) -> usize {
    match (chars.get(from + 1), chars.get(from + 2)) {
        (Some('\\'), _) => until(chars, from + 3, |c| c == '\'') + 1,
        (Some(_), Some('\'')) => from + 3,
        _ => until(chars, from + 1, |c| !is_word(c)),
    }
}

#[test]
fn comments_texts_and_lifetimes_are_no_words() {
    let text = "a // no\n/* no /* no */ */ b \"no \\\" no\" r#\"no \" no\"# 'n' '\\'' &'no c b\"no\" c::d r#type";
    let words: Vec<_> = tokens(text).into_iter().map(|token| token.text).collect();
    assert_eq!(words, ["a", "b", "&", "c", "c", "::", "d", "type"]);
    assert_eq!(tokens("a\n\"x\ny\"\nb").last().map(|token| token.line), Some(4));
}

#[test]
fn tests_are_left_out_to_their_end() {
    let text = "a; #[cfg(test)] mod tests { fn no() { no(); } } b #[cfg(test)] mod no; c \
                #[cfg(test)] use no::{no, no}; d #[cfg(test)] #[no] fn no() -> [u8; 4] { no } e";
    let words: Vec<_> = without_tests(&tokens(text)).into_iter().map(|token| token.text).collect();
    assert_eq!(words, ["a", ";", "b", "c", "d", "e"]);
}
