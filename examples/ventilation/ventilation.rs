//! Ventilation switches the fan of a room on when its air is worse than HIGH, and off
//! when it is better than LOW again, but not before it has run for MIN_ON seconds. What
//! each fan does is kept in the state, so a restart switches nothing.

#![no_std]

use skerry::{json::Value, reject, Error, Failure, Function, Run, Start};

const MAX_ROOM: usize = 64;
const WORST: f64 = 20_000.0; // ppm; more, or nothing at all, is a sensor that fails

struct Ventilation {
    low: f64,
    high: f64,
    min_on: i64, // milliseconds
}

/// A topic, a key or a value that is put together.
struct Text {
    bytes: [u8; MAX_ROOM + 32],
    len: usize,
}

impl Text {
    fn of(parts: &[&str]) -> Text {
        let mut text = Text { bytes: [0; MAX_ROOM + 32], len: 0 };
        for part in parts {
            text.bytes[text.len..][..part.len()].copy_from_slice(part.as_bytes());
            text.len += part.len();
        }
        text
    }

    fn integer(mut self, n: u64) -> Text {
        if n >= 10 {
            self = self.integer(n / 10);
        }
        self.bytes[self.len] = b'0' + (n % 10) as u8;
        self.len += 1;
        self
    }

    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }
}

/// <room> of rooms/<room>/co2.
fn room(topic: &str) -> Option<&str> {
    let room = topic.strip_prefix("rooms/")?.strip_suffix("/co2")?;
    (!room.is_empty() && room.len() <= MAX_ROOM && !room.contains('/')).then(|| room)
}

fn setting(start: &Start, key: &str, fallback: f64) -> Result<f64, Failure> {
    match start.config(key).map(|text| Value::new(text.as_bytes()).f64()) {
        None => Ok(fallback),
        Some(Ok(n)) if (0.0..=WORST).contains(&n) => Ok(n),
        _ => Err(reject("LOW, HIGH and MIN_ON are numbers from 0 to 20000; change the function's env")),
    }
}

impl Function for Ventilation {
    fn start(start: &Start) -> Result<Self, Failure> {
        let (low, high) = (setting(start, "LOW", 800.0)?, setting(start, "HIGH", 1000.0)?);
        if low > high {
            return Err(reject("LOW is above HIGH; change them in the function's env"));
        }
        let min_on = (1000.0 * setting(start, "MIN_ON", 600.0)?) as i64;
        Ok(Ventilation { low, high, min_on })
    }

    fn handle(&mut self, run: &Run) -> Result<(), Failure> {
        let room = room(run.subject()).ok_or_else(|| reject("the topic is not rooms/<room>/co2"))?;
        let field = run.json().get("ppm");
        if field.is_null() {
            return Ok(()); // the sensor warms up
        }
        let ppm = field.f64().map_err(|_| reject("the event has no number \"ppm\""))?;
        if ppm <= 0.0 || ppm > WORST {
            return Err(reject("\"ppm\" is not from 1 to 20000: a sensor that fails"));
        }
        // Kept is "off", or since when the fan is on, in milliseconds.
        let key = Text::of(&["fan/", room]);
        let since = match run.get(key.as_str()) {
            Ok(value) => Value::new(value).i64().ok(),
            Err(Error::NotFound) => None,
            Err(e) => return Err(e.into()),
        };
        let now = run.time_ms();
        let on = match since {
            None => ppm > self.high,
            // A clock that was set back, so that the start is in the future, holds no fan on.
            Some(start) => ppm >= self.low || (0..self.min_on).contains(&(now - start)),
        };
        if on == since.is_some() {
            return Ok(());
        }
        let (kept, message) = match on {
            true => (Text::of(&[]).integer(now as u64), "{\"on\":true}"),
            false => (Text::of(&["off"]), "{\"on\":false}"),
        };
        run.set(key.as_str(), kept.as_str().as_bytes(), 0)?;
        let topic = Text::of(&["fans/", room, "/set"]);
        Ok(run.publish(topic.as_str(), message.as_bytes(), skerry::QOS1 | skerry::RETAIN)?)
    }
}

skerry::function!(Ventilation);
