//! The imports of skerry_v1, as wasm/ABI.md lists them.

pub const ABSENT: usize = u32::MAX as usize;

macro_rules! imports {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
        #[cfg(target_arch = "wasm32")]
        #[link(wasm_import_module = "skerry_v1")]
        extern "C" {
            $(pub fn $name($($arg: $type),*) -> $result;)*
        }

        // There is no host elsewhere: the crate compiles for tools and tests.
        $(#[cfg(not(target_arch = "wasm32"))]
        pub unsafe fn $name($(_: $type),*) -> $result {
            -6
        })*
    };
}

imports! {
    fn event_get(field: u32, buf: *mut u8, cap: usize) -> i32;
    fn result_set(data: *const u8, len: usize) -> i32;
    fn error_set(text: *const u8, len: usize) -> i32;
    fn error_get(buf: *mut u8, cap: usize) -> i32;
    fn log(level: u32, text: *const u8, len: usize) -> i32;
    fn config_get(key: *const u8, key_len: usize, buf: *mut u8, cap: usize) -> i32;
    fn secret_get(name: *const u8, name_len: usize, buf: *mut u8, cap: usize) -> i32;
    fn publish(topic: *const u8, topic_len: usize, data: *const u8, len: usize, flags: u32) -> i32;
    fn emit(function: *const u8, function_len: usize, data: *const u8, len: usize) -> i32;
    fn followup(target: *const u8, target_len: usize, kind: *const u8, kind_len: usize, data: *const u8, len: usize) -> i32;
    fn now_ms() -> i64;
    fn kv_get(key: *const u8, key_len: usize, buf: *mut u8, cap: usize) -> i32;
    fn kv_set(key: *const u8, key_len: usize, data: *const u8, len: usize, ttl_s: u32) -> i32;
    fn kv_delete(key: *const u8, key_len: usize) -> i32;
    fn kv_add(key: *const u8, key_len: usize, delta: i64) -> i64;
    fn kv_cas(key: *const u8, key_len: usize, old: *const u8, old_len: usize, data: *const u8, len: usize) -> i32;
    fn kv_list(prefix: *const u8, prefix_len: usize, limit: u32, buf: *mut u8, cap: usize) -> i32;
    fn random_get(buf: *mut u8, len: usize) -> i32;
    fn sleep_ms(ms: u32) -> i32;
    fn http(request: *const u8, request_len: usize, buf: *mut u8, cap: usize) -> i32;
}
