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
        // Without words of its own a run fails with those of the refused call.
        failed(if e.is_hosts() { "" } else { e.text() })
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

fn report_panics() {
    #[cfg(all(feature = "std", target_arch = "wasm32"))]
    std::panic::set_hook(Box::new(|info| tell(info)));
}

#[cfg(all(not(feature = "std"), target_arch = "wasm32"))]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    tell(info);
    core::arch::wasm32::unreachable()
}

/// Makes what a panic says the run's error text, which its trap then has.
#[cfg(target_arch = "wasm32")]
fn tell(info: &dyn core::fmt::Display) {
    let mut text = Words { bytes: [0; 512], len: 0 };
    let _ = core::fmt::write(&mut text, format_args!("{}", info)); // what does not fit is left out
    unsafe { sys::error_set(text.bytes.as_ptr(), text.len) };
}

#[cfg(target_arch = "wasm32")]
struct Words {
    bytes: [u8; 512],
    len: usize,
}

#[cfg(target_arch = "wasm32")]
impl core::fmt::Write for Words {
    fn write_str(&mut self, part: &str) -> core::fmt::Result {
        let n = part.len().min(self.bytes.len() - self.len);
        self.bytes[self.len..][..n].copy_from_slice(&part.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}
