//! The terminal that a program writes to: how wide it is, and text that fits it.

use std::env;

use console::Term;

/// A terminal, or what stands in its place: a pipe and a file have no edge.
pub(crate) struct Terminal(pub(crate) Term);

impl Terminal {
    /// Whether it can be drawn on, beyond writing line after line.
    pub(crate) fn is_screen(&self) -> bool {
        self.0.is_term() && env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// Its rows and columns.
    pub(crate) fn size(&self) -> Option<(usize, usize)> {
        let (rows, columns) = self.0.size_checked().filter(|_| self.0.is_term())?;
        Some((rows.into(), columns.into()))
    }

    /// Its columns, without end where there are none.
    pub(crate) fn width(&self) -> usize {
        self.size().map_or(usize::MAX, |(_, columns)| columns)
    }

    /// Breaks lines between words so that none is wider than this, and indents what follows a break.
    pub(crate) fn fold(&self, text: &str, indent: usize) -> String {
        text.lines().map(|line| fold(line, self.width(), indent)).collect::<Vec<_>>().join("\n")
    }
}

fn fold(line: &str, width: usize, indent: usize) -> String {
    let (mut folded, mut used) = (String::new(), 0);
    // Spaces at the start of a line are part of its first word.
    let start = line.len() - line.trim_start().len();
    let ends = line.char_indices().filter(|(at, c)| *c == ' ' && *at >= start).map(|(at, _)| at);
    let mut from = 0;
    for end in ends.chain([line.len()]) {
        let Some(word) = line.get(from..end) else { continue };
        let letters = word.chars().count();
        if used > 0 && used + letters > width {
            folded.push('\n');
            folded.push_str(&" ".repeat(indent));
            let word = word.trim_start();
            folded.push_str(word);
            used = indent + word.chars().count();
        } else {
            folded.push_str(word);
            used += letters;
        }
        from = end;
    }
    folded
}
