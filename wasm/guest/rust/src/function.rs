//! How a module is started and called, and what it answers.

use crate::{arena, host, json, sys, Error, Run, Start};

/// A function: made once per instance, then given one event at a time. There
/// may be several instances, and each may be replaced at any time: what must
/// last belongs in [`Run::set`].
pub trait Function: Sized {
    /// Makes the function; a failure refuses it. Read the configuration here.
    fn start(start: &Start) -> Result<Self, Failure>;

    /// Handles one event.
    fn handle(&mut self, run: &Run) -> Result<(), Failure>;
}

/// Why a run did not succeed, as [`reject`], [`retry`] and [`failed`] tell the host.
#[derive(Debug)]
pub struct Failure(i32);

/// The event can never be processed: it goes to the dead-letter box.
#[must_use]
pub fn reject(why: &str) -> Failure {
    because(1, why)
}

/// Another run of the event later is asked for.
#[must_use]
pub fn retry(why: &str) -> Failure {
    because(2, why)
}

/// The run failed. It is run again as the trigger's `retry` says.
#[must_use]
pub fn failed(why: &str) -> Failure {
    because(3, why)
}

fn because(result: i32, why: &str) -> Failure {
    unsafe { sys::error_set(why.as_ptr(), why.len()) };
    Failure(result)
}

impl From<Error> for Failure {
    fn from(e: Error) -> Failure {
        failed(e.text())
    }
}

impl From<json::Error<'_>> for Failure {
    fn from(e: json::Error) -> Failure {
        let mut text = [0; 96];
        failed(e.text(&mut text))
    }
}

/// Exports a type that implements [`Function`] as this module's function.
#[macro_export]
macro_rules! function {
    ($type:ty) => {
        static mut SKERRY_FUNCTION: Option<$type> = None;

        #[no_mangle]
        pub extern "C" fn skerry_init() -> i32 {
            unsafe { $crate::__start(&mut *::core::ptr::addr_of_mut!(SKERRY_FUNCTION)) }
        }

        #[no_mangle]
        pub extern "C" fn skerry_handle() -> i32 {
            unsafe { $crate::__handle(&mut *::core::ptr::addr_of_mut!(SKERRY_FUNCTION)) }
        }
    };
}

/// Called by what `function!` exports: one thread, never re-entered.
#[doc(hidden)]
pub fn __start<F: Function>(function: &mut Option<F>) -> i32 {
    report_panics();
    unsafe { arena::reset() };
    match F::start(&host::start()) {
        Ok(f) => *function = Some(f),
        Err(Failure(result)) => return result,
    }
    0
}

#[doc(hidden)]
pub fn __handle<F: Function>(function: &mut Option<F>) -> i32 {
    unsafe { arena::reset() };
    match function.as_mut().map(|f| f.handle(&host::run())) {
        Some(Ok(())) => 0,
        Some(Err(Failure(result))) => result,
        None => failed("the function was not started").0,
    }
}

/// Without WASI there is no standard error: panics would end without a word.
fn report_panics() {
    #[cfg(all(feature = "std", target_arch = "wasm32", target_os = "unknown"))]
    std::panic::set_hook(Box::new(|info| crate::log(crate::Level::Error, &info.to_string())));
}

#[cfg(all(not(feature = "std"), target_arch = "wasm32"))]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    // Formatting the message would double the size of the module.
    crate::log(crate::Level::Error, info.location().map_or("panic", |l| l.file()));
    core::arch::wasm32::unreachable()
}
