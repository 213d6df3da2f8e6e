//! What a person sees meanwhile, on stderr: a bar, if it is a terminal.

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use longhaul::downloads::Progress;

use crate::terminal::Terminal;

pub(crate) struct Screen(Option<ProgressBar>);

impl Screen {
    pub(crate) fn new() -> Self {
        let terminal = Terminal(Term::stderr());
        let is_screen = terminal.is_screen() && std::env::var_os("RUST_LOG").is_none();
        Self(is_screen.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.with_style(style(terminal.width()))
        }))
    }

    pub(crate) fn show(&self, progress: &Progress) {
        let Some(bar) = &self.0 else { return };
        if let Some(total) = progress.total() {
            bar.set_length(total);
        }
        bar.set_position(progress.bytes());
        bar.set_message(message(progress));
    }

    /// Leaves the bar as it is. After Ctrl-C the cursor is not where it was drawn last: to draw it again would leave
    /// pieces behind.
    pub(crate) fn freeze(&self) {
        if let Some(bar) = &self.0 {
            bar.set_draw_target(ProgressDrawTarget::hidden());
            eprintln!();
        }
    }

    /// Leaves the last state on a line of its own.
    pub(crate) fn end(&self, progress: &Progress, is_whole: bool) {
        self.show(progress);
        if let Some(bar) = &self.0 {
            bar.abandon_with_message(if is_whole { "saved".into() } else { message(progress) });
        }
    }
}

/// Says something on lines of its own, which fit.
pub(crate) fn say(text: &str) {
    eprintln!("{}", Terminal(Term::stderr()).fold(&format!("download: {text}"), 2));
}

fn message(progress: &Progress) -> String {
    let rate = indicatif::HumanBytes(progress.rate());
    match progress.eta() {
        Some(left) => format!("{rate}/s {}", indicatif::HumanDuration(left)),
        None => format!("{rate}/s"),
    }
}

/// A line that fits: without a bar on a narrow terminal.
fn style(width: usize) -> ProgressStyle {
    let template = match width {
        ..50 => "{percent:>3}% {bytes}",
        50..70 => "{percent:>3}% {bytes}/{total_bytes} {msg}",
        _ => "{bar:16} {percent:>3}% {bytes}/{total_bytes} {msg}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
