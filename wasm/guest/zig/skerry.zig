//! For functions written in Zig that run under Skerry, by the ABI in wasm/ABI.md.
//!
//!     const skerry = @import("skerry");
//!
//!     comptime {
//!         skerry.function(@This());
//!     }
//!     pub const panic = skerry.panic; // without it a panic traps with no word
//!
//!     var limit: f64 = 80;
//!
//!     pub fn start() !void { // once per instance; may be left out
//!         if (skerry.config("LIMIT")) |text| limit = try skerry.json.Value.init(text).float();
//!     }
//!
//!     pub fn handle() !void {
//!         const v = skerry.value().get("temperature").float() catch return skerry.reject("no temperature");
//!         if (v > limit) try skerry.publish("alerts/hot", skerry.data(), skerry.qos1);
//!     }
//!
//! What a handler decides takes effect when it returns, and not at all when it
//! returns an error. That of a call that the host refused is told with the
//! host's reason, others with their names. What is read from the host lies in `allocator`, which is
//! emptied before the next event; handlers may use it too.
const std = @import("std");

pub const json = @import("json.zig");

const sys = struct {
    extern "skerry_v1" fn event_get(field: u32, buf: [*]u8, cap: usize) i32;
    extern "skerry_v1" fn result_set(ptr: [*]const u8, len: usize) i32;
    extern "skerry_v1" fn error_set(ptr: [*]const u8, len: usize) i32;
    extern "skerry_v1" fn error_get(buf: [*]u8, cap: usize) i32;
    extern "skerry_v1" fn log(level: u32, ptr: [*]const u8, len: usize) i32;
    extern "skerry_v1" fn config_get(key: [*]const u8, key_len: usize, buf: [*]u8, cap: usize) i32;
    extern "skerry_v1" fn secret_get(name: [*]const u8, name_len: usize, buf: [*]u8, cap: usize) i32;
    extern "skerry_v1" fn publish(topic: [*]const u8, topic_len: usize, ptr: [*]const u8, len: usize, flags: u32) i32;
    extern "skerry_v1" fn emit(function: [*]const u8, function_len: usize, ptr: [*]const u8, len: usize) i32;
    extern "skerry_v1" fn followup(target: [*]const u8, target_len: usize, kind: [*]const u8, kind_len: usize, ptr: [*]const u8, len: usize) i32;
    extern "skerry_v1" fn now_ms() i64;
    extern "skerry_v1" fn kv_get(key: [*]const u8, key_len: usize, buf: [*]u8, cap: usize) i32;
    extern "skerry_v1" fn kv_set(key: [*]const u8, key_len: usize, ptr: [*]const u8, len: usize, ttl_s: u32) i32;
    extern "skerry_v1" fn kv_delete(key: [*]const u8, key_len: usize) i32;
    extern "skerry_v1" fn kv_add(key: [*]const u8, key_len: usize, delta: i64) i64;
    extern "skerry_v1" fn kv_cas(key: [*]const u8, key_len: usize, old: [*]const u8, old_len: usize, ptr: [*]const u8, len: usize) i32;
    extern "skerry_v1" fn kv_list(prefix: [*]const u8, prefix_len: usize, limit: u32, buf: [*]u8, cap: usize) i32;
    extern "skerry_v1" fn random_get(ptr: [*]u8, len: usize) i32;
    extern "skerry_v1" fn sleep_ms(ms: u32) i32;
    extern "skerry_v1" fn http(req: [*]const u8, req_len: usize, buf: [*]u8, cap: usize) i32;
};

/// Why the host refused; `reason` has its words.
pub const Error = error{ Invalid, NotFound, Denied, Limit, HostFailed, OutOfMemory };

var refused: ?Error = null; // with this, by the last call that was

fn check(n: i32) Error!usize {
    if (n >= 0) return @intCast(n);
    return refuse(switch (n) {
        -1 => error.Invalid,
        -2 => error.NotFound,
        -3 => error.Denied,
        -4 => error.Limit,
        else => error.HostFailed,
    });
}

fn refuse(why: Error) Error {
    refused = if (why == error.NotFound) null else why; // its name says it all
    return why;
}

/// Why the host refused a call of this run, the last one, and what to grant; ""
/// if it refused none, or if it does not fit in buf. A handler that returns the
/// error of a call needs not ask: these words become the run's own.
pub fn reason(buf: []u8) []const u8 {
    const n = sys.error_get(buf.ptr, buf.len);
    return if (n > 0 and n <= buf.len) buf[0..@intCast(n)] else "";
}

// Flags of publish.
pub const qos0 = 0;
pub const qos1 = 1;
pub const qos2 = 2;
pub const retain = 4;

pub const Level = enum(u32) { debug, info, warn, err };

var arena = std.heap.ArenaAllocator.init(std.heap.wasm_allocator);

/// Memory until the handler returns.
pub const allocator = arena.allocator();

/// Reads a value: host(args…, buffer, capacity) answers its full length, and
/// copies it only if it fits.
fn fill(comptime host: anytype, args: anytype) Error![]const u8 {
    const guess = 256;
    var buf = try allocator.alloc(u8, guess);
    var n = try check(@call(.auto, host, args ++ .{ buf.ptr, buf.len }));
    if (n > buf.len) {
        buf = try allocator.realloc(buf, n);
        n = try check(@call(.auto, host, args ++ .{ buf.ptr, buf.len }));
    }
    return buf[0..n];
}

// The event's payload has memory of its own, which is kept from run to run.
var first: [4096]u8 = undefined;
var payload: []u8 = &first;
var payload_len: ?usize = null;

/// The event's payload.
pub fn data() []const u8 {
    const n = payload_len orelse read: {
        var n: usize = @intCast(sys.event_get(0, payload.ptr, payload.len));
        if (n > payload.len) {
            if (payload.ptr != &first) std.heap.wasm_allocator.free(payload);
            payload = std.heap.wasm_allocator.alloc(u8, n) catch @panic("no memory for the event");
            n = @intCast(sys.event_get(0, payload.ptr, payload.len));
        }
        payload_len = n;
        break :read n;
    };
    return payload[0..n];
}

/// The event's payload as JSON.
pub fn value() json.Value {
    return json.Value.init(data());
}

/// Of an event.
pub const Field = enum(u32) {
    /// the MQTT topic, the schedule's trigger, or the emitting function
    subject = 1,
    content_type = 2,
    /// app/trigger
    trigger = 3,
    /// the same when the event is run again
    id = 4,
    /// decimal milliseconds since 1970
    time_ms = 5,
    source = 7,
    type = 8,
    /// decimal, 1 for the first run
    attempt = 9,
    /// app/function
    function = 10,
};

/// A field of the event, "" if it has none.
pub fn event(field: Field) []const u8 {
    return fill(sys.event_get, .{@intFromEnum(field)}) catch "";
}

/// A value of the function's env.
pub fn config(key: []const u8) ?[]const u8 {
    return fill(sys.config_get, .{ key.ptr, key.len }) catch null;
}

/// The value of a secret that the function's manifest names.
pub fn secret(name: []const u8) Error![]const u8 {
    return fill(sys.secret_get, .{ name.ptr, name.len });
}

/// Sets the function's result, which the trigger's `then` may send on.
pub fn result(bytes: []const u8) Error!void {
    _ = try check(sys.result_set(bytes.ptr, bytes.len));
}

pub fn log(level: Level, line: []const u8) void {
    _ = sys.log(@intFromEnum(level), line.ptr, line.len);
}

/// Sends to an MQTT topic.
pub fn publish(topic: []const u8, bytes: []const u8, flags: u32) Error!void {
    _ = try check(sys.publish(topic.ptr, topic.len, bytes.ptr, bytes.len, flags));
}

/// Gives another function of the same app an event.
pub fn emit(name: []const u8, bytes: []const u8) Error!void {
    _ = try check(sys.emit(name.ptr, name.len, bytes.ptr, bytes.len));
}

/// Asks the central FaaS behind target to do something.
pub fn followup(target: []const u8, content_type: []const u8, bytes: []const u8) Error!void {
    _ = try check(sys.followup(target.ptr, target.len, content_type.ptr, content_type.len, bytes.ptr, bytes.len));
}

/// Milliseconds since 1970.
pub fn now() i64 {
    return sys.now_ms();
}

/// Fills buf with true random bytes, at most 64 KiB.
pub fn random(buf: []u8) Error!void {
    _ = try check(sys.random_get(buf.ptr, buf.len));
}

/// Pauses the run, no longer than its deadline.
pub fn sleep(ms: u32) Error!void {
    _ = try check(sys.sleep_ms(ms));
}

/// Reads the function's state.
pub fn get(key: []const u8) Error![]const u8 {
    return fill(sys.kv_get, .{ key.ptr, key.len });
}

/// Writes the function's state, for ttl_s seconds, or for ever if 0. Keys are
/// UTF-8 of up to 256 bytes and do not start with "/".
pub fn set(key: []const u8, bytes: []const u8, ttl_s: u32) Error!void {
    _ = try check(sys.kv_set(key.ptr, key.len, bytes.ptr, bytes.len, ttl_s));
}

/// Removes a key; removing what is not there is no error.
pub fn delete(key: []const u8) Error!void {
    _ = try check(sys.kv_delete(key.ptr, key.len));
}

/// Adds to the decimal integer in key, 0 if there is none.
pub fn add(key: []const u8, delta: i64) Error!i64 {
    const sum = sys.kv_add(key.ptr, key.len, delta);
    return if (sum == std.math.minInt(i64)) refuse(error.Invalid) else sum;
}

/// Writes bytes if key holds old, or does not exist if that is null, and tells
/// whether it did.
pub fn compareAndSet(key: []const u8, old: ?[]const u8, bytes: []const u8) Error!bool {
    const was = old orelse "";
    const was_len = if (old == null) std.math.maxInt(usize) else was.len;
    return try check(sys.kv_cas(key.ptr, key.len, was.ptr, was_len, bytes.ptr, bytes.len)) == 1;
}

/// At most limit keys that start with prefix, sorted; 0 means 1000, the most.
pub fn keys(prefix: []const u8, limit: u32) Error!Keys {
    return .{ .rest = try fill(sys.kv_list, .{ prefix.ptr, prefix.len, limit }) };
}

pub const Keys = struct {
    rest: []const u8, // for each key its length, low byte first, and its bytes

    pub fn next(self: *Keys) ?[]const u8 {
        if (self.rest.len < 2) return null;
        const n = 2 + std.mem.readIntLittle(u16, self.rest[0..2]);
        defer self.rest = self.rest[n..];
        return self.rest[2..n];
    }
};

/// The answer to an HTTP request.
pub const Response = struct {
    status: u16,
    head: []const u8, // its lines, the status too
    body: []const u8,

    /// The first header line with a name, in any case.
    pub fn header(self: Response, name: []const u8) ?[]const u8 {
        var lines = std.mem.splitScalar(u8, self.head, '\n');
        while (lines.next()) |line| {
            if (line.len <= name.len or line[name.len] != ':') continue;
            if (std.ascii.eqlIgnoreCase(line[0..name.len], name)) return std.mem.trimLeft(u8, line[name.len + 1 ..], " ");
        }
        return null;
    }
};

/// Makes an HTTP request, given as "POST https://host/path\nName: value\n\nbody".
/// Every answer is one, whatever its status. It stands outside of the
/// transaction: it happens at once, and again if the event is run again.
pub fn http(request: []const u8) Error!Response {
    var buf = try allocator.alloc(u8, 4096);
    const n = try check(sys.http(request.ptr, request.len, buf.ptr, buf.len));
    if (n > buf.len) {
        buf = try allocator.realloc(buf, n);
        _ = try check(sys.http(request.ptr, 0, buf.ptr, buf.len)); // the same answer again
    }
    const end = std.mem.indexOf(u8, buf[0..n], "\n\n") orelse return error.HostFailed;
    const line = std.mem.sliceTo(buf[0..end], '\n');
    return .{
        .status = std.fmt.parseInt(u16, line, 10) catch return error.HostFailed,
        .head = buf[0..end],
        .body = buf[end + 2 .. n],
    };
}

var said = false; // why the run fails

/// The event can never be processed: `return skerry.reject("no id");`
pub fn reject(why: []const u8) error{Reject} {
    say(why);
    return error.Reject;
}

/// Asks for another run of the event later.
pub fn retry(why: []const u8) error{Retry} {
    say(why);
    return error.Retry;
}

/// Says why the run fails; other errors are known by their names.
pub fn failed(why: []const u8) error{Failed} {
    say(why);
    return error.Failed;
}

fn say(why: []const u8) void {
    said = true;
    _ = sys.error_set(why.ptr, why.len);
}

/// Exports the function whose file has a `handle`, and perhaps a `start`.
pub fn function(comptime File: type) void {
    const entries = struct {
        fn skerry_init() callconv(.C) i32 {
            _ = arena.reset(.retain_capacity);
            return answer(File.start());
        }

        fn skerry_handle() callconv(.C) i32 {
            _ = arena.reset(.retain_capacity);
            payload_len = null;
            said = false;
            refused = null;
            return answer(File.handle());
        }
    };
    @export(entries.skerry_handle, .{ .name = "skerry_handle" });
    if (@hasDecl(File, "start")) @export(entries.skerry_init, .{ .name = "skerry_init" });
}

fn answer(outcome: anyerror!void) i32 {
    outcome catch |err| {
        if (!said and !hosts(err)) say(@errorName(err));
        return switch (err) {
            error.Reject => 1,
            error.Retry => 2,
            else => 3,
        };
    };
    return 0;
}

/// Tells whether an error is that of a refused call, of which the host has words.
fn hosts(err: anyerror) bool {
    return if (refused) |why| why == err else false;
}

/// Makes what a panic says the run's error text, and traps.
pub fn panic(message: []const u8, _: ?*std.builtin.StackTrace, _: ?usize) noreturn {
    say(message);
    @trap();
}
