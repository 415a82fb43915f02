//! What a function may ask of the host.

use core::cell::Cell;

use crate::{arena, json, sys};

/// Delivers at most once.
pub const QOS0: u32 = 0;
/// Delivers at least once.
pub const QOS1: u32 = 1;
/// Delivers exactly once.
pub const QOS2: u32 = 2;
/// Has the broker keep the message; added to a quality of service.
pub const RETAIN: u32 = 4;

/// Why the host refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A bad argument, or a key that is empty, too long or starts with `/`.
    Invalid,
    /// No such key, secret or field.
    NotFound,
    /// Not granted by the app's manifest.
    Denied,
    /// Beyond the function's limits.
    Limit,
    /// The host itself failed.
    Io,
}

impl Error {
    /// The error in words.
    pub fn text(self) -> &'static str {
        match self {
            Error::Invalid => "invalid argument",
            Error::NotFound => "not found",
            Error::Denied => "not granted",
            Error::Limit => "limit reached",
            Error::Io => "the host failed",
        }
    }

    /// Why the host refused, and what to grant, in its own words; they are of the
    /// last refused call of this run. [`text`](Error::text) if it has none for
    /// this error, or if they do not fit in `buf`.
    pub fn reason<'b>(self, buf: &'b mut [u8]) -> &'b str {
        if !self.is_hosts() {
            return self.text();
        }
        let n = unsafe { sys::error_get(buf.as_mut_ptr(), buf.len()) };
        let words = usize::try_from(n).ok().and_then(|n| buf.get(..n)).unwrap_or(&[]);
        match core::str::from_utf8(words) {
            Ok(words) if !words.is_empty() => words,
            _ => self.text(),
        }
    }

    /// Whether the last refused call ended with this error.
    pub(crate) fn is_hosts(self) -> bool {
        unsafe { REFUSED == Some(self) }
    }

    /// The error of a call that the host refused with n.
    fn of(n: i32) -> Error {
        let e = match n {
            -1 => Error::Invalid,
            -2 => Error::NotFound,
            -3 => Error::Denied,
            -4 => Error::Limit,
            _ => Error::Io,
        };
        unsafe { REFUSED = if e == Error::NotFound { None } else { Some(e) } };
        e
    }
}

/// What the last refused call ended with; of what was not found there is no more
/// to say. WebAssembly has one thread.
static mut REFUSED: Option<Error> = None;

/// Prints the [`reason`](Error::reason).
impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter) -> core::fmt::Result {
        f.write_str(self.reason(&mut [0; 512]))
    }
}

#[cfg(feature = "std")]
impl std::error::Error for Error {}

pub(crate) fn check(n: i32) -> Result<(), Error> {
    if n < 0 {
        return Err(Error::of(n));
    }
    Ok(())
}

pub(crate) fn fill(read: impl FnMut(*mut u8, usize) -> i32) -> Result<&'static [u8], Error> {
    arena::fill(read).map_err(Error::of)
}

fn text(bytes: &'static [u8]) -> &'static str {
    core::str::from_utf8(bytes).unwrap_or("")
}

/// Of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Level {
    Debug = 0,
    Info = 1,
    Warn = 2,
    Error = 3,
}

/// Writes a line to the function's log.
pub fn log(level: Level, line: &str) {
    unsafe { sys::log(level as u32, line.as_ptr(), line.len()) };
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    unsafe { sys::now_ms() }
}

/// Fills `buf` with true random bytes, at most 64 KiB.
pub fn random(buf: &mut [u8]) -> Result<(), Error> {
    check(unsafe { sys::random_get(buf.as_mut_ptr(), buf.len()) })
}

fn config(key: &str) -> Option<&'static str> {
    fill(|buf, cap| unsafe { sys::config_get(key.as_ptr(), key.len(), buf, cap) }).ok().map(text)
}

/// An instance that starts: there is no event yet.
pub struct Start(());

impl Start {
    /// A value of the function's env.
    pub fn config(&self, key: &str) -> Option<&str> {
        config(key)
    }
}

/// One run of the function: the event, and what may be asked and decided.
/// What its methods lend is valid until the handler returns.
pub struct Run {
    data: Cell<Option<&'static [u8]>>,
}

pub(crate) fn start() -> Start {
    Start(())
}

pub(crate) fn run() -> Run {
    unsafe { REFUSED = None };
    Run { data: Cell::new(None) }
}

impl Run {
    fn field(&self, field: u32) -> &str {
        text(self.bytes(field))
    }

    fn bytes(&self, field: u32) -> &'static [u8] {
        fill(|buf, cap| unsafe { sys::event_get(field, buf, cap) }).unwrap_or(&[])
    }

    fn number(&self, field: u32) -> i64 {
        json::Value::new(self.bytes(field)).i64().unwrap_or(0)
    }

    /// The event's payload.
    pub fn data(&self) -> &[u8] {
        let data = self.data.get().unwrap_or_else(|| self.bytes(0));
        self.data.set(Some(data));
        data
    }

    /// The event's payload as JSON.
    pub fn json(&self) -> json::Value<'_> {
        json::Value::new(self.data())
    }

    /// The MQTT topic, the schedule's trigger, or the emitting function.
    pub fn subject(&self) -> &str {
        self.field(1)
    }

    /// Empty if unknown.
    pub fn content_type(&self) -> &str {
        self.field(2)
    }

    /// `app/trigger`
    pub fn trigger(&self) -> &str {
        self.field(3)
    }

    /// The same when the event is run again.
    pub fn id(&self) -> &str {
        self.field(4)
    }

    /// When the source saw the event, milliseconds since 1970.
    pub fn time_ms(&self) -> i64 {
        self.number(5)
    }

    /// A URI reference such as `/gw7/mqtt/plant`.
    pub fn source(&self) -> &str {
        self.field(7)
    }

    /// Such as `io.skerry.mqtt`.
    pub fn kind(&self) -> &str {
        self.field(8)
    }

    /// 1 for the first run of the event.
    pub fn attempt(&self) -> i64 {
        self.number(9)
    }

    /// The function's own name, `app/function`.
    pub fn function(&self) -> &str {
        self.field(10)
    }

    /// A value of the function's env.
    pub fn config(&self, key: &str) -> Option<&str> {
        config(key)
    }

    /// The value of a secret that the function's manifest names.
    pub fn secret(&self, name: &str) -> Result<&str, Error> {
        fill(|buf, cap| unsafe { sys::secret_get(name.as_ptr(), name.len(), buf, cap) }).map(text)
    }

    /// Sets the function's result, which the trigger's `then` may send on.
    pub fn result(&self, data: &[u8]) -> Result<(), Error> {
        check(unsafe { sys::result_set(data.as_ptr(), data.len()) })
    }

    /// Sends to an MQTT topic; `flags` is a quality of service, with [`RETAIN`] or not.
    pub fn publish(&self, topic: &str, data: &[u8], flags: u32) -> Result<(), Error> {
        check(unsafe { sys::publish(topic.as_ptr(), topic.len(), data.as_ptr(), data.len(), flags) })
    }

    /// Gives another function of the same app an event.
    pub fn emit(&self, function: &str, data: &[u8]) -> Result<(), Error> {
        check(unsafe { sys::emit(function.as_ptr(), function.len(), data.as_ptr(), data.len()) })
    }

    /// Asks the central FaaS behind `target` to do something.
    pub fn followup(&self, target: &str, content_type: &str, data: &[u8]) -> Result<(), Error> {
        let (to, kind) = (target.as_bytes(), content_type.as_bytes());
        check(unsafe { sys::followup(to.as_ptr(), to.len(), kind.as_ptr(), kind.len(), data.as_ptr(), data.len()) })
    }

    /// Reads the function's state.
    pub fn get(&self, key: &str) -> Result<&[u8], Error> {
        fill(|buf, cap| unsafe { sys::kv_get(key.as_ptr(), key.len(), buf, cap) })
    }

    /// Writes the function's state, for `ttl_s` seconds, or for ever if 0.
    pub fn set(&self, key: &str, value: &[u8], ttl_s: u32) -> Result<(), Error> {
        check(unsafe { sys::kv_set(key.as_ptr(), key.len(), value.as_ptr(), value.len(), ttl_s) })
    }

    /// Removes a key; removing what is not there is no error.
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        check(unsafe { sys::kv_delete(key.as_ptr(), key.len()) })
    }

    /// Adds to the decimal integer in `key`, 0 if there is none.
    pub fn add(&self, key: &str, delta: i64) -> Result<i64, Error> {
        match unsafe { sys::kv_add(key.as_ptr(), key.len(), delta) } {
            i64::MIN => Err(Error::of(-1)),
            sum => Ok(sum),
        }
    }

    /// Writes `value` if `key` holds `old`, or does not exist if that is `None`,
    /// and tells whether it did.
    pub fn compare_and_set(&self, key: &str, old: Option<&[u8]>, value: &[u8]) -> Result<bool, Error> {
        let (old, old_len) = old.map_or((core::ptr::null(), sys::ABSENT), |b| (b.as_ptr(), b.len()));
        let n = unsafe { sys::kv_cas(key.as_ptr(), key.len(), old, old_len, value.as_ptr(), value.len()) };
        check(n).map(|()| n == 1)
    }

    /// At most `limit` keys that start with `prefix`, sorted; 0 means 1000, the most.
    pub fn keys(&self, prefix: &str, limit: u32) -> Result<Keys<'_>, Error> {
        fill(|buf, cap| unsafe { sys::kv_list(prefix.as_ptr(), prefix.len(), limit, buf, cap) }).map(Keys)
    }

    /// Pauses the run, no longer than its deadline.
    pub fn sleep_ms(&self, ms: u32) -> Result<(), Error> {
        check(unsafe { sys::sleep_ms(ms) })
    }
}

/// Keys of the function's state.
pub struct Keys<'a>(&'a [u8]);

impl<'a> Iterator for Keys<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        // Its length, low byte first, and the key.
        let n = 2 + usize::from(*self.0.first()?) + 256 * usize::from(*self.0.get(1)?);
        let key = self.0.get(2..n)?;
        self.0 = &self.0[n..];
        core::str::from_utf8(key).ok()
    }
}
