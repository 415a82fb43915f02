//! Alarm asks central for help when a sensor's temp is above the threshold.

#![no_std]

use skerry::{json, reject, Failure, Function, Run, Start};

struct Alarm {
    threshold: f64,
    limit: [u8; 32],
    limit_len: usize,
}

/// What is sent, part by part; what does not fit is left out.
struct Text {
    bytes: [u8; 256],
    len: usize,
}

impl Text {
    fn push(&mut self, part: &[u8]) {
        if let Some(to) = self.bytes.get_mut(self.len..self.len + part.len()) {
            to.copy_from_slice(part);
            self.len += part.len();
        }
    }
}

static mut TEXT: Text = Text { bytes: [0; 256], len: 0 };

impl Function for Alarm {
    fn start(start: &Start) -> Result<Self, Failure> {
        let text = start.config("threshold").unwrap_or("").as_bytes();
        let no_number = |_| reject("threshold is not a number; set it in the function's env");
        let threshold = json::Value::new(text).f64().map_err(no_number)?;
        let (mut limit, limit_len) = ([0; 32], text.len().min(32));
        limit[..limit_len].copy_from_slice(&text[..limit_len]);
        Ok(Alarm { threshold, limit, limit_len })
    }

    fn handle(&mut self, run: &Run) -> Result<(), Failure> {
        let event = run.json();
        let temp = event.get("temp");
        let t = temp.f64().map_err(|_| reject("the event has no number temp"))?;
        if t <= self.threshold {
            return Ok(());
        }
        // One handler runs at a time.
        let text = unsafe { &mut *core::ptr::addr_of_mut!(TEXT) };
        text.len = 0;
        text.push(b"{\"alarm\":\"hot\",\"sensor\":");
        text.push(event.get("sensor").raw()?);
        text.push(b",\"line\":");
        text.push(event.get("line").raw()?);
        text.push(b",\"temp\":");
        text.push(temp.raw()?);
        text.push(b",\"limit\":");
        text.push(&self.limit[..self.limit_len]);
        text.push(b"}");
        Ok(run.followup("central", "application/json", &text.bytes[..text.len])?)
    }
}

skerry::function!(Alarm);
