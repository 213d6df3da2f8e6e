//! One source: the names that it imports, the types that it declares, the types that it gives methods to.

use std::collections::BTreeSet;

use crate::tokens::Token;

/// A path of names, as `["crate", "limit", "Limit"]`.
pub(crate) type Names = Vec<String>;

/// A name that is used by its path, or brought in by `use`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Import {
    pub(crate) path: Names,
    pub(crate) line: usize,
    /// The modules of this source that it stands in.
    pub(crate) inside: Names,
    /// The name that it has here, by `use`.
    pub(crate) name: Option<String>,
    /// By `pub use`, `pub(crate) use`, or `pub(super) use`.
    pub(crate) is_passed_on: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) imports: Vec<Import>,
    /// Structs, enums, unions, and aliases.
    pub(crate) types: BTreeSet<String>,
    /// The types of its `impl` blocks without a trait.
    pub(crate) impls: Vec<(String, usize)>,
    /// All words outside `use`.
    pub(crate) words: BTreeSet<String>,
}

impl Source {
    pub(crate) fn parse(tokens: &[Token]) -> Self {
        let mut source = Self::default();
        // The open modules of this source, and the depth that each ends at.
        let (mut open, mut depth, mut at) = (Vec::<(String, usize)>::new(), 0_usize, 0);
        while let Some(token) = tokens.get(at) {
            let inside = || open.iter().map(|(name, _)| name.clone()).collect();
            let next = |text: &str| tokens.get(at + 1).is_some_and(|token| token.is(text));
            let is_path = at == 0 || !["::", "."].contains(&tokens[at - 1].text.as_str()) && !is_visibility(tokens, at);
            match token.text.as_str() {
                "use" if tokens.get(at + 1).is_some_and(|token| token.is_word() || token.is("::") || token.is("{")) => {
                    let mut tree =
                        Tree { tokens, at: at + 1, inside: inside(), is_passed_on: is_passed_on(tokens, at) };
                    tree.read(&[], &mut source.imports);
                    at = tree.at;
                    continue;
                }
                "struct" | "enum" | "union" | "type" if tokens.get(at + 1).is_some_and(Token::is_word) => {
                    source.types.insert(tokens[at + 1].text.clone());
                }
                "impl" if at == 0 || is_item(&tokens[at - 1]) => source.impls.extend(inherent(tokens, at)),
                "mod" if tokens.get(at + 2).is_some_and(|token| token.is("{")) => {
                    open.push((tokens[at + 1].text.clone(), depth));
                }
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    open.pop_if(|(_, begun)| *begun == depth);
                }
                _ if token.is_word() && is_path && next("::") => {
                    let path = path(&tokens[at..]);
                    source.imports.push(Import {
                        path,
                        line: token.line,
                        inside: inside(),
                        name: None,
                        is_passed_on: false,
                    });
                }
                _ => {}
            }
            if token.is_word() {
                source.words.insert(token.text.clone());
            }
            at += 1;
        }
        source
    }
}

/// Whether an `impl` behind this is an item, and no type such as `-> impl Trait`.
fn is_item(before: &Token) -> bool {
    ["}", ";", "{", "]"].contains(&before.text.as_str())
}

/// The path of `pub(in path)`.
fn is_visibility(tokens: &[Token], at: usize) -> bool {
    at >= 3 && tokens[at - 3..at].iter().zip(["pub", "(", "in"]).all(|(token, text)| token.is(text))
}

fn is_passed_on(tokens: &[Token], at: usize) -> bool {
    at > 0 && (tokens[at - 1].is("pub") || tokens[at - 1].is(")"))
}

fn path(tokens: &[Token]) -> Names {
    let mut names = vec![tokens[0].text.clone()];
    let mut rest = &tokens[1..];
    while let [colons, name, ..] = rest
        && colons.is("::")
        && name.is_word()
    {
        names.push(name.text.clone());
        rest = &rest[2..];
    }
    names
}

/// The type of an `impl` that is of no trait, and the line of the block.
fn inherent(tokens: &[Token], at: usize) -> Option<(String, usize)> {
    let head: Vec<&Token> = tokens[at + 1..].iter().take_while(|token| !token.is("{") && !token.is("where")).collect();
    let (mut depth, mut name) = (0_usize, None);
    for (place, token) in head.iter().enumerate() {
        match token.text.as_str() {
            "<" => depth += 1,
            // Not the end of `->`.
            ">" if place > 0 && head[place - 1].is("-") => {}
            ">" => depth = depth.saturating_sub(1),
            "for" if depth == 0 => return None,
            _ if depth == 0 && token.is_word() && !token.is("dyn") => name = Some(token.text.clone()),
            _ => {}
        }
    }
    name.map(|name| (name, tokens[at].line))
}

/// What stands behind `use`.
struct Tree<'a> {
    tokens: &'a [Token],
    at: usize,
    inside: Names,
    is_passed_on: bool,
}

impl Tree<'_> {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or(";", |token| &token.text)
    }

    fn read(&mut self, before: &[String], found: &mut Vec<Import>) {
        let (mut path, line) = (before.to_vec(), self.tokens[self.at].line);
        loop {
            match self.peek() {
                "::" => self.at += 1,
                "{" => {
                    self.at += 1;
                    while !["}", ";"].contains(&self.peek()) {
                        self.read(&path, found);
                        if self.peek() == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "as" => {
                    self.at += 1;
                    let name = self.peek().to_owned();
                    self.at += 1;
                    found.push(self.import(path, line, Some(name)));
                    return;
                }
                ";" | "," | "}" => {
                    let is_itself = path.last().is_some_and(|last| last == "self");
                    if is_itself && path.len() > 1 {
                        path.pop();
                    }
                    let name = path.last().cloned();
                    found.push(self.import(path, line, name));
                    return;
                }
                "*" => {
                    self.at += 1;
                    found.push(self.import(path, line, None));
                    return;
                }
                name => {
                    path.push(name.to_owned());
                    self.at += 1;
                }
            }
        }
    }

    fn import(&self, path: Names, line: usize, name: Option<String>) -> Import {
        Import { path, line, inside: self.inside.clone(), name, is_passed_on: self.is_passed_on }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::tokens;

    fn paths(text: &str) -> Vec<String> {
        Source::parse(&tokens(text)).imports.into_iter().map(|import| import.path.join("::")).collect()
    }

    #[test]
    fn sees_imports_in_every_form() {
        let text = "use crate::a::B;\nlet x = crate::b::c();\nuse crate::{\n    d::E,\n    f,\n};\n// crate::no\n\
                    pub(crate) use crate::g;";
        assert_eq!(paths(text), ["crate::a::B", "crate::b::c", "crate::d::E", "crate::f", "crate::g"]);
        let text = "use super::{a, b::{C, d as e}, f::{self, G}, h::*}; use super::super::i; fn x(_: self::J::K) {}";
        let found = "super::a super::b::C super::b::d super::f super::f::G super::h super::super::i self::J::K";
        assert_eq!(paths(text).join(" "), found);
        assert_eq!(paths("x.y::<Z>(); a::b::<c::D>::e()"), ["a::b", "c::D"], "what follows a dot is a method");
        assert_eq!(paths("pub(in crate::a) fn b() { for c in crate::d() {} }"), ["crate::d"]);
    }

    #[test]
    fn knows_names_visibility_and_inner_modules() {
        let text = "pub(super) use a::B as C; mod d { mod e { } use super::F; } use G;";
        let imports = Source::parse(&tokens(text)).imports;
        let seen: Vec<_> = imports
            .iter()
            .map(|import| (import.name.as_deref().unwrap(), import.is_passed_on, import.inside.join("::")))
            .collect();
        assert_eq!(seen, [("C", true, String::new()), ("F", false, "d".to_owned()), ("G", false, String::new())]);
    }

    #[test]
    fn sees_impls_of_no_trait() {
        let text = "impl A { } impl<T: Into<B>> C<T> where T: D { } impl<T> E for F<T> { } impl a::G<'_> { } \
                    fn h() -> impl I { } impl<J: Fn() -> K> L<J> { } impl M<N> for O where P: Q { }";
        let found: Vec<_> = Source::parse(&tokens(text)).impls.into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, ["A", "C", "G", "L"]);
    }

    #[test]
    fn sees_types() {
        let source = Source::parse(&tokens("pub struct A; enum B { C } type D = E; union F { g: u8 } fn h() {}"));
        assert_eq!(source.types.into_iter().collect::<String>(), "ABDF");
    }
}
