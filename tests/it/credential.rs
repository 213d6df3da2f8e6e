//! Credentials: tokens and their life, files, logins.

mod answers;
mod file;
mod life;
mod logins;
mod refresh;
