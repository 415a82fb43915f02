//! Alarm asks central for help when a sensor's temp is above the threshold.

use skerry::{failed, reject, Failure, Function, Run, Start};

struct Alarm {
    threshold: f64,
}

impl Function for Alarm {
    fn start(start: &Start) -> Result<Self, Failure> {
        let text = start.config("threshold").unwrap_or("");
        let threshold = text.parse().map_err(|e| failed(&format!("threshold {text:?}: {e}; set it in the function's env")))?;
        Ok(Alarm { threshold })
    }

    fn handle(&mut self, run: &Run) -> Result<(), Failure> {
        let event = run.json();
        let temp = event.get("temp").f64().map_err(|_| reject("the event has no number temp"))?;
        if temp <= self.threshold {
            return Ok(());
        }
        let (sensor, line) = (event.get("sensor").plain()?, event.get("line").i64()?);
        let text = format!(
            r#"{{"alarm":"hot","sensor":"{sensor}","line":{line},"temp":{temp},"limit":{}}}"#,
            self.threshold
        );
        Ok(run.followup("central", "application/json", text.as_bytes())?)
    }
}

skerry::function!(Alarm);
