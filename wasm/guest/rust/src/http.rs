//! Outbound HTTP.

use crate::host::{fill, Error, Run};
use crate::{json, sys};

/// The answer to a request.
pub struct Response<'a> {
    pub status: u16,
    pub body: &'a [u8],
    head: &'a [u8],
}

impl Run {
    /// Makes an HTTP request, as text:
    ///
    /// ```text
    /// POST https://host/path
    /// Content-Type: text/plain
    ///
    /// body
    /// ```
    ///
    /// Every answer is one, whatever its status. It stands outside of the
    /// transaction: it happens at once, and again if the event is run again.
    pub fn http(&self, request: &[u8]) -> Result<Response<'_>, Error> {
        let mut len = request.len();
        let answer = fill(|buf, cap| unsafe {
            let n = sys::http(request.as_ptr(), len, buf, cap);
            len = 0; // with no request the host gives the same answer again
            n
        })?;
        let end = answer.windows(2).position(|w| w == b"\n\n").ok_or(Error::Io)?;
        let (head, body) = (&answer[..end], &answer[end + 2..]);
        let status = head.split(|&c| c == b'\n').next().unwrap_or(head);
        let status = json::Value::new(status).i64().map_err(|_| Error::Io)?;
        Ok(Response { status: status as u16, body, head })
    }
}

impl<'a> Response<'a> {
    /// The first header line with a name, in any case.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// Names and values in order.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.head.split(|&c| c == b'\n').skip(1).filter_map(|line| {
            let colon = line.iter().position(|&c| c == b':')?;
            let value = &line[colon + 1..];
            Some((&line[..colon], value.strip_prefix(b" ").unwrap_or(value)))
        })
    }
}
