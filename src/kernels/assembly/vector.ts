// Elementary functions of four float32 numbers at once. Without fused multiply-add, so that every machine rounds alike.
//
// Constants are loaded from memory: older engines put literals of vectors together anew at each use, and run out of
// registers where loops keep them.

/** Four copies of one number, aligned for a vector load. */
const C: usize = memory.data<f32>(
  [
    // 0: −87.33654, the logarithm of the smallest normal float32
    -87.33654, -87.33654, -87.33654, -87.33654,
    // 16: 1 / ln 2
    1.4426950408889634, 1.4426950408889634, 1.4426950408889634, 1.4426950408889634,
    // 32: 1.5 · 2^23, which rounds to whole numbers when added and leaves them in the low bits
    12582912.0, 12582912.0, 12582912.0, 12582912.0,
    // 48: ln 2 in two parts; the first has zeros enough that whole numbers times it are exact (Cody and Waite 1980)
    0.693359375, 0.693359375, 0.693359375, 0.693359375,
    // 64
    -2.12194440e-4, -2.12194440e-4, -2.12194440e-4, -2.12194440e-4,
    // 80: (e^r − 1 − r) / r², minimax of degree 4 over |r| ≤ ln 2 / 2, within 3.2e-9
    0.0013814171543344855, 0.0013814171543344855, 0.0013814171543344855, 0.0013814171543344855,
    // 96
    0.008368922397494316, 0.008368922397494316, 0.008368922397494316, 0.008368922397494316,
    // 112
    0.04166840761899948, 0.04166840761899948, 0.04166840761899948, 0.04166840761899948,
    // 128
    0.1666651964187622, 0.1666651964187622, 0.1666651964187622, 0.1666651964187622,
    // 144
    0.4999999403953552, 0.4999999403953552, 0.4999999403953552, 0.4999999403953552,
    // 160: 1
    1.0, 1.0, 1.0, 1.0,
    // 176: (log1p(x) / s − 2) / z for s = x / (2 + x), z = s², minimax of degree 3 over z ≤ 1/9, within 4.6e-9
    0.28031280636787415, 0.28031280636787415, 0.28031280636787415, 0.28031280636787415,
    // 192
    0.2799786329269409, 0.2799786329269409, 0.2799786329269409, 0.2799786329269409,
    // 208
    0.4002177119255066, 0.4002177119255066, 0.4002177119255066, 0.4002177119255066,
    // 224
    0.6666641235351562, 0.6666641235351562, 0.6666641235351562, 0.6666641235351562,
    // 240: 2
    2.0, 2.0, 2.0, 2.0,
    // 256: 88.72283, the largest number whose exponential is finite
    88.72283, 88.72283, 88.72283, 88.72283,
    // 272: tanh(x) − x over x³, for |x| < 0.625 (Cephes tanhf)
    -5.70498872745e-3, -5.70498872745e-3, -5.70498872745e-3, -5.70498872745e-3,
    // 288
    2.06390887954e-2, 2.06390887954e-2, 2.06390887954e-2, 2.06390887954e-2,
    // 304
    -5.37397155531e-2, -5.37397155531e-2, -5.37397155531e-2, -5.37397155531e-2,
    // 320
    1.33314422036e-1, 1.33314422036e-1, 1.33314422036e-1, 1.33314422036e-1,
    // 336
    -3.33332819422e-1, -3.33332819422e-1, -3.33332819422e-1, -3.33332819422e-1,
    // 352: 0.625
    0.625, 0.625, 0.625, 0.625,
    // 368: 1/2
    0.5, 0.5, 0.5, 0.5,
    // 384: (e^d − 1 − d) / d², minimax of degree 7 over |d| ≤ 1, within 4.3e-9
    2.7722801405616337e-6, 2.7722801405616337e-6, 2.7722801405616337e-6, 2.7722801405616337e-6,
    // 400
    2.535482963139657e-5, 2.535482963139657e-5, 2.535482963139657e-5, 2.535482963139657e-5,
    // 416
    1.9844024791382253e-4, 1.9844024791382253e-4, 1.9844024791382253e-4, 1.9844024791382253e-4,
    // 432
    1.388545148074627e-3, 1.388545148074627e-3, 1.388545148074627e-3, 1.388545148074627e-3,
    // 448
    8.33331048488617e-3, 8.33331048488617e-3, 8.33331048488617e-3, 8.33331048488617e-3,
    // 464
    4.166673496365547e-2, 4.166673496365547e-2, 4.166673496365547e-2, 4.166673496365547e-2,
    // 480
    1.666666716337204e-1, 1.666666716337204e-1, 1.666666716337204e-1, 1.666666716337204e-1,
    // 496
    0.5, 0.5, 0.5, 0.5,
    // 512: −0, the sign alone
    -0.0, -0.0, -0.0, -0.0,
    // 528: −2
    -2.0, -2.0, -2.0, -2.0,
    // 544: 3
    3.0, 3.0, 3.0, 3.0,
    // 560: 1/6
    0.16666667, 0.16666667, 0.16666667, 0.16666667,
    // 576: −126, the exponent of the smallest normal float32
    -126.0, -126.0, -126.0, -126.0,
    // 592: (2^f − 1) / f, minimax of degree 5 over |f| ≤ 1/2, within 2e-9
    1.5353257185779512e-4, 1.5353257185779512e-4, 1.5353257185779512e-4, 1.5353257185779512e-4,
    // 608
    1.339900423772633e-3, 1.339900423772633e-3, 1.339900423772633e-3, 1.339900423772633e-3,
    // 624
    9.61843878030777e-3, 9.61843878030777e-3, 9.61843878030777e-3, 9.61843878030777e-3,
    // 640
    5.550331994891167e-2, 5.550331994891167e-2, 5.550331994891167e-2, 5.550331994891167e-2,
    // 656
    2.4022647738456726e-1, 2.4022647738456726e-1, 2.4022647738456726e-1, 2.4022647738456726e-1,
    // 672
    6.931471824645996e-1, 6.931471824645996e-1, 6.931471824645996e-1, 6.931471824645996e-1,
  ],
  16,
);

@inline
export function one(): v128 {
  return v128.load(C, 160);
}

@inline
export function half(): v128 {
  return v128.load(C, 368);
}

@inline
export function minusTwo(): v128 {
  return v128.load(C, 528);
}

@inline
export function three(): v128 {
  return v128.load(C, 544);
}

@inline
export function sixth(): v128 {
  return v128.load(C, 560);
}

/** The sign bit alone: engines make up the masks of abs and neg anew each time. */
@inline
export function sign(): v128 {
  return v128.load(C, 512);
}

@inline
export function negative(x: v128): v128 {
  return v128.xor(x, v128.load(C, 512));
}

/** |x|. */
@inline
export function size(x: v128): v128 {
  return v128.andnot(x, v128.load(C, 512));
}

/** −|x|. */
@inline
export function minusSize(x: v128): v128 {
  return v128.or(x, v128.load(C, 512));
}

/** a where the mask is all ones, b elsewhere. */
@inline
export function choose(mask: v128, a: v128, b: v128): v128 {
  return v128.or(v128.and(mask, a), v128.andnot(b, mask));
}

/** e^x for x ≤ 0, within 1 ulp; 0 below −87.34, where the result would be subnormal; NaN for NaN. */
@inline
export function expOfNegative(x: v128): v128 {
  const lowest = v128.load(C, 0);
  const isNormal = v128.not(f32x4.lt(x, lowest));
  x = f32x4.pmax(x, lowest);
  const t = f32x4.add(f32x4.mul(x, v128.load(C, 16)), v128.load(C, 32));
  const n = f32x4.sub(t, v128.load(C, 32));
  const r = f32x4.sub(f32x4.sub(x, f32x4.mul(n, v128.load(C, 48))), f32x4.mul(n, v128.load(C, 64)));
  let p = f32x4.add(f32x4.mul(v128.load(C, 80), r), v128.load(C, 96));
  p = f32x4.add(f32x4.mul(p, r), v128.load(C, 112));
  p = f32x4.add(f32x4.mul(p, r), v128.load(C, 128));
  p = f32x4.add(f32x4.mul(p, r), v128.load(C, 144));
  p = f32x4.add(f32x4.mul(p, r), v128.load(C, 160));
  p = f32x4.add(f32x4.mul(p, r), v128.load(C, 160));
  return v128.and(i32x4.add(p, i32x4.shl(t, 23)), isNormal);
}

/** log(1 + x) for 0 ≤ x ≤ 1, relative error below 2e-7. */
@inline
export function log1pOfUnit(x: v128): v128 {
  const s = f32x4.div(x, f32x4.add(x, v128.load(C, 240)));
  const z = f32x4.mul(s, s);
  let q = f32x4.add(f32x4.mul(v128.load(C, 176), z), v128.load(C, 192));
  q = f32x4.add(f32x4.mul(q, z), v128.load(C, 208));
  q = f32x4.add(f32x4.mul(q, z), v128.load(C, 224));
  return f32x4.add(f32x4.mul(v128.load(C, 240), s), f32x4.mul(f32x4.mul(s, z), q));
}

/** log(1 + x) for any x ≥ 0, relative error below 3e-7; NaN and +∞ come out as something that is not finite. */
@inline
export function log1p(x: v128): v128 {
  const one = v128.load(C, 160);
  const isLarge = f32x4.gt(x, one);
  const sum = f32x4.add(x, one);
  // 1 + x = 2^e (1 + f) with f in [0, 1); up to 1, x itself is f.
  const e = v128.and(i32x4.sub(i32x4.shr_u(sum, 23), i32x4.splat(127)), isLarge);
  const mantissa = v128.or(v128.and(sum, i32x4.splat(0x007fffff)), one);
  const f = v128.bitselect(f32x4.sub(mantissa, one), x, isLarge);
  const whole = f32x4.convert_i32x4_s(e);
  const small = f32x4.add(log1pOfUnit(f), f32x4.mul(whole, v128.load(C, 64)));
  const result = f32x4.add(f32x4.mul(whole, v128.load(C, 48)), small);
  // What is not finite must not become so.
  return f32x4.add(result, f32x4.mul(x, f32x4.splat(0)));
}

/** log x for normal x > 0: absolute error below 1e-7 near 1, relative 3e-7 elsewhere; anything for what is below. */
@inline
export function log(x: v128): v128 {
  // x = 2^e (1 + f) with 1 + f in [√½, √2).
  const offset = i32x4.sub(x, i32x4.splat(0x3f3504f3));
  const e = i32x4.shr_s(offset, 23);
  const f = f32x4.sub(i32x4.sub(x, i32x4.shl(e, 23)), v128.load(C, 160));
  const whole = f32x4.convert_i32x4_s(e);
  const small = f32x4.add(log1pOfUnit(f), f32x4.mul(whole, v128.load(C, 64)));
  return f32x4.add(f32x4.mul(whole, v128.load(C, 48)), small);
}

/** (e^d − 1 − d) / d² for |d| ≤ 1, relative error below 2e-7. */
@inline
export function expRemainder(d: v128): v128 {
  let p = f32x4.add(f32x4.mul(v128.load(C, 384), d), v128.load(C, 400));
  p = f32x4.add(f32x4.mul(p, d), v128.load(C, 416));
  p = f32x4.add(f32x4.mul(p, d), v128.load(C, 432));
  p = f32x4.add(f32x4.mul(p, d), v128.load(C, 448));
  p = f32x4.add(f32x4.mul(p, d), v128.load(C, 464));
  p = f32x4.add(f32x4.mul(p, d), v128.load(C, 480));
  return f32x4.add(f32x4.mul(p, d), v128.load(C, 496));
}

/** tanh x, relative error below 3e-7, ±1 far out. */
@inline
export function tanh(x: v128): v128 {
  const size = f32x4.abs(x);
  const z = f32x4.mul(x, x);
  let p = f32x4.add(f32x4.mul(v128.load(C, 272), z), v128.load(C, 288));
  p = f32x4.add(f32x4.mul(p, z), v128.load(C, 304));
  p = f32x4.add(f32x4.mul(p, z), v128.load(C, 320));
  p = f32x4.add(f32x4.mul(p, z), v128.load(C, 336));
  const near = f32x4.add(x, f32x4.mul(f32x4.mul(p, z), x));
  const one = v128.load(C, 160);
  const u = expOfNegative(f32x4.mul(f32x4.splat(-2), size));
  const far = f32x4.div(f32x4.sub(one, u), f32x4.add(one, u));
  const signed = v128.or(far, v128.and(x, i32x4.splat(0x80000000)));
  return v128.bitselect(near, signed, f32x4.lt(size, v128.load(C, 352)));
}

/** 1 − tanh² x as 4u/(1 + u)² with u = e^(−2|x|): the difference would cancel where tanh is near 1. */
@inline
export function tanhSlope(x: v128): v128 {
  const u = expOfNegative(f32x4.mul(f32x4.splat(-2), f32x4.abs(x)));
  const sum = f32x4.add(v128.load(C, 160), u);
  return f32x4.div(f32x4.mul(f32x4.splat(4), u), f32x4.mul(sum, sum));
}

/** The largest of four numbers; NaN is passed over unless it comes first. */
@inline
export function largest(v: v128): f32 {
  const pair = f32x4.pmax(v, v128.shuffle<f32>(v, v, 2, 3, 0, 1));
  const one = f32x4.pmax(pair, v128.shuffle<f32>(pair, pair, 1, 0, 3, 2));
  return f32x4.extract_lane(one, 0);
}

/** The lower two of four numbers as float64, and the upper two. */
@inline
export function lower(v: v128): v128 {
  return f64x2.promote_low_f32x4(v);
}

@inline
export function upper(v: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<f32>(v, v, 2, 3, 2, 3));
}

/** The sum of both halves. */
@inline
export function total(v: v128): f64 {
  return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1);
}

// Loops over memory, several vectors step by step beside each other: a chain of dependent operations is long against what
// a processor looks ahead, and four chains fill its units. Lengths are in bytes, a multiple of 16.

/**
 * e^(x − m) for x ≤ m, as 2^y with y = (x − m) / ln 2: y is rounded where x − m is, and its error is as large, so that a
 * reduction in two parts, as {@link expOfNegative} has it, would gain nothing. 0 below 2^−126.
 */
@inline
export function exponentialBelow(x: v128, m: v128): v128 {
  const y = f32x4.mul(f32x4.sub(x, m), v128.load(C, 16));
  const t = f32x4.add(y, v128.load(C, 32));
  const f = f32x4.sub(y, f32x4.sub(t, v128.load(C, 32)));
  let p = f32x4.add(f32x4.mul(v128.load(C, 592), f), v128.load(C, 608));
  p = f32x4.add(f32x4.mul(p, f), v128.load(C, 624));
  p = f32x4.add(f32x4.mul(p, f), v128.load(C, 640));
  p = f32x4.add(f32x4.mul(p, f), v128.load(C, 656));
  p = f32x4.add(f32x4.mul(p, f), v128.load(C, 672));
  p = f32x4.add(f32x4.mul(p, f), v128.load(C, 160));
  return v128.andnot(i32x4.add(p, i32x4.shl(t, 23)), f32x4.lt(y, v128.load(C, 576)));
}

/** Takes what loads found that were made for the cache alone, so that no compiler drops them. */
let touched: v128 = f32x4.splat(0);

/**
 * Writes exp(x − m) for x ≤ m, and gives the sum of what was written: eight vectors in float32, then float64. The same
 * operations as {@link exponentialBelow}, eight vectors beside each other.
 *
 * @param ahead - memory as long as x that is read next
 * @param behind - memory as long as x that is written next; both are brought near while there is something to compute
 */
export function exponentialsBelow(x: usize, bytes: usize, m: v128, out: usize, ahead: usize, behind: usize): f64 {
  const scale = v128.load(C, 16);
  const rounder = v128.load(C, 32);
  const lowest = v128.load(C, 576);
  const c6 = v128.load(C, 592);
  const c5 = v128.load(C, 608);
  const c4 = v128.load(C, 624);
  const c3 = v128.load(C, 640);
  const c2 = v128.load(C, 656);
  const c1 = v128.load(C, 672);
  const c0 = v128.load(C, 160);
  let left = f64x2.splat(0);
  let right = f64x2.splat(0);
  let near = touched;
  let at: usize = 0;
  for (const eights = bytes & ~127; at < eights; at += 128) {
    near = v128.or(near, v128.or(v128.load(ahead + at), v128.load(ahead + at, 64)));
    near = v128.or(near, v128.or(v128.load(behind + at), v128.load(behind + at, 64)));
    const a = f32x4.mul(f32x4.sub(v128.load(x + at, 0), m), scale);
    const b = f32x4.mul(f32x4.sub(v128.load(x + at, 16), m), scale);
    const c = f32x4.mul(f32x4.sub(v128.load(x + at, 32), m), scale);
    const d = f32x4.mul(f32x4.sub(v128.load(x + at, 48), m), scale);
    const e = f32x4.mul(f32x4.sub(v128.load(x + at, 64), m), scale);
    const f = f32x4.mul(f32x4.sub(v128.load(x + at, 80), m), scale);
    const g = f32x4.mul(f32x4.sub(v128.load(x + at, 96), m), scale);
    const h = f32x4.mul(f32x4.sub(v128.load(x + at, 112), m), scale);
    const aw = f32x4.add(a, rounder);
    const bw = f32x4.add(b, rounder);
    const cw = f32x4.add(c, rounder);
    const dw = f32x4.add(d, rounder);
    const ew = f32x4.add(e, rounder);
    const fw = f32x4.add(f, rounder);
    const gw = f32x4.add(g, rounder);
    const hw = f32x4.add(h, rounder);
    const af = f32x4.sub(a, f32x4.sub(aw, rounder));
    const bf = f32x4.sub(b, f32x4.sub(bw, rounder));
    const cf = f32x4.sub(c, f32x4.sub(cw, rounder));
    const df = f32x4.sub(d, f32x4.sub(dw, rounder));
    const ef = f32x4.sub(e, f32x4.sub(ew, rounder));
    const ff = f32x4.sub(f, f32x4.sub(fw, rounder));
    const gf = f32x4.sub(g, f32x4.sub(gw, rounder));
    const hf = f32x4.sub(h, f32x4.sub(hw, rounder));
    let ap = f32x4.add(f32x4.mul(c6, af), c5);
    let bp = f32x4.add(f32x4.mul(c6, bf), c5);
    let cp = f32x4.add(f32x4.mul(c6, cf), c5);
    let dp = f32x4.add(f32x4.mul(c6, df), c5);
    let ep = f32x4.add(f32x4.mul(c6, ef), c5);
    let fp = f32x4.add(f32x4.mul(c6, ff), c5);
    let gp = f32x4.add(f32x4.mul(c6, gf), c5);
    let hp = f32x4.add(f32x4.mul(c6, hf), c5);
    ap = f32x4.add(f32x4.mul(ap, af), c4);
    bp = f32x4.add(f32x4.mul(bp, bf), c4);
    cp = f32x4.add(f32x4.mul(cp, cf), c4);
    dp = f32x4.add(f32x4.mul(dp, df), c4);
    ep = f32x4.add(f32x4.mul(ep, ef), c4);
    fp = f32x4.add(f32x4.mul(fp, ff), c4);
    gp = f32x4.add(f32x4.mul(gp, gf), c4);
    hp = f32x4.add(f32x4.mul(hp, hf), c4);
    ap = f32x4.add(f32x4.mul(ap, af), c3);
    bp = f32x4.add(f32x4.mul(bp, bf), c3);
    cp = f32x4.add(f32x4.mul(cp, cf), c3);
    dp = f32x4.add(f32x4.mul(dp, df), c3);
    ep = f32x4.add(f32x4.mul(ep, ef), c3);
    fp = f32x4.add(f32x4.mul(fp, ff), c3);
    gp = f32x4.add(f32x4.mul(gp, gf), c3);
    hp = f32x4.add(f32x4.mul(hp, hf), c3);
    ap = f32x4.add(f32x4.mul(ap, af), c2);
    bp = f32x4.add(f32x4.mul(bp, bf), c2);
    cp = f32x4.add(f32x4.mul(cp, cf), c2);
    dp = f32x4.add(f32x4.mul(dp, df), c2);
    ep = f32x4.add(f32x4.mul(ep, ef), c2);
    fp = f32x4.add(f32x4.mul(fp, ff), c2);
    gp = f32x4.add(f32x4.mul(gp, gf), c2);
    hp = f32x4.add(f32x4.mul(hp, hf), c2);
    ap = f32x4.add(f32x4.mul(ap, af), c1);
    bp = f32x4.add(f32x4.mul(bp, bf), c1);
    cp = f32x4.add(f32x4.mul(cp, cf), c1);
    dp = f32x4.add(f32x4.mul(dp, df), c1);
    ep = f32x4.add(f32x4.mul(ep, ef), c1);
    fp = f32x4.add(f32x4.mul(fp, ff), c1);
    gp = f32x4.add(f32x4.mul(gp, gf), c1);
    hp = f32x4.add(f32x4.mul(hp, hf), c1);
    ap = f32x4.add(f32x4.mul(ap, af), c0);
    bp = f32x4.add(f32x4.mul(bp, bf), c0);
    cp = f32x4.add(f32x4.mul(cp, cf), c0);
    dp = f32x4.add(f32x4.mul(dp, df), c0);
    ep = f32x4.add(f32x4.mul(ep, ef), c0);
    fp = f32x4.add(f32x4.mul(fp, ff), c0);
    gp = f32x4.add(f32x4.mul(gp, gf), c0);
    hp = f32x4.add(f32x4.mul(hp, hf), c0);
    ap = v128.andnot(i32x4.add(ap, i32x4.shl(aw, 23)), f32x4.lt(a, lowest));
    bp = v128.andnot(i32x4.add(bp, i32x4.shl(bw, 23)), f32x4.lt(b, lowest));
    cp = v128.andnot(i32x4.add(cp, i32x4.shl(cw, 23)), f32x4.lt(c, lowest));
    dp = v128.andnot(i32x4.add(dp, i32x4.shl(dw, 23)), f32x4.lt(d, lowest));
    ep = v128.andnot(i32x4.add(ep, i32x4.shl(ew, 23)), f32x4.lt(e, lowest));
    fp = v128.andnot(i32x4.add(fp, i32x4.shl(fw, 23)), f32x4.lt(f, lowest));
    gp = v128.andnot(i32x4.add(gp, i32x4.shl(gw, 23)), f32x4.lt(g, lowest));
    hp = v128.andnot(i32x4.add(hp, i32x4.shl(hw, 23)), f32x4.lt(h, lowest));
    v128.store(out + at, ap, 0);
    v128.store(out + at, bp, 16);
    v128.store(out + at, cp, 32);
    v128.store(out + at, dp, 48);
    v128.store(out + at, ep, 64);
    v128.store(out + at, fp, 80);
    v128.store(out + at, gp, 96);
    v128.store(out + at, hp, 112);
    const ab = f32x4.add(f32x4.add(ap, bp), f32x4.add(cp, dp));
    const sum = f32x4.add(ab, f32x4.add(f32x4.add(ep, fp), f32x4.add(gp, hp)));
    left = f64x2.add(left, lower(sum));
    right = f64x2.add(right, upper(sum));
  }
  for (; at < bytes; at += 16) {
    const e = exponentialBelow(v128.load(x + at), m);
    v128.store(out + at, e);
    left = f64x2.add(left, lower(e));
    right = f64x2.add(right, upper(e));
  }
  touched = near;
  return total(f64x2.add(left, right));
}

/** Writes exp(−|x|). */
export function exponentialsOfMinusSize(x: usize, bytes: usize, out: usize): void {
  let at: usize = 0;
  for (const sixteens = bytes & ~63; at < sixteens; at += 64) {
    const a = minusSize(v128.load(x + at, 0));
    const b = minusSize(v128.load(x + at, 16));
    const c = minusSize(v128.load(x + at, 32));
    const d = minusSize(v128.load(x + at, 48));
    const scale = v128.load(C, 16);
    const rounder = v128.load(C, 32);
    const lowest = v128.load(C, 0);
    const a0 = f32x4.pmax(a, lowest);
    const b0 = f32x4.pmax(b, lowest);
    const c0 = f32x4.pmax(c, lowest);
    const d0 = f32x4.pmax(d, lowest);
    const aw = f32x4.add(f32x4.mul(a0, scale), rounder);
    const bw = f32x4.add(f32x4.mul(b0, scale), rounder);
    const cw = f32x4.add(f32x4.mul(c0, scale), rounder);
    const dw = f32x4.add(f32x4.mul(d0, scale), rounder);
    const an = f32x4.sub(aw, rounder);
    const bn = f32x4.sub(bw, rounder);
    const cn = f32x4.sub(cw, rounder);
    const dn = f32x4.sub(dw, rounder);
    const high = v128.load(C, 48);
    let ar = f32x4.sub(a0, f32x4.mul(an, high));
    let br = f32x4.sub(b0, f32x4.mul(bn, high));
    let cr = f32x4.sub(c0, f32x4.mul(cn, high));
    let dr = f32x4.sub(d0, f32x4.mul(dn, high));
    const low = v128.load(C, 64);
    ar = f32x4.sub(ar, f32x4.mul(an, low));
    br = f32x4.sub(br, f32x4.mul(bn, low));
    cr = f32x4.sub(cr, f32x4.mul(cn, low));
    dr = f32x4.sub(dr, f32x4.mul(dn, low));
    const c6 = v128.load(C, 80);
    const c5 = v128.load(C, 96);
    let ap = f32x4.add(f32x4.mul(c6, ar), c5);
    let bp = f32x4.add(f32x4.mul(c6, br), c5);
    let cp = f32x4.add(f32x4.mul(c6, cr), c5);
    let dp = f32x4.add(f32x4.mul(c6, dr), c5);
    const c4 = v128.load(C, 112);
    ap = f32x4.add(f32x4.mul(ap, ar), c4);
    bp = f32x4.add(f32x4.mul(bp, br), c4);
    cp = f32x4.add(f32x4.mul(cp, cr), c4);
    dp = f32x4.add(f32x4.mul(dp, dr), c4);
    const c3 = v128.load(C, 128);
    ap = f32x4.add(f32x4.mul(ap, ar), c3);
    bp = f32x4.add(f32x4.mul(bp, br), c3);
    cp = f32x4.add(f32x4.mul(cp, cr), c3);
    dp = f32x4.add(f32x4.mul(dp, dr), c3);
    const c2 = v128.load(C, 144);
    ap = f32x4.add(f32x4.mul(ap, ar), c2);
    bp = f32x4.add(f32x4.mul(bp, br), c2);
    cp = f32x4.add(f32x4.mul(cp, cr), c2);
    dp = f32x4.add(f32x4.mul(dp, dr), c2);
    const c1 = v128.load(C, 160);
    ap = f32x4.add(f32x4.mul(ap, ar), c1);
    bp = f32x4.add(f32x4.mul(bp, br), c1);
    cp = f32x4.add(f32x4.mul(cp, cr), c1);
    dp = f32x4.add(f32x4.mul(dp, dr), c1);
    ap = f32x4.add(f32x4.mul(ap, ar), c1);
    bp = f32x4.add(f32x4.mul(bp, br), c1);
    cp = f32x4.add(f32x4.mul(cp, cr), c1);
    dp = f32x4.add(f32x4.mul(dp, dr), c1);
    v128.store(out + at, v128.andnot(i32x4.add(ap, i32x4.shl(aw, 23)), f32x4.lt(a, lowest)), 0);
    v128.store(out + at, v128.andnot(i32x4.add(bp, i32x4.shl(bw, 23)), f32x4.lt(b, lowest)), 16);
    v128.store(out + at, v128.andnot(i32x4.add(cp, i32x4.shl(cw, 23)), f32x4.lt(c, lowest)), 32);
    v128.store(out + at, v128.andnot(i32x4.add(dp, i32x4.shl(dw, 23)), f32x4.lt(d, lowest)), 48);
  }
  for (; at < bytes; at += 16) v128.store(out + at, expOfNegative(minusSize(v128.load(x + at))));
}

/** Writes log(1 + x) for 0 ≤ x ≤ 1. */
export function log1psOfUnit(x: usize, bytes: usize, out: usize): void {
  let at: usize = 0;
  for (const sixteens = bytes & ~63; at < sixteens; at += 64) {
    const a = v128.load(x + at, 0);
    const b = v128.load(x + at, 16);
    const c = v128.load(x + at, 32);
    const d = v128.load(x + at, 48);
    const two = v128.load(C, 240);
    const as = f32x4.div(a, f32x4.add(a, two));
    const bs = f32x4.div(b, f32x4.add(b, two));
    const cs = f32x4.div(c, f32x4.add(c, two));
    const ds = f32x4.div(d, f32x4.add(d, two));
    const az = f32x4.mul(as, as);
    const bz = f32x4.mul(bs, bs);
    const cz = f32x4.mul(cs, cs);
    const dz = f32x4.mul(ds, ds);
    const c3 = v128.load(C, 176);
    const c2 = v128.load(C, 192);
    let aq = f32x4.add(f32x4.mul(c3, az), c2);
    let bq = f32x4.add(f32x4.mul(c3, bz), c2);
    let cq = f32x4.add(f32x4.mul(c3, cz), c2);
    let dq = f32x4.add(f32x4.mul(c3, dz), c2);
    const c1 = v128.load(C, 208);
    aq = f32x4.add(f32x4.mul(aq, az), c1);
    bq = f32x4.add(f32x4.mul(bq, bz), c1);
    cq = f32x4.add(f32x4.mul(cq, cz), c1);
    dq = f32x4.add(f32x4.mul(dq, dz), c1);
    const c0 = v128.load(C, 224);
    aq = f32x4.add(f32x4.mul(aq, az), c0);
    bq = f32x4.add(f32x4.mul(bq, bz), c0);
    cq = f32x4.add(f32x4.mul(cq, cz), c0);
    dq = f32x4.add(f32x4.mul(dq, dz), c0);
    v128.store(out + at, f32x4.add(f32x4.mul(two, as), f32x4.mul(f32x4.mul(as, az), aq)), 0);
    v128.store(out + at, f32x4.add(f32x4.mul(two, bs), f32x4.mul(f32x4.mul(bs, bz), bq)), 16);
    v128.store(out + at, f32x4.add(f32x4.mul(two, cs), f32x4.mul(f32x4.mul(cs, cz), cq)), 32);
    v128.store(out + at, f32x4.add(f32x4.mul(two, ds), f32x4.mul(f32x4.mul(ds, dz), dq)), 48);
  }
  for (; at < bytes; at += 16) v128.store(out + at, log1pOfUnit(v128.load(x + at)));
}
