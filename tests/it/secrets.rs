//! Secrets never show, whatever a service repeats.

mod echoed;
mod echoes;
mod forms;
mod redaction;
