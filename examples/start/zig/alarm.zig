//! Alarm sends one alarm when a sensor is at LIMIT or above, and is silent until
//! the sensor has been below LIMIT again.
const std = @import("std");
const skerry = @import("skerry");

comptime {
    skerry.function(@This());
}
pub const panic = skerry.panic; // what a panic says becomes the run's error text

var limit: f64 = 80;

/// Runs once, before the first event.
pub fn start() !void {
    const text = skerry.config("LIMIT") orelse return;
    limit = std.fmt.parseFloat(f64, text) catch return skerry.failed("LIMIT is not a number; set it in the function's env");
}

/// Runs for each event. What it decides takes effect when it returns, all of it,
/// and none of it when it returns an error.
pub fn handle() !void {
    const temperature = skerry.value().get("temperature").float() catch
        return skerry.reject("the event has no number \"temperature\"");
    var levels = std.mem.split(u8, skerry.event(.subject), "/"); // sensors/<sensor>/temperature
    _ = levels.next();
    const sensor = levels.next() orelse return skerry.reject("the topic is not sensors/<sensor>/temperature");

    const key = try join("hot/", sensor);
    const hot = if (skerry.get(key)) |_| true else |err| if (err == error.NotFound) false else return err;
    if ((temperature >= limit) == hot) return; // nothing new
    if (hot) {
        skerry.log(.info, try join(sensor, " has cooled down"));
        return skerry.delete(key);
    }
    skerry.log(.warn, try join(sensor, " is too hot"));
    try skerry.set(key, "1", 0); // the state, kept for the next event
    try skerry.publish(try join("alarms/", sensor), skerry.data(), skerry.qos1); // to the broker here
    try skerry.followup("alarms", "application/json", skerry.data()); // to the cloud, as soon as there is a link
}

/// Memory of skerry.allocator is there until the handler returns.
fn join(a: []const u8, b: []const u8) ![]u8 {
    return std.mem.concat(skerry.allocator, u8, &.{ a, b });
}
