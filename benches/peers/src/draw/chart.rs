//! Chart: bars of the same subjects, side by side in panels.

use super::axis::Axis;
use super::svg::{Align, Svg};

/// A picture of one or more panels.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) title: &'static str,
    /// How it was measured.
    pub(super) subtitle: &'static str,
    /// Panels in rows. The subjects of a row stand at its left, once for all its panels.
    pub(super) rows: Vec<Vec<Panel>>,
    /// Date, machine and versions.
    pub(super) footer: String,
}

#[derive(Debug)]
pub(super) struct Panel {
    pub(super) heading: String,
    /// What the axis shows, with its unit.
    pub(super) axis: &'static str,
    pub(super) unit: Unit,
    pub(super) bars: Vec<Bar>,
    /// A value to compare with.
    pub(super) mark: Option<f64>,
}

#[derive(Debug)]
pub(super) struct Bar {
    pub(super) subject: String,
    /// Longhaul, and none of its peers.
    pub(super) own: bool,
    pub(super) value: f64,
    /// The value as a reader sees it.
    pub(super) shown: String,
}

/// How the ticks of an axis are written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    Seconds,
    Ratio,
    Percent,
}

impl Unit {
    fn tick(self, value: f64) -> String {
        match self {
            // Two digits, without the noise of binary fractions.
            Self::Seconds | Self::Ratio => ((value * 100.0).round() / 100.0).to_string(),
            Self::Percent => format!("{:.0}", value * 100.0),
        }
    }
}

impl Chart {
    pub(super) fn draw(&self) -> String {
        let mut svg = Svg::new(self.title);
        svg.text("title", Align::Start, EDGE, 34.0, self.title);
        let mut below = 34.0;
        for line in wrapped(self.subtitle, LINE) {
            below += 18.0;
            svg.text("note", Align::Start, EDGE, below, &line);
        }
        for row in &self.rows {
            below = self.draw_row(&mut svg, row, below + 30.0);
        }
        below += 14.0;
        for line in wrapped(&self.footer, LINE) {
            below += 15.0;
            svg.text("note", Align::Start, EDGE, below, &line);
        }
        svg.finish(WIDTH, below + 16.0)
    }

    /// Draws a row of panels from `top` on, and returns where it ends.
    fn draw_row(&self, svg: &mut Svg, panels: &[Panel], top: f64) -> f64 {
        let width = (WIDTH - EDGE - NAMES) / panels.len() as f64;
        let mut end = top;
        for (at, panel) in (0_u32..).zip(panels) {
            let place = Place { left: NAMES + f64::from(at) * width, top, width: width - BESIDE };
            end = end.max(draw_panel(svg, panel, self.axis_of(panel), place));
        }
        for (bar, y) in panels.first().iter().flat_map(|panel| &panel.bars).zip(lines(top)) {
            let class = if bar.own { "own-name" } else { "name" };
            svg.text(class, Align::End, NAMES - 8.0, y + 13.0, &bar.subject);
        }
        end
    }

    /// Panels that show the same have one scale, so that their bars compare.
    fn axis_of(&self, panel: &Panel) -> Axis {
        let alike = self.rows.iter().flatten().filter(|other| other.axis == panel.axis);
        Axis::over(alike.flat_map(|panel| panel.bars.iter().map(|bar| bar.value).chain(panel.mark)))
    }
}

#[derive(Clone, Copy)]
struct Place {
    left: f64,
    top: f64,
    width: f64,
}

fn draw_panel(svg: &mut Svg, panel: &Panel, axis: Axis, Place { left, top, width }: Place) -> f64 {
    let (first, bottom) = (top + 10.0, top + 10.0 + panel.bars.len() as f64 * STEP);
    svg.text("heading", Align::Start, left, top, &panel.heading);
    for tick in axis.ticks() {
        let x = left + axis.place(tick) * width;
        svg.rule("grid", x, first, bottom + 4.0);
        svg.text("tick", Align::Middle, x, bottom + 17.0, &panel.unit.tick(tick));
    }
    for (bar, y) in panel.bars.iter().zip(lines(top)) {
        // A value of nothing is seen as a line, and not as a gap.
        let length = (axis.place(bar.value) * width).max(1.5);
        svg.bar(if bar.own { "own" } else { "peer" }, left, y, length, STEP - 6.0);
    }
    if let Some(mark) = panel.mark {
        svg.rule("mark", left + axis.place(mark) * width, first, bottom + 4.0);
    }
    for (bar, y) in panel.bars.iter().zip(lines(top)) {
        svg.text("value", Align::Start, left + axis.place(bar.value) * width + 6.0, y + 12.0, &bar.shown);
    }
    svg.text("note", Align::Start, left, bottom + 34.0, panel.axis);
    bottom + 40.0
}

/// Where the bars of a row begin.
fn lines(top: f64) -> impl Iterator<Item = f64> {
    (0_u32..).map(move |at| top + 13.0 + f64::from(at) * STEP)
}

/// Lines of so many characters at most, broken at spaces, not at no-break spaces.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

const WIDTH: f64 = 920.0;
const EDGE: f64 = 20.0;

/// Where the names of the subjects end and the bars begin.
const NAMES: f64 = 265.0;

/// Room behind the longest bar for its value.
const BESIDE: f64 = 90.0;

/// From one bar to the next.
const STEP: f64 = 22.0;

/// Characters of a line of small text.
const LINE: usize = 150;

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        let bar =
            |subject: &str, own, value| Bar { subject: subject.into(), own, value, shown: format!("{value} <s>") };
        let panel = |mark| Panel {
            heading: "a & b".into(),
            axis: "share, %",
            unit: Unit::Percent,
            bars: vec![bar("longhaul", true, 0.0), bar("peer", false, 0.5)],
            mark,
        };
        Chart {
            title: "T",
            subtitle: "how",
            rows: vec![vec![panel(None), panel(Some(1.0))], vec![panel(None)]],
            footer: "2026-01-02; a machine".into(),
        }
    }

    #[test]
    fn the_same_numbers_make_the_same_picture() {
        assert_eq!(chart().draw(), chart().draw());
    }

    #[test]
    fn has_title_labels_units_date_and_machine() {
        let text = chart().draw();
        let document = roxmltree::Document::parse(&text).unwrap();
        let shown: Vec<_> = document.descendants().filter(|node| node.has_tag_name(SVG_TEXT)).collect();
        let count = |text: &str| shown.iter().filter(|node| node.text() == Some(text)).count();
        assert_eq!(["T", "how", "2026-01-02; a machine"].map(count), [1, 1, 1]);
        assert_eq!(count("share, %"), 3);
        // Once for each row.
        assert_eq!(count("longhaul"), 2);
        assert_eq!(count("0.5 <s>"), 3);
    }

    #[test]
    fn a_bar_is_as_long_as_its_value() {
        let text = chart().draw();
        let document = roxmltree::Document::parse(&text).unwrap();
        let widths = |class: &str| -> Vec<f64> {
            let bars = document.descendants().filter(|node| node.attribute("class") == Some(class));
            bars.filter_map(|node| node.attribute("width")?.parse().ok()).collect()
        };
        assert_eq!(widths("own"), [1.5; 3]);
        // Half of the axis, which has room for the mark, and half of a wide one.
        assert_eq!(widths("peer"), [113.8, 113.8, 272.5]);
    }

    #[test]
    fn long_lines_are_broken_at_spaces() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("one 2\u{a0}s", 5), ["one", "2\u{a0}s"]);
        assert_eq!(wrapped("longer", 3), ["longer"]);
    }

    const SVG_TEXT: (&str, &str) = ("http://www.w3.org/2000/svg", "text");
}
