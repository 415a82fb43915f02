//! Reads JSON where it stands: finding a value allocates and copies nothing,
//! and reads no further than the value. What is passed by is not checked.

/// A JSON value as it stands in its text, or why there is none.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a>(Result<&'a [u8], Error<'a>>); // from its first byte to the end of the text

/// Why a value cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<'a> {
    /// There is no member or element with this name, or no such element.
    Absent(&'a str),
    /// What should have members or elements has none.
    NoContainer,
    /// The text is not JSON.
    Syntax,
    /// The value is of another kind; this is the one that was wanted.
    Kind(&'static str),
}

impl<'a> Error<'a> {
    /// The error in words, in `buf` where it names something.
    pub fn text<'b>(self, buf: &'b mut [u8; 96]) -> &'b str {
        let (what, name) = match self {
            Error::Absent(name) => ("JSON lacks ", name),
            Error::NoContainer => ("JSON is no object or list where it should be one", ""),
            Error::Syntax => ("not JSON", ""),
            Error::Kind(wanted) => ("JSON is not ", wanted),
        };
        let mut n = 0;
        for (to, from) in buf.iter_mut().zip(what.bytes().chain(name.bytes())) {
            *to = from;
            n += 1;
        }
        let text: &'b [u8] = buf;
        match core::str::from_utf8(&text[..n]) {
            Ok(text) => text,
            Err(_) => what, // a name that is cut within a character
        }
    }
}

impl<'a> Value<'a> {
    /// The value that a text holds.
    pub fn new(text: &'a [u8]) -> Value<'a> {
        Value(Ok(&text[space(text, 0)..]))
    }

    /// The first member of an object with a name.
    pub fn get(self, name: &'a str) -> Value<'a> {
        Value(self.child(b'{', Error::Absent(name), |key, _| same(key, name.as_bytes())))
    }

    /// An element of a list, the first is 0.
    pub fn at(self, index: usize) -> Value<'a> {
        Value(self.child(b'[', Error::Absent("an element"), |_, i| i == index))
    }

    /// The value's text, strings with their quotes.
    pub fn raw(self) -> Result<&'a [u8], Error<'a>> {
        let text = self.0?;
        skip(text, 0).map(|end| &text[..end]).ok_or(Error::Syntax)
    }

    /// Whether the value is null; what is absent is not.
    pub fn is_null(self) -> bool {
        self.raw() == Ok(b"null")
    }

    pub fn bool(self) -> Result<bool, Error<'a>> {
        match self.raw()? {
            b"true" => Ok(true),
            b"false" => Ok(false),
            _ => Err(Error::Kind("true or false")),
        }
    }

    /// A number. Exact up to 15 digits and 22 places, else to a part in 10^15.
    pub fn f64(self) -> Result<f64, Error<'a>> {
        number(self.raw()?).ok_or(Error::Kind("a number"))
    }

    /// A number without fraction and exponent.
    pub fn i64(self) -> Result<i64, Error<'a>> {
        integer(self.raw()?).ok_or(Error::Kind("a whole number of 64 bits"))
    }

    /// A string without its quotes, if nothing in it is escaped.
    pub fn plain(self) -> Result<&'a str, Error<'a>> {
        let inner = self.inner()?;
        if inner.contains(&b'\\') {
            return Err(Error::Kind("a string without escapes"));
        }
        core::str::from_utf8(inner).map_err(|_| Error::Syntax)
    }

    /// A string with its escapes resolved, in `buf` if it has any.
    pub fn text<'b>(self, buf: &'b mut [u8]) -> Result<&'b str, Error<'a>>
    where
        'a: 'b,
    {
        let inner = self.inner()?;
        if !inner.contains(&b'\\') {
            return core::str::from_utf8(inner).map_err(|_| Error::Syntax);
        }
        let (mut i, mut n) = (0, 0);
        while i < inner.len() {
            let (c, next) = unescape(inner, i).ok_or(Error::Kind("a string with proper escapes"))?;
            buf.get_mut(n..n + c.len).ok_or(Error::Kind("a string that fits"))?.copy_from_slice(c.bytes());
            (i, n) = (next, n + c.len);
        }
        core::str::from_utf8(&buf[..n]).map_err(|_| Error::Syntax)
    }

    fn inner(self) -> Result<&'a [u8], Error<'a>> {
        match self.raw()? {
            [b'"', inner @ .., b'"'] => Ok(inner),
            _ => Err(Error::Kind("a string")),
        }
    }

    /// From the child on for which `wanted(key, index)`.
    fn child(self, open: u8, absent: Error<'a>, wanted: impl Fn(&[u8], usize) -> bool) -> Result<&'a [u8], Error<'a>> {
        let (text, close) = (self.0?, open + 2);
        if text.first() != Some(&open) {
            return Err(if skip(text, 0).is_some() { Error::NoContainer } else { Error::Syntax });
        }
        let mut i = space(text, 1);
        if text.get(i) == Some(&close) {
            return Err(absent);
        }
        for index in 0.. {
            let mut key: &[u8] = b"";
            if open == b'{' {
                let end = string(text, i).ok_or(Error::Syntax)?;
                key = &text[i + 1..end - 1];
                i = expect(text, end, b':').ok_or(Error::Syntax)?;
            }
            if wanted(key, index) {
                return Ok(&text[i..]);
            }
            let end = skip(text, i).ok_or(Error::Syntax)?;
            match expect(text, end, b',') {
                Some(next) => i = next,
                None if expect(text, end, close).is_some() => break,
                None => return Err(Error::Syntax),
            }
        }
        Err(absent)
    }
}

/// The first index from i on that is no white space.
fn space(b: &[u8], mut i: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = b.get(i) {
        i += 1;
    }
    i
}

/// The index of what follows c and the white space around it.
fn expect(b: &[u8], i: usize, c: u8) -> Option<usize> {
    let i = space(b, i);
    (b.get(i) == Some(&c)).then(|| space(b, i + 1))
}

/// The index behind the value at i.
fn skip(b: &[u8], i: usize) -> Option<usize> {
    match b.get(i)? {
        b'"' => return string(b, i),
        b'{' | b'[' => return nest(b, i),
        _ => {}
    }
    let n = until(&b[i..], ENDS_PLAIN);
    (n > 0).then(|| i + n)
}

/// What a byte may be: whether it ends a number or a word, and whether it needs
/// care within a string.
static CLASS: [u8; 256] = classes();
const ENDS_PLAIN: u8 = 1;
const STOPS_STRING: u8 = 2;

const fn classes() -> [u8; 256] {
    let mut class = [0; 256];
    let mut c = 0;
    while c < 256 {
        if matches!(c as u8, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t' | b':' | b'"' | b'{' | b'[') {
            class[c] |= ENDS_PLAIN;
        }
        if matches!(c as u8, b'"' | b'\\' | 0..=0x1f) {
            class[c] |= STOPS_STRING;
        }
        c += 1;
    }
    class
}

/// How many bytes there are before one of a class.
fn until(b: &[u8], class: u8) -> usize {
    b.iter().position(|&c| CLASS[usize::from(c)] & class != 0).unwrap_or(b.len())
}

fn nest(b: &[u8], mut i: usize) -> Option<usize> {
    let mut depth = 0;
    loop {
        match b.get(i)? {
            b'"' => {
                i = string(b, i)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            _ => {}
        }
        i += 1;
    }
}

/// The index behind the string at i.
fn string(b: &[u8], mut i: usize) -> Option<usize> {
    if *b.get(i)? != b'"' {
        return None;
    }
    i += 1;
    loop {
        i += until(b.get(i..)?, STOPS_STRING);
        match b.get(i)? {
            b'"' => return Some(i + 1),
            b'\\' => i += 2,
            _ => return None,
        }
    }
}

/// Compares what stands between a key's quotes with a name.
fn same(key: &[u8], name: &[u8]) -> bool {
    if key.len() == name.len() {
        return key.iter().zip(name).all(|(a, b)| a == b && *a != b'\\');
    }
    if key.len() < name.len() || key[0] != b'\\' && name.first() != key.first() {
        return false; // an escape is longer than what it stands for
    }
    let (mut i, mut rest) = (0, name);
    while i < key.len() {
        match unescape(key, i) {
            Some((c, next)) if rest.starts_with(c.bytes()) => {
                i = next;
                rest = &rest[c.len..];
            }
            _ => return false,
        }
    }
    rest.is_empty()
}

/// One character in UTF-8, or one byte of it.
struct Utf8 {
    buf: [u8; 4],
    len: usize,
}

impl Utf8 {
    fn bytes(&self) -> &[u8] {
        &self.buf[..self.len.min(4)]
    }
}

/// What stands at i of the inside of a string, and the index behind it. Half of
/// a surrogate pair is U+FFFD.
fn unescape(b: &[u8], i: usize) -> Option<(Utf8, usize)> {
    let byte = |c: u8, next| Some((Utf8 { buf: [c, 0, 0, 0], len: 1 }, next));
    if b[i] != b'\\' {
        return byte(b[i], i + 1);
    }
    match *b.get(i + 1)? {
        c @ (b'"' | b'\\' | b'/') => byte(c, i + 2),
        b'b' => byte(8, i + 2),
        b'f' => byte(12, i + 2),
        b'n' => byte(b'\n', i + 2),
        b'r' => byte(b'\r', i + 2),
        b't' => byte(b'\t', i + 2),
        b'u' => {
            let (c, next) = code_point(b, i)?;
            let mut buf = [0; 4];
            let len = c.encode_utf8(&mut buf).len();
            Some((Utf8 { buf, len }, next))
        }
        _ => None,
    }
}

/// The character of \uxxxx, or of two of them, at i.
fn code_point(b: &[u8], i: usize) -> Option<(char, usize)> {
    let high = hex(b, i + 2)?;
    if let Some(c) = char::from_u32(high) {
        return Some((c, i + 6));
    }
    if high < 0xdc00 && b.get(i + 6..i + 8) == Some(b"\\u") {
        if let Some(low @ 0xdc00..=0xdfff) = hex(b, i + 8) {
            let c = char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
            return c.map(|c| (c, i + 12));
        }
    }
    Some((char::REPLACEMENT_CHARACTER, i + 6))
}

fn hex(b: &[u8], i: usize) -> Option<u32> {
    b.get(i..i + 4)?.iter().try_fold(0, |v, &c| Some(v << 4 | (c as char).to_digit(16)?))
}

/// The digits from i on, and how many there are.
fn digits(b: &[u8]) -> usize {
    b.iter().take_while(|c| c.is_ascii_digit()).count()
}

fn number(text: &[u8]) -> Option<f64> {
    const TENS: [f64; 23] = [
        1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22,
    ];
    let (mantissa, mut e) = decimal(text)?;
    let mut v = mantissa as f64;
    while mantissa != 0 && e > 22 && v < 1e300 {
        v *= 1e22;
        e -= 22;
    }
    while mantissa != 0 && e < -22 && v > 0.0 {
        v /= 1e22;
        e += 22;
    }
    v = match e {
        _ if mantissa == 0 => 0.0,
        0..=22 => v * TENS[e as usize],
        -22..=-1 => v / TENS[-e as usize],
        1.. => return None,
        _ => 0.0,
    };
    if text[0] == b'-' {
        v = -v;
    }
    v.is_finite().then(|| v)
}

/// A number by the grammar of JSON, as digits and a power of ten, without sign.
fn decimal(text: &[u8]) -> Option<(u64, i32)> {
    let mut b = text.strip_prefix(b"-").unwrap_or(text);
    let (mut m, mut e) = (0u64, 0);
    let mut take = |part: &[u8], fraction: bool| {
        e -= if fraction { part.len() as i32 } else { 0 };
        for c in part {
            if m < 100_000_000_000_000_000 {
                m = m * 10 + u64::from(c - b'0');
            } else {
                e += 1;
            }
        }
    };
    let n = digits(b);
    if n == 0 || b[0] == b'0' && n > 1 {
        return None;
    }
    take(&b[..n], false);
    b = &b[n..];
    if let Some(rest) = b.strip_prefix(b".") {
        let n = digits(rest);
        if n == 0 {
            return None;
        }
        take(&rest[..n], true);
        b = &rest[n..];
    }
    if let [b'e' | b'E', rest @ ..] = b {
        let minus = rest.first() == Some(&b'-');
        let rest = if let [b'-' | b'+', rest @ ..] = rest { rest } else { rest };
        let n = digits(rest);
        if n == 0 {
            return None;
        }
        let x = rest[..n].iter().fold(0, |x: i32, c| if x < 100_000 { x * 10 + i32::from(c - b'0') } else { x });
        e += if minus { -x } else { x };
        b = &rest[n..];
    }
    b.is_empty().then(|| (m, e))
}

fn integer(text: &[u8]) -> Option<i64> {
    let b = text.strip_prefix(b"-").unwrap_or(text);
    if b.is_empty() || digits(b) != b.len() || b[0] == b'0' && b.len() > 1 {
        return None;
    }
    let sign = if b.len() < text.len() { -1 } else { 1 };
    b.iter().try_fold(0i64, |v, c| v.checked_mul(10)?.checked_add(sign * i64::from(c - b'0')))
}
