//! The lines on stdout. Scripts parse them: their members and the order of the members stay unchanged.

use std::io::{self, Write};

use longhaul::Error;
use longhaul::downloads::{Progress, Receipt};
use serde::Serialize;

/// Prints one line, and flushes it.
pub(crate) fn print(line: &impl Serialize) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    serde_json::to_writer(&mut stdout, line)?;
    writeln!(stdout)?;
    stdout.flush()
}

#[derive(Serialize)]
pub(crate) struct ProgressLine {
    event: &'static str,
    bytes: u64,
    total: Option<u64>,
    rate: u64,
    connections: usize,
}

impl ProgressLine {
    pub(crate) fn of(progress: &Progress) -> Self {
        Self {
            event: "progress",
            bytes: progress.bytes(),
            total: progress.total(),
            rate: progress.rate(),
            connections: progress.connections(),
        }
    }
}

/// The last line.
#[derive(Serialize)]
pub(crate) struct End {
    event: &'static str,
    outcome: &'static str,
    file: Option<String>,
    bytes: u64,
    resumed_at: u64,
    reopened: u32,
    renewed: u32,
    connections: usize,
    verified: Vec<&'static str>,
    warnings: Vec<String>,
    error: Option<Trouble>,
    #[serde(skip)]
    code: u8,
}

#[derive(Serialize)]
struct Trouble {
    kind: String,
    message: String,
}

impl End {
    pub(crate) fn of_receipt(receipt: &Receipt) -> Self {
        Self {
            outcome: "saved",
            file: receipt.path().map(|path| path.display().to_string()),
            bytes: receipt.bytes(),
            resumed_at: receipt.resumed_at(),
            reopened: receipt.reopened(),
            renewed: receipt.renewed(),
            connections: receipt.connections(),
            verified: receipt.verified().to_vec(),
            warnings: receipt.warnings().to_vec(),
            error: None,
            code: 0,
            ..Self::new()
        }
    }

    pub(crate) fn of_error(error: &Error) -> Self {
        let kind = error.kind().as_str().to_owned();
        Self { error: Some(Trouble { kind, message: error.to_string() }), ..Self::new() }
    }

    pub(crate) fn interrupted() -> Self {
        let message = "interrupted; the part is kept".into();
        Self { error: Some(Trouble { kind: "canceled".into(), message }), code: 130, ..Self::new() }
    }

    pub(crate) fn at(self, progress: &Progress) -> Self {
        Self { bytes: progress.bytes(), ..self }
    }

    pub(crate) const fn exit_code(&self) -> u8 {
        self.code
    }

    const fn new() -> Self {
        Self {
            event: "outcome",
            outcome: "error",
            file: None,
            bytes: 0,
            resumed_at: 0,
            reopened: 0,
            renewed: 0,
            connections: 0,
            verified: Vec::new(),
            warnings: Vec::new(),
            error: None,
            code: 1,
        }
    }
}
