//! Conformance does what the event's topic says, with arguments from its data:
//! each is its length as 32 bits, low byte first, and its bytes. The result is
//! "=" and a value, or "!" and why not.

#![no_std]

use skerry::{json, Error, Failure, Function, Level, Run, Start};

struct Conformance {
    boot: Buffer<64>,
}

/// An answer that is being written.
struct Buffer<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Buffer<N> {
    const fn new() -> Self {
        Buffer { bytes: [0; N], len: 0 }
    }

    fn push(&mut self, part: &[u8]) {
        self.bytes[self.len..][..part.len()].copy_from_slice(part);
        self.len += part.len();
    }

    fn push_number(&mut self, v: i64) {
        let (mut digits, mut at, mut rest) = ([0; 20], 20, v.unsigned_abs());
        while rest > 0 || at == 20 {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        if v < 0 {
            self.push(b"-");
        }
        self.push(&digits[at..]);
    }

    fn get(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

type Answer = Buffer<{ 70 << 10 }>;
static mut ANSWER: Answer = Answer::new();

struct Args<'a>(&'a [u8]);

impl<'a> Args<'a> {
    fn next(&mut self) -> &'a [u8] {
        if self.0.len() < 4 {
            return b"";
        }
        let (head, rest) = self.0.split_at(4);
        let n = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        self.0 = &rest[n..];
        &rest[..n]
    }

    fn text(&mut self) -> &'a str {
        core::str::from_utf8(self.next()).unwrap_or("")
    }

    fn int(&mut self) -> i64 {
        json::Value::new(self.next()).i64().unwrap_or(0)
    }
}

fn name(e: Error) -> &'static [u8] {
    match e {
        Error::Invalid => b"!invalid",
        Error::NotFound => b"!not found",
        Error::Denied => b"!denied",
        Error::Limit => b"!limit",
        Error::Io => b"!io",
    }
}

fn fields(run: &Run, out: &mut Answer) {
    for field in [run.subject(), run.content_type(), run.trigger(), run.id()] {
        out.push(field.as_bytes());
        out.push(b"|");
    }
    out.push_number(run.time_ms());
    for field in [run.source(), run.kind()] {
        out.push(b"|");
        out.push(field.as_bytes());
    }
    out.push(b"|");
    out.push_number(run.attempt());
    out.push(b"|");
    out.push(run.function().as_bytes());
}

fn http(run: &Run, args: &mut Args, out: &mut Answer) -> Result<(), Error> {
    let answer = run.http(args.next())?;
    out.push_number(answer.status.into());
    out.push(b"\n");
    out.push(answer.header("kind").unwrap_or(b""));
    out.push(b"\n");
    out.push(answer.body);
    Ok(())
}

fn read_json<'a>(args: &mut Args<'a>, out: &mut Answer) -> Result<(), json::Error<'a>> {
    let (what, mut v) = (args.text(), json::Value::new(args.next()));
    loop {
        let step = args.text();
        v = match step.as_bytes().first() {
            None => break,
            Some(b'.') => v.get(&step[1..]),
            _ => v.at((step.as_bytes()[1] - b'0').into()),
        };
    }
    match what {
        "raw" => out.push(v.raw()?),
        "float" => out.push(&v.f64()?.to_le_bytes()),
        "int" => out.push_number(v.i64()?),
        "bool" => out.push_number(v.bool()?.into()),
        _ => {
            let mut buf = [0; 256];
            out.push(v.text(&mut buf)?.as_bytes());
        }
    }
    Ok(())
}

fn state(run: &Run, command: &str, args: &mut Args, out: &mut Answer) -> Result<(), Error> {
    let key = args.text();
    match command {
        "get" => out.push(run.get(key)?),
        "set" => run.set(key, args.next(), args.int() as u32)?,
        "delete" => run.delete(key)?,
        "add" => out.push_number(run.add(key, args.int())?),
        "cas" => {
            let old = args.next();
            let old = if old.is_empty() { None } else { Some(old) };
            out.push_number(run.compare_and_set(key, old, args.next())?.into());
        }
        _ => {
            for (i, key) in run.keys(key, args.int() as u32)?.enumerate() {
                if i > 0 {
                    out.push(b"\n");
                }
                out.push(key.as_bytes());
            }
        }
    }
    Ok(())
}

fn log(args: &mut Args) {
    let level = [Level::Debug, Level::Info, Level::Warn, Level::Error][args.int() as usize];
    skerry::log(level, args.text());
}

fn why(run: &Run, topic: &str) -> Result<(), Failure> {
    let mut answer = Buffer::<256>::new();
    answer.push(b"=");
    if let Err(e) = run.publish(topic, b"", 0) {
        answer.push(e.reason(&mut [0; 255]).as_bytes());
    }
    Ok(run.result(answer.get())?)
}

impl Conformance {
    fn answer(&self, run: &Run, args: &mut Args, out: &mut Answer) -> Result<(), Error> {
        let command = run.subject();
        match command {
            "boot" => out.push(self.boot.get()),
            "fields" => fields(run, out),
            "publish" => run.publish(args.text(), args.next(), args.int() as u32)?,
            "emit" => run.emit(args.text(), args.next())?,
            "followup" => run.followup(args.text(), args.text(), args.next())?,
            "log" => log(args),
            "now" => out.push_number(skerry::now_ms()),
            "random" => {
                let n = args.int() as usize;
                skerry::random(&mut out.bytes[1..1 + n])?;
                out.len += n;
            }
            "sleep" => run.sleep_ms(args.int() as u32)?,
            "config" => out.push(run.config(args.text()).ok_or(Error::NotFound)?.as_bytes()),
            "secret" => out.push(run.secret(args.text())?.as_bytes()),
            "http" => http(run, args, out)?,
            "json" => read_json(args, out).map_err(|e| match e {
                json::Error::Absent(_) => Error::NotFound,
                _ => Error::Invalid,
            })?,
            _ => state(run, command, args, out)?,
        }
        Ok(())
    }
}

impl Function for Conformance {
    fn start(start: &Start) -> Result<Self, Failure> {
        skerry::log(Level::Info, "starting");
        let mut boot = Buffer::new();
        boot.push(start.config("BOOT").ok_or_else(|| skerry::reject("BOOT is not set"))?.as_bytes());
        Ok(Conformance { boot })
    }

    fn handle(&mut self, run: &Run) -> Result<(), Failure> {
        let mut args = Args(run.data());
        match run.subject() {
            "echo" => return Ok(run.result(run.data())?),
            "reject" => return Err(skerry::reject(args.text())),
            "retry" => return Err(skerry::retry(args.text())),
            "fail" => return Err(skerry::failed(args.text())),
            "trap" => panic!("trap"),
            "throw" => panic!("{}", args.text()),
            "refused" => return Ok(run.publish(args.text(), b"", 0)?),
            "why" => return why(run, args.text()),
            _ => {}
        }
        // One handler runs at a time.
        let out = unsafe { &mut *core::ptr::addr_of_mut!(ANSWER) };
        out.len = 0;
        out.push(b"=");
        Ok(match self.answer(run, &mut args, out) {
            Ok(()) => run.result(out.get()),
            Err(e) => run.result(name(e)),
        }?)
    }
}

skerry::function!(Conformance);
