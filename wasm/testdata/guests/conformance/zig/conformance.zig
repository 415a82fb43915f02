//! Conformance does what the event's topic says, with arguments from its data:
//! each is its length as 32 bits, low byte first, and its bytes. The result is
//! "=" and a value, or "!" and why not.
const std = @import("std");
const skerry = @import("skerry");

comptime {
    skerry.function(@This());
}
pub const panic = skerry.panic;

var boot: []const u8 = "";
var rest: []const u8 = "";

pub fn start() !void {
    skerry.log(.info, "starting");
    const text = skerry.config("BOOT") orelse return skerry.failed("BOOT is not set");
    boot = try std.heap.wasm_allocator.dupe(u8, text);
}

fn next() []const u8 {
    if (rest.len < 4) return "";
    const n = 4 + std.mem.readIntLittle(u32, rest[0..4]);
    defer rest = rest[n..];
    return rest[4..n];
}

fn int(comptime T: type) T {
    return std.fmt.parseInt(T, next(), 10) catch @panic("no integer");
}

const Command = enum { echo, boot, fields, publish, emit, followup, log, get, set, delete, add, cas, list, now, random, sleep, config, secret, http, json, reject, retry, fail, refused, why, throw, trap };

pub fn handle() !void {
    rest = skerry.data();
    const command = std.meta.stringToEnum(Command, skerry.event(.subject)) orelse return skerry.failed("no such command");
    switch (command) {
        .echo => return skerry.result(skerry.data()),
        .reject => return skerry.reject(next()),
        .retry => return skerry.retry(next()),
        .fail => return skerry.failed(next()),
        .trap => @panic("trap"),
        .throw => @panic(next()),
        .refused => return skerry.publish(next(), "", 0),
        else => {},
    }
    const value = answer(command) catch |err| return skerry.result(switch (err) {
        error.Invalid => "!invalid",
        error.NotFound => "!not found",
        error.Denied => "!denied",
        error.Limit => "!limit",
        else => "!io",
    });
    return skerry.result(try std.mem.concat(skerry.allocator, u8, &.{ "=", value }));
}

fn decimal(number: anytype) ![]const u8 {
    return std.fmt.allocPrint(skerry.allocator, "{d}", .{number});
}

fn answer(command: Command) ![]const u8 {
    switch (command) {
        .boot => return boot,
        .why => {
            skerry.publish(next(), "", 0) catch return skerry.reason(try skerry.allocator.alloc(u8, 256));
        },
        .fields => return fields(),
        .publish => try skerry.publish(next(), next(), int(u32)),
        .emit => try skerry.emit(next(), next()),
        .followup => try skerry.followup(next(), next(), next()),
        .log => skerry.log(@enumFromInt(int(u32)), next()),
        .now => return decimal(skerry.now()),
        .sleep => try skerry.sleep(int(u32)),
        .config => return skerry.config(next()) orelse error.NotFound,
        .secret => return skerry.secret(next()),
        .random => {
            const buf = try skerry.allocator.alloc(u8, int(usize));
            try skerry.random(buf);
            return buf;
        },
        .http => {
            const r = try skerry.http(next());
            return std.fmt.allocPrint(skerry.allocator, "{d}\n{s}\n{s}", .{ r.status, r.header("kind") orelse "", r.body });
        },
        .json => return json(),
        else => return state(command),
    }
    return "";
}

fn fields() ![]const u8 {
    return std.mem.join(skerry.allocator, "|", &.{
        skerry.event(.subject), skerry.event(.content_type), skerry.event(.trigger), skerry.event(.id), skerry.event(.time_ms),
        skerry.event(.source),  skerry.event(.type),         skerry.event(.attempt), skerry.event(.function),
    });
}

fn state(command: Command) ![]const u8 {
    const key = next();
    switch (command) {
        .get => return skerry.get(key),
        .set => try skerry.set(key, next(), int(u32)),
        .delete => try skerry.delete(key),
        .add => return decimal(try skerry.add(key, int(i64))),
        .cas => {
            const old = next();
            return decimal(@intFromBool(try skerry.compareAndSet(key, if (old.len == 0) null else old, next())));
        },
        else => {
            var list = std.ArrayList([]const u8).init(skerry.allocator);
            var keys = try skerry.keys(key, int(u32));
            while (keys.next()) |k| try list.append(k);
            return std.mem.join(skerry.allocator, "\n", list.items);
        },
    }
    return "";
}

fn json() ![]const u8 {
    const what = next();
    var v = skerry.json.Value.init(next());
    var step = next();
    while (step.len > 0) : (step = next()) {
        v = if (step[0] == '.') v.get(step[1..]) else v.at(step[1] - '0');
    }
    switch (what[0]) {
        'r' => return v.raw(),
        't' => return v.string(try skerry.allocator.alloc(u8, 256)),
        'i' => return decimal(try v.int()),
        'f' => {
            const bits = try skerry.allocator.create([8]u8);
            std.mem.writeIntLittle(u64, bits, @as(u64, @bitCast(try v.float())));
            return bits;
        },
        else => return decimal(@intFromBool(try v.boolean())),
    }
}
