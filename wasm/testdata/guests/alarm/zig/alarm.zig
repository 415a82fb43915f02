//! Alarm asks central for help when a sensor's temp is above the threshold.
const std = @import("std");
const skerry = @import("skerry");

comptime {
    skerry.function(@This());
}
pub const panic = skerry.panic;

var threshold: f64 = 0;
var limit: []const u8 = "";

pub fn start() !void {
    const text = skerry.config("threshold") orelse "";
    threshold = skerry.json.Value.init(text).float() catch return skerry.failed("threshold is not a number; set it in the function's env");
    limit = try std.heap.wasm_allocator.dupe(u8, text);
}

pub fn handle() !void {
    const event = skerry.value();
    const temp = event.get("temp");
    const t = temp.float() catch return skerry.reject("the event has no number temp");
    if (t <= threshold) return;
    const text = try std.mem.concat(skerry.allocator, u8, &.{
        "{\"alarm\":\"hot\",\"sensor\":", try event.get("sensor").raw(), ",\"line\":", try event.get("line").raw(),
        ",\"temp\":",                      try temp.raw(),                ",\"limit\":", limit, "}",
    });
    return skerry.followup("central", "application/json", text);
}
