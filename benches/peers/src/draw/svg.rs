//! Svg: the few elements that the pictures need.

use std::fmt::Write;

/// A picture that is being drawn. Coordinates are rounded to a tenth, so that the same numbers make the same text.
#[derive(Debug)]
pub(super) struct Svg {
    body: String,
    title: String,
    /// The style of lines, in a picture that has any.
    lines: &'static str,
}

/// Where the text stands, as seen from its point.
#[derive(Clone, Copy, Debug)]
pub(super) enum Align {
    Start,
    Middle,
    End,
}

impl Svg {
    pub(super) fn new(title: &str) -> Self {
        Self { body: String::new(), title: title.to_owned(), lines: "" }
    }

    pub(super) fn text(&mut self, class: &str, align: Align, x: f64, y: f64, text: &str) {
        let anchor = match align {
            Align::Start => "start",
            Align::Middle => "middle",
            Align::End => "end",
        };
        let (x, y, text) = (round(x), round(y), escaped(text));
        self.push(format_args!(r#"<text class="{class}" text-anchor="{anchor}" x="{x}" y="{y}">{text}</text>"#));
    }

    pub(super) fn bar(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        let (x, y, width, height) = (round(x), round(y), round(width), round(height));
        self.push(format_args!(r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}"/>"#));
    }

    /// A line from above to below.
    pub(super) fn rule(&mut self, class: &str, x: f64, top: f64, bottom: f64) {
        let (x, top, bottom) = (round(x), round(top), round(bottom));
        self.push(format_args!(r#"<path class="{class}" d="M{x} {top}V{bottom}"/>"#));
    }

    /// A line through all points.
    pub(super) fn line(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let mut path = String::new();
        for (x, y) in points {
            path.push_str(if path.is_empty() { "M" } else { "L" });
            path.push_str(&format!("{} {}", round(x), round(y)));
        }
        self.push(format_args!(r#"<path class="{class}" d="{path}"/>"#));
        self.lines = LINES;
    }

    /// The whole picture. It brings its own background, in the colours that the reader prefers, and is readable on any.
    pub(super) fn finish(self, width: f64, height: f64) -> String {
        let (title, body, lines) = (escaped(&self.title), self.body, self.lines);
        let (width, height) = (round(width), round(height));
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{title}">
<title>{title}</title>
<style>
{STYLE}{lines}</style>
<rect class="paper" x="0.5" y="0.5" width="{}" height="{}" rx="6"/>
{body}</svg>
"#,
            round(width - 1.0),
            round(height - 1.0),
        )
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a `String` does not fail.
        let _ = writeln!(self.body, "{element}");
    }
}

fn round(value: f64) -> f64 {
    // Zero without a sign.
    (value * 10.0).round() / 10.0 + 0.0
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = "\
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 17px; font-weight: 600 }
.heading { font-weight: 600 }
.own-name { font-weight: 600 }
.note, .tick { font-size: 11px; fill: #59636e }
.value { paint-order: stroke; stroke: #ffffff; stroke-width: 3px }
.paper { fill: #ffffff; stroke: #d1d9e0 }
.own { fill: #0969da }
.peer { fill: #9aa4af }
.grid { stroke: #e4e8ec; fill: none }
.mark { stroke: #59636e; stroke-dasharray: 4 3; fill: none }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.note, .tick { fill: #9198a1 }
.value { stroke: #0d1117 }
.paper { fill: #0d1117; stroke: #3d444d }
.own { fill: #4493f8 }
.peer { fill: #656c76 }
.grid { stroke: #262c36 }
.mark { stroke: #9198a1 }
}
";

const LINES: &str = "\
.own-line { stroke: #0969da; stroke-width: 1.5px; fill: none }
@media (prefers-color-scheme: dark) {
.own-line { stroke: #4493f8 }
}
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_break_out() {
        let mut svg = Svg::new("a \"title\" & more");
        svg.text("note", Align::Middle, 1.0, 2.04, "</text><script>&");
        let text = svg.finish(10.0, 10.0);
        let document = roxmltree::Document::parse(&text).unwrap();
        assert_eq!(document.descendants().filter(|node| node.tag_name().name() == "script").count(), 0);
        let shown = document.descendants().find(|node| node.tag_name().name() == "text").unwrap();
        assert_eq!((shown.text(), shown.attribute("y")), (Some("</text><script>&"), Some("2")));
    }

    #[test]
    fn coordinates_have_one_form() {
        assert_eq!([round(0.1 + 0.2), round(-0.01), round(3.0)].map(|value| value.to_string()), ["0.3", "0", "3"]);
    }
}
