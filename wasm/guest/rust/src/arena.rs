//! Memory for what the host gives during one run: handed out one behind the
//! other, and all of it taken back when the next run begins.

use core::ptr;

const FIRST: usize = 4 << 10;

static mut FIRST_BLOCK: [u8; FIRST] = [0; FIRST];

/// The block in use. WebAssembly has one thread, and no value outlives the run.
struct Block {
    start: *mut u8,
    size: usize,
    used: usize,
}

static mut BLOCK: Block = Block { start: ptr::null_mut(), size: 0, used: 0 };

/// Takes everything back. What was handed out must not be used any more.
pub unsafe fn reset() {
    let block = &mut *ptr::addr_of_mut!(BLOCK);
    if block.start.is_null() {
        *block = Block { start: ptr::addr_of_mut!(FIRST_BLOCK) as *mut u8, size: FIRST, used: 0 };
    }
    block.used = 0;
}

/// Fills memory by `read(pointer, capacity)`, which answers as the host's
/// lengths do: the full length, copied only if it fits, or a negative error.
pub fn fill(mut read: impl FnMut(*mut u8, usize) -> i32) -> Result<&'static [u8], i32> {
    unsafe {
        let block = &mut *ptr::addr_of_mut!(BLOCK);
        loop {
            let (at, free) = (block.start.wrapping_add(block.used), block.size - block.used);
            let n = read(at, free);
            if n < 0 {
                return Err(n);
            }
            let n = n as usize;
            if n == 0 {
                return Ok(&[]);
            }
            if n <= free {
                block.used += n;
                return Ok(core::slice::from_raw_parts(at, n));
            }
            if !block.grow(n) {
                return Err(-4);
            }
        }
    }
}

impl Block {
    /// Makes room for n bytes: in place if the block lies at the end of memory,
    /// or else in a new one. An old one is lost, so a new one is twice as large.
    unsafe fn grow(&mut self, n: usize) -> bool {
        let end = pages() * PAGE;
        let joins = !self.start.is_null() && self.start as usize + self.size == end;
        let missing = if joins { n - (self.size - self.used) } else { n.max(2 * self.size) };
        let more = (missing + PAGE - 1) / PAGE;
        if !add(more) {
            return false;
        }
        if joins {
            self.size += more * PAGE;
        } else {
            *self = Block { start: end as *mut u8, size: more * PAGE, used: 0 };
        }
        true
    }
}

const PAGE: usize = 64 << 10;

#[cfg(target_arch = "wasm32")]
fn pages() -> usize {
    core::arch::wasm32::memory_size(0)
}

#[cfg(target_arch = "wasm32")]
fn add(pages: usize) -> bool {
    core::arch::wasm32::memory_grow(0, pages) != usize::MAX
}

#[cfg(not(target_arch = "wasm32"))]
fn pages() -> usize {
    0
}

#[cfg(not(target_arch = "wasm32"))]
fn add(_: usize) -> bool {
    false
}
