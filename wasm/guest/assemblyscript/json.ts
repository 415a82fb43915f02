// json.ts - read JSON where it stands in memory. Finding a value copies nothing
// and reads no further than the value; what is passed by is not checked.

// Kinds of values.
export const INVALID: i32 = -1; // not JSON, or within something that has no members
export const ABSENT: i32 = 0;
export const NULL: i32 = 1;
export const BOOL: i32 = 2;
export const NUMBER: i32 = 3;
export const STRING: i32 = 4;
export const LIST: i32 = 5;
export const OBJECT: i32 = 6;

/** Json is a value in memory that must stay as it is while it is used. */
export class Json {
  /** From the value's first byte to the end of the text; fault: why it has none. */
  constructor(private at: usize, private end: usize, private fault: i32 = 1) {
    this.at = space(at, end);
  }

  /** get finds the first member of an object with a name. */
  get(name: string): Json { return this.child(0x7b, name, 0); }

  /** item finds an element of a list, the first has index 0. */
  item(index: i32): Json { return this.child(0x5b, "", index); }

  /** kind is what the value is, or ABSENT, or INVALID. */
  kind(): i32 {
    if (this.fault <= 0) return this.fault;
    if (skip(this.at, this.end) == 0) return INVALID;
    const c = load<u8>(this.at);
    if (c == 0x22) return STRING;
    if (c == 0x7b) return OBJECT;
    if (c == 0x5b) return LIST;
    if (this.is("null")) return NULL;
    if (this.is("true") || this.is("false")) return BOOL;
    parse(this.at, skip(this.at, this.end));
    return parsed ? NUMBER : INVALID;
  }

  /** number is the value of a number, NaN of all else. Exact up to 15 digits and
   * 22 places, else to a part in 10^15. */
  number(): f64 {
    if (this.fault <= 0) return NaN;
    const end = skip(this.at, this.end);
    if (end == 0) return NaN;
    const v = parse(this.at, end);
    return parsed ? v : NaN;
  }

  /** isInteger is whether the value is a number without fraction and exponent
   * that fits in 64 bits. */
  isInteger(): bool {
    if (this.fault <= 0) return false;
    parseInteger(this.at, skip(this.at, this.end));
    return parsed;
  }

  /** integer is the value if isInteger, or 0. */
  integer(): i64 { return this.fault <= 0 ? 0 : parseInteger(this.at, skip(this.at, this.end)); }

  /** bool is whether the value is true. */
  bool(): bool { return this.is("true"); }

  /** text is the value of a string with its escapes resolved, null of all else. */
  text(): string | null {
    if (this.fault <= 0 || this.at >= this.end || load<u8>(this.at) != 0x22) return null;
    const end = skipString(this.at, this.end);
    return end == 0 ? null : unescape(this.at + 1, end - 1);
  }

  /** raw is the value's text, strings with their quotes; null if there is none. */
  raw(): string | null {
    if (this.fault <= 0) return null;
    const end = skip(this.at, this.end);
    return end == 0 ? null : String.UTF8.decodeUnsafe(this.at, end - this.at);
  }

  private is(word: string): bool {
    if (this.fault <= 0) return false;
    const end = skip(this.at, this.end);
    return end - this.at == word.length && same(this.at, end, word);
  }

  private child(open: u8, name: string, index: i32): Json {
    if (this.fault <= 0) return this;
    const end = this.end, close: u8 = open + 2;
    if (this.at >= end || load<u8>(this.at) != open) return invalid;
    let i = space(this.at + 1, end);
    if (i < end && load<u8>(i) == close) return absent;
    while (true) {
      let found = open == 0x5b && index-- == 0;
      if (open == 0x7b) {
        const after = i < end && load<u8>(i) == 0x22 ? skipString(i, end) : 0;
        if (after == 0) return invalid;
        found = same(i + 1, after - 1, name);
        i = space(after, end);
        if (i >= end || load<u8>(i) != 0x3a) return invalid;
        i = space(i + 1, end);
      }
      if (found) return new Json(i, end);
      i = skip(i, end);
      if (i == 0) return invalid;
      i = space(i, end);
      if (i >= end) return invalid;
      const c = load<u8>(i);
      if (c == close) return absent;
      if (c != 0x2c) return invalid;
      i = space(i + 1, end);
    }
  }
}

const absent = new Json(0, 0, ABSENT);
const invalid = new Json(0, 0, INVALID);

function space(i: usize, end: usize): usize {
  for (; i < end; i++) {
    const c = load<u8>(i);
    if (c != 0x20 && c != 0x0a && c != 0x0d && c != 0x09) break;
  }
  return i;
}

// skip is the address behind the value at i, 0 if there is none.
function skip(i: usize, end: usize): usize {
  if (i >= end) return 0;
  const first = load<u8>(i);
  if (first == 0x22) return skipString(i, end);
  if (first == 0x7b || first == 0x5b) return skipNest(i, end);
  const start = i;
  for (; i < end; i++) {
    const c = load<u8>(i);
    if (c <= 0x20) {
      if (c == 0x20 || c == 0x0a || c == 0x0d || c == 0x09) break;
    } else if (c == 0x2c || c == 0x7d || c == 0x5d || c == 0x3a || c == 0x22 || c == 0x7b || c == 0x5b) break; // , } ] : " { [
  }
  return i > start ? i : 0;
}

function skipNest(i: usize, end: usize): usize {
  for (let depth = 0; i < end; i++) {
    const c = load<u8>(i);
    if (c == 0x22) {
      i = skipString(i, end);
      if (i-- == 0) return 0;
    } else if (c == 0x7b || c == 0x5b) depth++;
    else if ((c == 0x7d || c == 0x5d) && --depth == 0) return i + 1;
  }
  return 0;
}

function skipString(i: usize, end: usize): usize {
  for (i++; i < end; i++) {
    const c = load<u8>(i);
    if (c == 0x22) return i + 1;
    if (c == 0x5c) i++; // backslash
    else if (c < 0x20) return 0;
  }
  return 0;
}

// same compares what stands between a key's quotes with a name.
function same(i: usize, end: usize, name: string): bool {
  const n = name.length;
  let j = 0;
  for (; i < end; i++, j++) {
    const c = load<u8>(i);
    if (c >= 0x80 || c == 0x5c) {
      const rest = unescape(i, end);
      return rest !== null && rest == name.substring(j);
    }
    if (j == n || c != name.charCodeAt(j)) return false;
  }
  return j == n;
}

// unescape is what stands between the quotes of a string; null if an escape is none.
function unescape(i: usize, end: usize): string | null {
  let from = i, out = "";
  while (i < end) {
    if (load<u8>(i) != 0x5c) {
      i++;
      continue;
    }
    out += String.UTF8.decodeUnsafe(from, i - from);
    const c = i + 1 < end ? load<u8>(i + 1) : 0;
    if (c == 0x75) { // u
      let unit = hex(i + 2, end);
      if (unit < 0) return null;
      i += 6;
      if (unit >= 0xd800 && unit < 0xe000) {
        const low = i + 6 <= end && load<u8>(i) == 0x5c && load<u8>(i + 1) == 0x75 ? hex(i + 2, end) : -1;
        if (unit < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
          out += String.fromCharCode(unit);
          unit = low;
          i += 6;
        } else unit = 0xfffd; // half of a surrogate pair
      }
      out += String.fromCharCode(unit);
    } else {
      const at = '"\\/bfnrt'.indexOf(String.fromCharCode(c));
      if (at < 0) return null;
      out += '"\\/\b\f\n\r\t'.charAt(at);
      i += 2;
    }
    from = i;
  }
  return out + String.UTF8.decodeUnsafe(from, end - from);
}

function hex(i: usize, end: usize): i32 {
  if (i + 4 > end) return -1;
  let v = 0;
  for (const stop = i + 4; i < stop; i++) {
    const c = <i32>load<u8>(i), letter = c | 0x20;
    if (digit(i, end)) v = (v << 4) | (c - 0x30);
    else if (letter >= 0x61 && letter <= 0x66) v = (v << 4) | (letter - 0x57);
    else return -1;
  }
  return v;
}

function digit(i: usize, end: usize): bool {
  return i < end && <u32>load<u8>(i) - 0x30 < 10;
}

const TENS: StaticArray<f64> = [
  1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
  1e21, 1e22,
];

let parsed = false; // whether the last of parse and parseInteger found a number

// parse reads a number by the grammar of JSON.
function parse(i: usize, end: usize): f64 {
  let m: u64 = 0, e = 0, x = 0;
  parsed = false;
  const negative = load<u8>(i) == 0x2d;
  if (negative) i++;
  let start = i;
  for (; digit(i, end); i++) {
    if (m < 100000000000000000) m = m * 10 + (load<u8>(i) - 0x30);
    else e++;
  }
  if (i == start || (load<u8>(start) == 0x30 && i > start + 1)) return 0;
  if (i < end && load<u8>(i) == 0x2e) {
    for (start = ++i; digit(i, end); i++) {
      if (m < 100000000000000000) {
        m = m * 10 + (load<u8>(i) - 0x30);
        e--;
      }
    }
    if (i == start) return 0;
  }
  if (i < end && (load<u8>(i) | 0x20) == 0x65) {
    const sign = ++i < end ? load<u8>(i) : 0;
    if (sign == 0x2b || sign == 0x2d) i++;
    for (start = i; digit(i, end); i++) if (x < 100000) x = x * 10 + (load<u8>(i) - 0x30);
    if (i == start) return 0;
    e += sign == 0x2d ? -x : x;
  }
  const v = m == 0 ? 0 : scale(<f64>m, e);
  parsed = i == end && isFinite(v);
  return negative ? -v : v;
}

// scale is v times ten to the e.
function scale(v: f64, e: i32): f64 {
  for (; e > 22 && v < 1e300; e -= 22) v *= 1e22;
  for (; e < -22 && v > 0; e += 22) v /= 1e22;
  if (e > 22) return Infinity;
  return e >= 0 ? v * TENS[e] : e >= -22 ? v / TENS[-e] : 0;
}

function parseInteger(i: usize, end: usize): i64 {
  parsed = false;
  if (end == 0) return 0;
  const negative = load<u8>(i) == 0x2d;
  if (negative) i++;
  const start = i, most: u64 = <u64>i64.MAX_VALUE + u64(negative);
  let v: u64 = 0;
  for (; digit(i, end); i++) {
    const d = <u64>(load<u8>(i) - 0x30);
    if (v > (most - d) / 10) return 0;
    v = v * 10 + d;
  }
  if (i != end || i == start || (load<u8>(start) == 0x30 && i > start + 1)) return 0;
  parsed = true;
  return negative ? <i64>(0 - v) : <i64>v;
}
