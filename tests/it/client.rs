//! A client: settings, requests, retries, schedules, waits, errors.

mod backoff;
mod chaos;
mod errors;
mod newcomer;
mod retry;
mod schedule;
mod settings;
mod transport;
mod waits;
