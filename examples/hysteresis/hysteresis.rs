//! Hysteresis switches a fan on when a room is warmer than HIGH, and off when it
//! is cooler than LOW again; in between it leaves the fan as it is. What each
//! fan does is kept in the state, so a restart switches nothing.

#![no_std]

use skerry::{reject, Error, Failure, Function, Run, Start};

const MAX_ROOM: usize = 64;

struct Hysteresis {
    low: f64,
    high: f64,
}

/// A topic or a key that is put together.
struct Name {
    bytes: [u8; MAX_ROOM + 16],
    len: usize,
}

impl Name {
    fn new(parts: [&str; 3]) -> Name {
        let mut name = Name { bytes: [0; MAX_ROOM + 16], len: 0 };
        for part in parts {
            name.bytes[name.len..][..part.len()].copy_from_slice(part.as_bytes());
            name.len += part.len();
        }
        name
    }

    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }
}

/// <room> of rooms/<room>/temperature.
fn room(topic: &str) -> Option<&str> {
    let room = topic.strip_prefix("rooms/")?.strip_suffix("/temperature")?;
    (!room.is_empty() && room.len() <= MAX_ROOM && !room.contains('/')).then(|| room)
}

fn number(start: &Start, key: &str, fallback: f64) -> Result<f64, Failure> {
    match start.config(key) {
        None => Ok(fallback),
        Some(text) => skerry::json::Value::new(text.as_bytes())
            .f64()
            .map_err(|_| reject("LOW and HIGH must be numbers; set them in the function's env")),
    }
}

impl Function for Hysteresis {
    fn start(start: &Start) -> Result<Self, Failure> {
        let (low, high) = (number(start, "LOW", 22.0)?, number(start, "HIGH", 25.0)?);
        if low > high {
            return Err(reject("LOW is above HIGH; change them in the function's env"));
        }
        Ok(Hysteresis { low, high })
    }

    fn handle(&mut self, run: &Run) -> Result<(), Failure> {
        let room = room(run.subject()).ok_or_else(|| reject("the topic is not rooms/<room>/temperature"))?;
        let celsius = run.json().get("celsius").f64().map_err(|_| reject("the event has no number \"celsius\""))?;
        let key = Name::new(["fan/", room, ""]);
        let on = match run.get(key.as_str()) {
            Ok(value) => value == b"on",
            Err(Error::NotFound) => false,
            Err(e) => return Err(e.into()),
        };
        let want = celsius > self.high || on && celsius >= self.low;
        if want == on {
            return Ok(());
        }
        let (state, message) = if want { ("on", "{\"on\":true}") } else { ("off", "{\"on\":false}") };
        run.set(key.as_str(), state.as_bytes(), 0)?;
        let topic = Name::new(["fans/", room, "/set"]);
        Ok(run.publish(topic.as_str(), message.as_bytes(), skerry::QOS1 | skerry::RETAIN)?)
    }
}

skerry::function!(Hysteresis);
