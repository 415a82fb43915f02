//! For functions written in Rust that run under Skerry, by the ABI in wasm/ABI.md.
//!
//! ```ignore
//! use skerry::{Failure, Function, Run, Start};
//!
//! struct Hot {
//!     limit: f64,
//! }
//!
//! impl Function for Hot {
//!     fn start(start: &Start) -> Result<Self, Failure> {
//!         let limit = start.config("LIMIT").and_then(|v| v.parse().ok());
//!         Ok(Hot { limit: limit.unwrap_or(80.0) })
//!     }
//!
//!     fn handle(&mut self, run: &Run) -> Result<(), Failure> {
//!         if run.json().get("temperature").f64()? > self.limit {
//!             run.publish("alerts/hot", run.data(), skerry::QOS1)?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! skerry::function!(Hot);
//! ```
//!
//! What a handler decides takes effect when it returns `Ok`, and not at all when
//! it returns a [`Failure`]. Host errors become one with `?`.
//!
//! Nothing here needs an allocator: what is read from the host lies in memory
//! of the crate, stays there until the handler returns, and is used again for
//! the next event. Without the feature `std` the crate needs `core` alone.

#![cfg_attr(not(feature = "std"), no_std)]

mod arena;
mod function;
mod host;
mod http;
pub mod json;
mod sys;

pub use function::{failed, reject, retry, Failure, Function};
pub use host::{log, now_ms, random, Error, Keys, Level, Run, Start, QOS0, QOS1, QOS2, RETAIN};
pub use http::Response;

#[doc(hidden)]
pub use function::{__handle, __start};
