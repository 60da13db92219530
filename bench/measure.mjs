// How everything here is measured: contenders take turns in short rounds within one process, so that whatever else the
// machine does in that second meets them all; a ratio is made within a round, and the median of the rounds is given.
import { createHistogram, performance } from 'node:perf_hooks'

const QUICK = process.env.SUBTEN_BENCH_QUICK === '1'

/** Rounds and milliseconds as a benchmark states them; SUBTEN_BENCH_QUICK=1 is for trying the programs, not for figures. */
export const rounds = (count) => (QUICK ? 3 : count)
export const millis = (ms) => (QUICK ? Math.ceil(ms / 4) : ms)
export const isQuick = QUICK

export const newHistogram = () => createHistogram({ lowest: 1, highest: 3_600e9, figures: 3 })
const nowNs = () => performance.now() * 1e6
const record = (histogram, ns) => histogram.record(Math.max(1, Math.round(ns)))

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Calls a second of `callers` that each send again when they have their answer. Every 32nd call reads the clock. */
export async function closedRate(call, callers, ms) {
  let done = 0
  let over = false
  const start = performance.now()
  const end = start + ms
  const caller = async () => {
    while (!over) {
      await call()
      if ((++done < 64 || (done & 31) === 0) && performance.now() >= end) over = true
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return (done / (performance.now() - start)) * 1000
}

/** The same with two clock readings a call: the time of each. */
export async function closedLatency(call, callers, ms) {
  const histogram = newHistogram()
  const start = nowNs()
  const end = start + ms * 1e6
  const caller = async () => {
    for (let sent = nowNs(); sent < end; ) {
      await call()
      const now = nowNs()
      record(histogram, now - sent)
      sent = now
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return histogram
}

/** `count` calls of `callers`, for calls so slow that a round is a number of them: rate and the time of each. */
export async function closedCount(call, callers, count) {
  const histogram = newHistogram()
  let started = 0
  const start = nowNs()
  const caller = async () => {
    while (started++ < count) {
      const sent = nowNs()
      await call()
      record(histogram, nowNs() - sent)
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return { rate: (count / (nowNs() - start)) * 1e9, histogram }
}

/** Time of one synchronous call after another. */
export function syncLatency(call, ms) {
  const histogram = newHistogram()
  const end = nowNs() + ms * 1e6
  for (let start = nowNs(); start < end; ) {
    call()
    const now = nowNs()
    record(histogram, now - start)
    start = now
  }
  return histogram
}

/**
 * Runs `measure(contender)` for each contender in turn, `count` rounds after one that is thrown away; every round starts
 * with another one. Returns what each measured, by round.
 */
export async function interleave(contenders, count, measure) {
  const names = Object.keys(contenders)
  const results = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = -1; round < count; round++) {
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + round + names.length) % names.length]
      await new Promise((resolve) => setTimeout(resolve, 5)) // pools and spinners of the one before go to rest
      const result = await measure(contenders[name], round, name)
      if (round >= 0) results[name].push(result)
    }
  }
  return results
}

/** Rate and latency of `{ name: call }` with `callers` in flight. Rate and latency have rounds of their own. */
export async function compareClosed(calls, { callers, count, ms }) {
  const rates = await interleave(calls, count, (call) => closedRate(call, callers, ms))
  const times = await interleave(calls, count, (call) => closedLatency(call, callers, ms))
  return Object.fromEntries(
    Object.keys(calls).map((name) => [
      name,
      { rates: rates[name], rate: median(rates[name]), ...quantiles(times[name]) },
    ]),
  )
}

/** p50 and p99 over all rounds (microseconds), and of each round. */
export function quantiles(histograms) {
  const all = newHistogram()
  for (const histogram of histograms) all.add(histogram)
  const us = (histogram, part) => histogram.percentile(part) / 1000
  return {
    calls: all.count,
    p50: us(all, 50),
    p99: us(all, 99),
    p50s: histograms.map((histogram) => us(histogram, 50)),
    p99s: histograms.map((histogram) => us(histogram, 99)),
  }
}

/** The ratio of two lists of rounds, pair by pair: its median and its middle half. */
export function paired(over, under) {
  const each = over.map((value, i) => value / under[i]).sort((a, b) => a - b)
  const at = (part) => each[Math.round(part * (each.length - 1))]
  return { median: median(each), low: at(0.25), high: at(0.75) }
}

export function mulberry32(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** `count` rows of uniform numbers from a seed. */
export function randomRows(count, length, seed) {
  const random = mulberry32(seed)
  return Array.from({ length: count }, () => Float32Array.from({ length }, random))
}

/** A function that gives the elements of a list in turn. */
export function inTurn(list) {
  let next = 0
  return () => list[next++ % list.length]
}
