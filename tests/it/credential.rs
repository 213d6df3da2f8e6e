//! Credentials: tokens and their life, files, logins.

mod answers;
mod life;
mod logins;
mod refresh;
