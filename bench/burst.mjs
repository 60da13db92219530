// How fast is a burst? Many 64-float requests to the null engine at once from one thread, until the last has its answer;
// and what each of them allocates, in native code and in JS (in processes of their own, see burst-costs.mjs).
import { execFileSync } from 'node:child_process'
import { performance } from 'node:perf_hooks'
import { at } from '../scripts/step.mjs'
import { inSubten } from './contenders.mjs'
import { interleave, median, millis, newHistogram, quantiles, randomRows, rounds } from './measure.mjs'
import { buildPrograms, program } from './programs.mjs'
import { number, ratioLine } from './report.mjs'

const COUNT = rounds(11)
const MS = millis(300)
const SIZES = [64, 256, 1024, 4096]
const BAR = { least: 2e6 }

export default async function measure() {
  await buildPrograms()
  const { model, close } = await inSubten('echo')
  const [input] = model.inputs
  const rowsOf = randomRows(4096, 64, 1).map((row) => ({ [input.name]: row }))
  const ways = {
    infer: (size) => Promise.all(rowsOf.slice(0, size).map((row) => model.infer(row))),
    inferMany: (size) => model.inferMany(rowsOf.slice(0, size)),
  }
  await checkAnswers(ways, rowsOf, input.name)
  const contenders = {}
  for (const size of SIZES) {
    for (const [way, send] of Object.entries(ways)) contenders[`${way}, ${size} at once`] = { send, size }
  }
  const found = await interleave(contenders, COUNT, ({ send, size }) => bursts(send, size))
  await close()
  const lines = []
  const rows = []
  const raw = { rates: {} }
  for (const [what, each] of Object.entries(found)) {
    const rates = each.map(({ rate }) => rate)
    raw.rates[what] = rates
    const isBar = contenders[what].size >= 256
    lines.push(rateLine(what, rates, isBar ? BAR : undefined))
    const times = quantiles(each.map(({ histogram }) => histogram))
    rows.push({ what: `a burst: ${what}`, ...times, rate: median(rates) })
  }
  lines.push(...nativeLines(raw), ...heapLines(raw))
  const notes = [
    'A burst is over when its last promise has resolved; rates are requests a second over whole bursts, one after another. p50 and p99 are those of a whole burst. `infer`: one call a row and Promise.all; `inferMany`: one call a burst.',
    "Native allocations are counted in a process of its own, with a counter before malloc (bench/native/allocations.cc): those of the addon, C++ library included, and those on its threads. Node's own there come with the wakes of the event loop. Bytes in JS are the growth of the heap over a burst without a garbage collection. `By hand` is a promise and a result object of the same form, made and resolved without any model: what is asked to be all. Buffers of results lie outside the heap, in both alike.",
  ]
  return { question: 'How fast is a burst of small requests, and what does each allocate?', lines, rows, notes, raw }
}

async function bursts(send, size) {
  const histogram = newHistogram()
  const start = performance.now()
  let done = 0
  let now = start
  while (now - start < MS) {
    await send(size)
    const before = now
    now = performance.now()
    histogram.record(Math.max(1, Math.round((now - before) * 1e6)))
    done += size
  }
  return { rate: (done / (now - start)) * 1000, histogram }
}

/** Every request gets its own row back. */
async function checkAnswers(ways, rowsOf, name) {
  for (const [way, send] of Object.entries(ways)) {
    const answers = await send(rowsOf.length)
    const wrong = answers.findIndex(({ output }, i) => output.data.some((value, j) => value !== rowsOf[i][name][j]))
    if (wrong >= 0) throw new Error(`${way}: request ${wrong} of a burst has the answer of another`)
  }
}

function rateLine(what, rates, bar) {
  const verdict = bar && ` → ${median(rates) >= bar.least ? 'PASS' : 'FALLS SHORT'} (at least ${millions(bar.least)})`
  return `${what}: ${millions(median(rates))} (rounds ${millions(Math.min(...rates))} to ${millions(Math.max(...rates))})${verdict ?? ''}`
}

const millions = (rate) => `${number(rate / 1e6)} M/s`

const run = (what, flags, env) =>
  JSON.parse(
    execFileSync(process.execPath, ['--expose-gc', ...flags, at('bench', 'burst-costs.mjs'), what], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    }),
  )

function nativeLines(raw) {
  if (process.platform !== 'linux' || !process.report.getReport().header.glibcVersionRuntime) {
    return ['native allocations: not counted, the counter stands before the malloc of glibc only']
  }
  raw.native = run('native', [], { LD_PRELOAD: program('allocations.node') })
  const { requests, addon, threads, node, all, proof } = raw.native
  const count = requests.toLocaleString('en-US')
  const none = addon === 0 && threads === node && node < requests / 100
  return [
    `native allocations in ${count} requests: ${addon} by the addon, ${threads - node} by others on its threads (loading a model: ${proof.addon}) → ${none ? 'PASS' : 'FALLS SHORT'} (none)`,
    `allocations by Node on those threads, when they wake the event loop: ${node}; of the whole process, V8's own included: ${number(all / requests)} a request`,
  ]
}

function heapLines(raw) {
  raw.heap = run('heap', ['--min-semi-space-size=64', '--max-semi-space-size=64'])
  const { infer, byHand, sites } = raw.heap
  const listed = sites.map(({ name, bytes }) => `${name} ${Math.round(bytes)}`).join(', ')
  return [
    ratioLine({
      name: 'JS heap a request / that of a promise and a result by hand',
      ratio: infer / byHand,
      bar: { most: 1.1 },
      detail: `${Math.round(infer)} bytes and ${Math.round(byHand)} bytes`,
    }),
    `where they are allocated, bytes a request by function: ${listed}`,
  ]
}
