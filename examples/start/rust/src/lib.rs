//! Alarm sends one alarm when a sensor is at LIMIT or above, and is silent until
//! the sensor has been below LIMIT again.

use skerry::{log, reject, Error, Failure, Function, Level, Run, Start};

struct Alarm {
    limit: f64,
}

impl Function for Alarm {
    /// Runs once, before the first event.
    fn start(start: &Start) -> Result<Self, Failure> {
        let limit = start.config("LIMIT").unwrap_or("80").parse();
        let limit = limit.map_err(|_| reject("LIMIT is not a number; set it in the function's env"))?;
        Ok(Alarm { limit })
    }

    /// Runs for each event. What it decides takes effect when it returns Ok, all
    /// of it, and none of it otherwise.
    fn handle(&mut self, run: &Run) -> Result<(), Failure> {
        let temperature = run.json().get("temperature").f64();
        let temperature = temperature.map_err(|_| reject("the event has no number \"temperature\""))?;
        let sensor = run.subject().split('/').nth(1); // sensors/<sensor>/temperature
        let sensor = sensor.ok_or_else(|| reject("the topic is not sensors/<sensor>/temperature"))?;

        let key = format!("hot/{sensor}");
        let hot = match run.get(&key) {
            Ok(_) => true,
            Err(Error::NotFound) => false,
            Err(e) => return Err(e.into()),
        };
        if (temperature >= self.limit) == hot {
            return Ok(()); // nothing new
        }
        if hot {
            log(Level::Info, &format!("{sensor} has cooled down"));
            return Ok(run.delete(&key)?);
        }
        log(Level::Warn, &format!("{sensor} is too hot"));
        run.set(&key, b"1", 0)?; // the state, kept for the next event
        run.publish(&format!("alarms/{sensor}"), run.data(), skerry::QOS1)?; // to the broker here
        run.followup("alarms", "application/json", run.data())?; // to the cloud, as soon as there is a link
        Ok(())
    }
}

skerry::function!(Alarm);
