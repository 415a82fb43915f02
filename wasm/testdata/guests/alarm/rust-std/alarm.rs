//! Alarm asks central for help when a sensor's temp is above the threshold.

use skerry::{failed, reject, Failure, Function, Run, Start};

struct Alarm {
    threshold: f64,
    limit: String,
    text: Vec<u8>, // what is sent; its memory is used again
}

impl Function for Alarm {
    fn start(start: &Start) -> Result<Self, Failure> {
        let limit = start.config("threshold").unwrap_or("").to_string();
        let threshold =
            limit.parse().map_err(|e| failed(&format!("threshold {limit:?}: {e}; set it in the function's env")))?;
        Ok(Alarm { threshold, limit, text: Vec::new() })
    }

    fn handle(&mut self, run: &Run) -> Result<(), Failure> {
        let event = run.json();
        let temp = event.get("temp");
        let t = temp.f64().map_err(|_| reject("the event has no number temp"))?;
        if t <= self.threshold {
            return Ok(());
        }
        // Numbers as the event has them: to format one takes longer than all else here.
        let (sensor, line) = (event.get("sensor").raw()?, event.get("line").raw()?);
        self.text.clear();
        self.text.reserve(256);
        for part in [
            br#"{"alarm":"hot","sensor":"#,
            sensor,
            br#","line":"#,
            line,
            br#","temp":"#,
            temp.raw()?,
            br#","limit":"#,
            self.limit.as_bytes(),
            b"}",
        ] {
            self.text.extend_from_slice(part);
        }
        Ok(run.followup("central", "application/json", &self.text)?)
    }
}

skerry::function!(Alarm);
