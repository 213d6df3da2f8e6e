//! Credentials: tokens and their life, files, logins.

mod answers;
mod file;
mod killed;
mod life;
mod logins;
mod refresh;
