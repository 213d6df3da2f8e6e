//! A client: settings, requests, retries, schedules, waits, errors.

mod addresses;
mod backoff;
mod bulk;
mod cache;
mod chaos;
mod errors;
mod multipart;
mod newcomer;
mod no_runtime;
mod profile;
mod retry;
mod schedule;
mod settings;
mod transport;
mod waits;
