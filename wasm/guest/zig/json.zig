//! Reads JSON where it stands: finding a value allocates and copies nothing,
//! and reads no further than the value. What is passed by is not checked.
const std = @import("std");

/// NotFound: no such member or element. Invalid: not JSON, or of another kind.
pub const Error = error{ NotFound, Invalid };

/// A JSON value as it stands in its text, or why there is none.
pub const Value = struct {
    text: Error![]const u8, // from its first byte to the end of the text

    pub fn init(text: []const u8) Value {
        return .{ .text = text[space(text, 0)..] };
    }

    /// The first member of an object with a name.
    pub fn get(self: Value, name: []const u8) Value {
        return .{ .text = self.child('{', name, 0) };
    }

    /// An element of a list, the first is 0.
    pub fn at(self: Value, index: usize) Value {
        return .{ .text = self.child('[', "", index) };
    }

    /// The value's text, strings with their quotes.
    pub fn raw(self: Value) Error![]const u8 {
        const text = try self.text;
        return text[0..try skip(text, 0)];
    }

    pub fn isNull(self: Value) bool {
        return std.mem.eql(u8, self.raw() catch return false, "null");
    }

    pub fn boolean(self: Value) Error!bool {
        const text = try self.raw();
        if (std.mem.eql(u8, text, "true")) return true;
        if (std.mem.eql(u8, text, "false")) return false;
        return error.Invalid;
    }

    /// A number. Exact up to 15 digits and 22 places, else to a part in 10^15.
    pub fn float(self: Value) Error!f64 {
        return number(try self.raw());
    }

    /// A number without fraction and exponent.
    pub fn int(self: Value) Error!i64 {
        const text = try self.raw();
        const start: usize = @intFromBool(text[0] == '-');
        if (digits(text, start) != text.len or start == text.len or (text[start] == '0' and text.len > start + 1)) return error.Invalid;
        return std.fmt.parseInt(i64, text, 10) catch error.Invalid;
    }

    /// A string with its escapes resolved, in buf if it has any.
    pub fn string(self: Value, buf: []u8) Error![]const u8 {
        const text = try self.raw();
        if (text[0] != '"') return error.Invalid;
        const inner = text[1 .. text.len - 1];
        if (std.mem.indexOfScalar(u8, inner, '\\') == null) return inner;
        var i: usize = 0;
        var n: usize = 0;
        while (i < inner.len) {
            var c: [4]u8 = undefined;
            const len = try unescape(inner, &i, &c);
            if (n + len > buf.len) return error.Invalid;
            @memcpy(buf[n..][0..len], c[0..len]);
            n += len;
        }
        return buf[0..n];
    }

    fn child(self: Value, open: u8, name: []const u8, index: usize) Error![]const u8 {
        const text = try self.text;
        const close = open + 2;
        if (byte(text, 0) != open) return error.Invalid;
        var i = space(text, 1);
        if (byte(text, i) == close) return error.NotFound;
        var n: usize = 0;
        while (true) : (n += 1) {
            var found = open == '[' and n == index;
            if (open == '{') {
                const end = try skipString(text, i);
                found = try same(text[i + 1 .. end - 1], name);
                i = space(text, end);
                if (byte(text, i) != ':') return error.Invalid;
                i = space(text, i + 1);
            }
            if (found) return text[i..];
            i = space(text, try skip(text, i));
            if (byte(text, i) == close) return error.NotFound;
            if (byte(text, i) != ',') return error.Invalid;
            i = space(text, i + 1);
        }
    }
};

/// The byte at i, 0 behind the end.
fn byte(b: []const u8, i: usize) u8 {
    return if (i < b.len) b[i] else 0;
}

fn space(b: []const u8, from: usize) usize {
    var i = from;
    while (i < b.len and (b[i] == ' ' or b[i] == '\n' or b[i] == '\r' or b[i] == '\t')) i += 1;
    return i;
}

/// The index behind the value at `from`.
fn skip(b: []const u8, from: usize) Error!usize {
    var i = from;
    switch (byte(b, i)) {
        '"' => return skipString(b, i),
        '{', '[' => return skipNest(b, i),
        else => {},
    }
    while (i < b.len) : (i += 1) {
        switch (b[i]) {
            ',', '}', ']', ' ', '\n', '\r', '\t', ':', '"', '{', '[' => break,
            else => {},
        }
    }
    return if (i > from) i else error.Invalid;
}

fn skipNest(b: []const u8, from: usize) Error!usize {
    var i = from;
    var depth: usize = 0;
    while (i < b.len) {
        switch (b[i]) {
            '"' => {
                i = try skipString(b, i);
                continue;
            },
            '{', '[' => depth += 1,
            '}', ']' => {
                depth -= 1;
                if (depth == 0) return i + 1;
            },
            else => {},
        }
        i += 1;
    }
    return error.Invalid;
}

fn skipString(b: []const u8, from: usize) Error!usize {
    if (byte(b, from) != '"') return error.Invalid;
    var i = from + 1;
    while (i < b.len) : (i += 1) {
        switch (b[i]) {
            '"' => return i + 1,
            '\\' => i += 1,
            0...0x1f => return error.Invalid,
            else => {},
        }
    }
    return error.Invalid;
}

/// Compares what stands between a key's quotes with a name.
fn same(key: []const u8, name: []const u8) Error!bool {
    if (std.mem.indexOfScalar(u8, key, '\\') == null) return std.mem.eql(u8, key, name);
    var i: usize = 0;
    var n: usize = 0;
    while (i < key.len) {
        var c: [4]u8 = undefined;
        const len = try unescape(key, &i, &c);
        if (!std.mem.startsWith(u8, name[n..], c[0..len])) return false;
        n += len;
    }
    return n == name.len;
}

/// Writes what stands at i of the inside of a string: a character in UTF-8, or
/// one byte of it. Half of a surrogate pair is U+FFFD.
fn unescape(b: []const u8, i: *usize, out: *[4]u8) Error!usize {
    out[0] = b[i.*];
    i.* += 1;
    if (out[0] != '\\') return 1;
    const c = byte(b, i.*);
    i.* += 1;
    out[0] = switch (c) {
        '"', '\\', '/' => c,
        'b' => 8,
        'f' => 12,
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return codePoint(b, i, out),
        else => return error.Invalid,
    };
    return 1;
}

fn codePoint(b: []const u8, i: *usize, out: *[4]u8) Error!usize {
    var v: u21 = try hex(b, i.*);
    i.* += 4;
    if (v >= 0xd800 and v < 0xe000) {
        const high = v;
        v = 0xfffd;
        if (high < 0xdc00 and byte(b, i.*) == '\\' and byte(b, i.* + 1) == 'u') {
            const low: u21 = hex(b, i.* + 2) catch 0;
            if (low >= 0xdc00 and low < 0xe000) {
                v = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                i.* += 6;
            }
        }
    }
    return std.unicode.utf8Encode(v, out) catch error.Invalid;
}

fn hex(b: []const u8, i: usize) Error!u16 {
    if (i + 4 > b.len) return error.Invalid;
    var v: u16 = 0;
    for (b[i..][0..4]) |c| {
        v = v << 4 | (std.fmt.charToDigit(c, 16) catch return error.Invalid);
    }
    return v;
}

/// The index behind the digits from i on.
fn digits(b: []const u8, from: usize) usize {
    var i = from;
    while (byte(b, i) -% '0' < 10) i += 1;
    return i;
}

const tens = [_]f64{
    1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

/// A number by the grammar of JSON.
fn number(b: []const u8) Error!f64 {
    var m: u64 = 0;
    var e: i32 = 0;
    const start: usize = @intFromBool(b[0] == '-');
    var i = digits(b, start);
    if (i == start or (b[start] == '0' and i > start + 1)) return error.Invalid;
    e += take(b[start..i], &m);
    if (byte(b, i) == '.') {
        const point = i + 1;
        i = digits(b, point);
        if (i == point) return error.Invalid;
        e += take(b[point..i], &m) - @as(i32, @intCast(i - point));
    }
    if (byte(b, i) | 0x20 == 'e') {
        const sign = byte(b, i + 1);
        const from = if (sign == '-' or sign == '+') i + 2 else i + 1;
        i = digits(b, from);
        if (i == from) return error.Invalid;
        var x: i32 = 0;
        for (b[from..i]) |c| if (x < 100_000) {
            x = x * 10 + (c - '0');
        };
        e += if (sign == '-') -x else x;
    }
    if (i != b.len) return error.Invalid;
    const v = if (m == 0) 0 else scale(@floatFromInt(m), e);
    if (std.math.isInf(v)) return error.Invalid;
    return if (start == 1) -v else v;
}

/// Adds digits to m; the result is how many had no room.
fn take(b: []const u8, m: *u64) i32 {
    var lost: i32 = 0;
    for (b) |c| {
        if (m.* < 100_000_000_000_000_000) m.* = m.* * 10 + (c - '0') else lost += 1;
    }
    return lost;
}

fn scale(mantissa: f64, exponent: i32) f64 {
    var v = mantissa;
    var e = exponent;
    while (e > 22 and v < 1e300) : (e -= 22) v *= 1e22;
    while (e < -22 and v > 0) : (e += 22) v /= 1e22;
    if (e > 22) return std.math.inf(f64);
    if (e < -22) return 0;
    return if (e >= 0) v * tens[@intCast(e)] else v / tens[@intCast(-e)];
}
