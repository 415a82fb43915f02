//! Rolling-stats tells minimum, maximum, mean and standard deviation of the newest
//! readings of each topic: of the last COUNT, or of those within SECONDS.

#![no_std]

use skerry::{json::Value, reject, Error, Failure, Function, Run, Start};

const MOST: usize = 256; // readings that are kept of a topic
const HOUR: i64 = 3_600_000; // milliseconds
const FORGET: u32 = 7 * 24 * 3600; // seconds after the last reading of a topic
const LARGEST: f64 = 1e12; // beyond it no three decimals are left

struct RollingStats {
    count: usize,
    millis: i64, // 0: only count bounds the window
    every: u32,
}

#[derive(Clone, Copy)]
struct Reading {
    at: i64, // milliseconds since 1970
    value: f64,
}

/// The readings of one topic, in the order of their times. Its state is the number
/// of readings since the last report (4 bytes), then 16 bytes for each reading.
struct Window {
    fresh: u32,
    len: usize,
    readings: [Reading; MOST],
}

impl Window {
    fn load(state: &[u8]) -> Window {
        let mut w = Window { fresh: 0, len: 0, readings: [Reading { at: 0, value: 0.0 }; MOST] };
        if let Some(head) = state.get(..4) {
            w.fresh = head.iter().rev().fold(0, |n, &b| n << 8 | u32::from(b));
            for (to, from) in w.readings.iter_mut().zip(state[4..].chunks_exact(16)) {
                let word = |part: &[u8]| part.iter().rev().fold(0, |n: u64, &b| n << 8 | u64::from(b));
                *to = Reading { at: word(&from[..8]) as i64, value: f64::from_bits(word(&from[8..])) };
                w.len += 1;
            }
        }
        w
    }

    fn store(&self, run: &Run, key: &str) -> Result<(), Failure> {
        let mut state = [0; 4 + 16 * MOST];
        state[..4].copy_from_slice(&self.fresh.to_le_bytes());
        for (to, r) in state[4..].chunks_exact_mut(16).zip(self.all()) {
            to[..8].copy_from_slice(&r.at.to_le_bytes());
            to[8..].copy_from_slice(&r.value.to_bits().to_le_bytes());
        }
        Ok(run.set(key, &state[..4 + 16 * self.len], FORGET)?)
    }

    fn all(&self) -> &[Reading] {
        &self.readings[..self.len]
    }

    /// Lets go of what a clock that was far ahead has left.
    fn forget_after(&mut self, end: i64) {
        self.len = self.all().iter().rposition(|r| r.at <= end).map_or(0, |i| i + 1);
    }

    fn has(&self, r: Reading) -> bool {
        self.all().iter().any(|old| old.at == r.at && old.value == r.value)
    }

    /// Puts a reading where it belongs by its time, and lets go of what is too old or
    /// too much; false if that is the reading itself.
    fn add(&mut self, r: Reading, count: usize, millis: i64) -> bool {
        let place = self.all().iter().rposition(|old| old.at <= r.at).map_or(0, |i| i + 1);
        if place == 0 && self.len >= count {
            return false; // older than all of a full window
        }
        if self.len == MOST {
            self.readings.copy_within(1..place, 0);
            self.readings[place - 1] = r;
        } else {
            self.readings.copy_within(place..self.len, place + 1);
            self.readings[place] = r;
            self.len += 1;
        }
        let newest = self.readings[self.len - 1].at;
        let old = |w: &Window| millis > 0 && w.readings[0].at <= newest - millis;
        while self.len > count || old(self) {
            self.readings.copy_within(1..self.len, 0);
            self.len -= 1;
        }
        millis == 0 || r.at > newest - millis
    }

    fn report(&self) -> Text {
        let (all, n) = (self.all(), self.len as f64);
        let mean = all.iter().map(|r| r.value).sum::<f64>() / n;
        let squares = all.iter().map(|r| (r.value - mean) * (r.value - mean)).sum::<f64>();
        let stddev = if self.len > 1 { root(squares / (n - 1.0)) } else { 0.0 };
        let least = all.iter().fold(f64::INFINITY, |m, r| m.min(r.value));
        let most = all.iter().fold(f64::NEG_INFINITY, |m, r| m.max(r.value));
        let mut out = Text::new();
        out.push("{\"count\":").integer(self.len as u64);
        out.push(",\"from\":").integer(all[0].at as u64);
        out.push(",\"to\":").integer(all[self.len - 1].at as u64);
        out.push(",\"min\":").number(least).push(",\"max\":").number(most);
        out.push(",\"mean\":").number(mean).push(",\"stddev\":").number(stddev).push("}");
        out
    }
}

/// The square root, by Newton: without std there is none.
fn root(x: f64) -> f64 {
    let mut r = if x > 1.0 { x } else { 1.0 };
    loop {
        let next = 0.5 * (r + x / r);
        if next >= r {
            return r;
        }
        r = next;
    }
}

/// Text that is put together without an allocator.
struct Text {
    bytes: [u8; 320],
    len: usize,
}

impl Text {
    fn new() -> Text {
        Text { bytes: [0; 320], len: 0 }
    }

    fn push(&mut self, text: &str) -> &mut Text {
        self.bytes[self.len..][..text.len()].copy_from_slice(text.as_bytes());
        self.len += text.len();
        self
    }

    fn integer(&mut self, n: u64) -> &mut Text {
        if n >= 10 {
            self.integer(n / 10);
        }
        self.bytes[self.len] = b'0' + (n % 10) as u8;
        self.len += 1;
        self
    }

    /// A number with three decimals.
    fn number(&mut self, x: f64) -> &mut Text {
        let (negative, x) = (x < 0.0, if x < 0.0 { -x } else { x });
        let thousandths = (x * 1000.0 + 0.5) as u64;
        if negative && thousandths > 0 {
            self.push("-");
        }
        self.integer(thousandths / 1000).push(".");
        let rest = thousandths % 1000;
        self.integer(rest / 100).integer(rest / 10 % 10).integer(rest % 10)
    }

    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }
}

/// When the reading was taken: its "ts", in seconds or milliseconds since 1970. One
/// from the future, by more than an hour, is a wrong clock: then it counts when it came.
fn taken(run: &Run, data: Value) -> (i64, bool) {
    let came = run.time_ms();
    match data.get("ts").f64() {
        Ok(ts) => {
            let ms = if ts < 1e11 { ts * 1000.0 } else { ts } as i64;
            if ms > 0 && ms <= came + HOUR {
                (ms, true)
            } else {
                (came, false)
            }
        }
        Err(_) => (came, false),
    }
}

fn setting(start: &Start, key: &str, fallback: i64, most: i64) -> Result<i64, Failure> {
    match start.config(key).map(|text| Value::new(text.as_bytes()).i64()) {
        None => Ok(fallback),
        Some(Ok(n)) if n >= 0 && n <= most => Ok(n),
        _ => Err(reject("COUNT is a whole number from 1 to 256, SECONDS from 0 to 604800, EVERY from 1 to 10000: change the function's env")),
    }
}

impl Function for RollingStats {
    fn start(start: &Start) -> Result<Self, Failure> {
        Ok(RollingStats {
            count: setting(start, "COUNT", 60, MOST as i64)?.max(1) as usize,
            millis: 1000 * setting(start, "SECONDS", 0, 604_800)?,
            every: setting(start, "EVERY", 10, 10_000)?.max(1) as u32,
        })
    }

    fn handle(&mut self, run: &Run) -> Result<(), Failure> {
        let (topic, data) = (run.subject(), run.json());
        if topic.is_empty() || topic.len() > 200 {
            return Err(reject("the topic is empty, or has more than 200 bytes"));
        }
        // A reading is {"value": 4.2}, or the bare number 4.2.
        let field = data.get(run.config("FIELD").unwrap_or("value"));
        if field.is_null() || data.is_null() {
            return Ok(()); // the sensor says that it measured nothing
        }
        let value = field.f64().or_else(|_| data.f64()).map_err(|_| reject("the event has no number in FIELD"))?;
        if !(-LARGEST..=LARGEST).contains(&value) {
            return Err(reject("the value is too large to be a reading"));
        }
        let mut key = Text::new();
        key.push("window/").push(topic);
        let mut window = match run.get(key.as_str()) {
            Ok(state) => Window::load(state),
            Err(Error::NotFound) => Window::load(&[]),
            Err(e) => return Err(e.into()),
        };
        window.forget_after(run.time_ms() + HOUR);
        let (at, told) = taken(run, data);
        let reading = Reading { at, value };
        if told && window.has(reading) || !window.add(reading, self.count, self.millis) {
            return Ok(()); // a duplicate, or too late for the window
        }
        window.fresh += 1;
        if window.fresh >= self.every {
            window.fresh = 0;
            let mut to = Text::new();
            to.push("stats/").push(topic);
            run.publish(to.as_str(), window.report().as_str().as_bytes(), skerry::QOS1 | skerry::RETAIN)?;
        }
        window.store(run, key.as_str())
    }
}

skerry::function!(RollingStats);
