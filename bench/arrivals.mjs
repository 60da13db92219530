// Load from outside: another process sends at the times of a Poisson process, whatever becomes of it, and the event loop
// hears of it through a socket, as a server does. Nothing in this process runs while nothing arrives.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { newHistogram } from './measure.mjs'
import { program, runProgram } from './programs.mjs'

const BYTES = 8
/** Numbers in one read. After a stall the rest waits in the socket, as connections would, while answers are handed out. */
const AT_ONCE = 64

/** Starts the sender; it waits at `path` for the one who connects. */
async function startSender({ perSecond, ms, seed }) {
  const folder = mkdtempSync(join(tmpdir(), 'subten-bench-'))
  const path = join(folder, 'arrivals')
  const args = [path, String(perSecond), String(ms), String(seed)]
  const child = spawn(program('arrivals'), args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  const [line] = await Promise.race([once(child.stdout, 'data'), ended])
  if (String(line).trim() !== 'ready') throw new Error('the program that sends arrivals did not start')
  const end = async () => {
    const [code] = await ended
    rmSync(folder, { recursive: true, force: true })
    if (code !== 0) throw new Error(`the program that sends arrivals ended with exit code ${code}`)
  }
  return { path, end }
}

/**
 * Calls `call` for every arrival. Latency counts from the time at which the request should have been sent, so a stall is
 * seen by every request that it delayed. `cpu` is the CPU time of this process, all its threads, microseconds a request.
 */
export async function openLoop(call, { perSecond, ms, seed }) {
  const { path, end } = await startSender({ perSecond, ms, seed })
  const histogram = newHistogram()
  const clock = clockOffset()
  let sent = 0
  let open = 0
  let refused = 0
  let allSent = false
  let failure
  let finish
  const finished = new Promise((resolve) => {
    finish = resolve
  })
  const over = () => {
    if (--open === 0 && allSent) finish()
  }
  const arrive = (intended) => {
    sent++
    open++
    const answered = () => {
      histogram.record(Math.max(1, Math.round(performance.now() * 1e6 + clock - intended)))
      over()
    }
    const failed = (error) => {
      if (error.code === 'QUEUE_FULL') refused++
      else failure ??= error
      over()
    }
    call().then(answered, failed)
  }
  const before = process.cpuUsage()
  const start = performance.now()
  let held = Buffer.alloc(0) // a number that came in part
  const buffer = Buffer.alloc(AT_ONCE * BYTES)
  const callback = (length) => {
    let bytes = buffer.subarray(0, length)
    if (held.length) bytes = Buffer.concat([held, bytes])
    const whole = bytes.length - (bytes.length % BYTES)
    for (let i = 0; i < whole; i += BYTES) arrive(bytes.readDoubleLE(i))
    held = whole === bytes.length ? held.subarray(0, 0) : Buffer.from(bytes.subarray(whole))
    return true
  }
  const socket = net.connect({ path, onread: { buffer, callback } })
  await once(socket, 'close')
  allSent = true
  if (open > 0) await finished
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(before)
  await end()
  if (failure) throw failure
  return { histogram, sent, refused, seconds, cpu: (user + system) / sent }
}

/** The same arrivals to the C++ program that makes the same hops, with `busyNs` of work a row. Microseconds. */
export async function openFloor({ perSecond, ms, seed, busyNs = 0 }) {
  const { path, end } = await startSender({ perSecond, ms, seed })
  const found = await runProgram('open_floor', [path, busyNs])
  await end()
  return { p50: found.p50_ns / 1e3, p99: found.p99_ns / 1e3, p999: found.p999_ns / 1e3, calls: found.n }
}

/** What to add to performance.now() in nanoseconds for the monotonic clock that other processes read. */
function clockOffset() {
  let best = { width: Infinity, offset: 0 }
  for (let i = 0; i < 20; i++) {
    const early = performance.now()
    const clock = Number(process.hrtime.bigint())
    const late = performance.now()
    if (late - early < best.width) best = { width: late - early, offset: clock - ((early + late) / 2) * 1e6 }
  }
  return best.offset
}
