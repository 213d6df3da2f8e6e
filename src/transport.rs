//! Transport: the pipeline that every request to the API goes through.

mod advice;
mod attempts;
mod breaks;
mod broken;
mod headers;
mod late;
mod outage;
mod rejection;
mod reqwest;
mod retries;
mod sending;
mod shared;
pub(crate) mod span;
mod token;
mod wire;

pub(crate) use breaks::Breaks;
pub(crate) use broken::Broken;
pub(crate) use late::by;
pub(crate) use outage::Outages;
pub(crate) use reqwest::{Connector, Proxying, Purpose};
pub(crate) use sending::Sending;
pub(crate) use shared::Transport;
pub(crate) use token::TokenRoad;
pub(crate) use wire::Wire;
