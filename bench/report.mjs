// What a benchmark says: ratios first, then the table, then the machine; as text, markdown and JSON.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import { at } from '../scripts/step.mjs'

const require = createRequire(import.meta.url)

export function machine() {
  const cpus = os.cpus()
  const pinned = require('../scripts/onnxruntime.json').version
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cpus: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    virtual: / hypervisor /.test(readText('/proc/cpuinfo')),
    loadAtStart: os.loadavg()[0].toFixed(2),
    system: `${os.type()} ${os.release().split('-')[0]} ${os.arch()}`,
    node: process.version,
    compiler: compiler(),
    subten: `${require('../package.json').version} (ONNX Runtime ${pinned})`,
    'onnxruntime-node':
      JSON.parse(readText(at('node_modules/onnxruntime-node/package.json')) || '{}').version ?? 'absent',
  }
}

/** Starts to watch; the answer says what part of the CPUs' time went to programs other than this one and its children. */
export function watchOthers() {
  const before = busySeconds()
  return () => {
    const after = busySeconds()
    if (Number.isNaN(after.all)) return 'unknown'
    const others = after.all - before.all - (after.ours - before.ours)
    return `${Math.max(0, Math.round((100 * others) / (after.wall - before.wall)))}%`
  }
}

/** Seconds of CPU since the start: used by all (what a hypervisor took included), by us, and passed. Linux only. */
function busySeconds() {
  const all = readText('/proc/stat')
    .split('\n')[0]
    .split(/ +/)
    .slice(1, 9)
    .map((ticks) => Number(ticks) / 100)
  const [, own = ''] = readText('/proc/self/stat').split(') ')
  const ours = own
    .split(' ')
    .slice(11, 15)
    .reduce((total, ticks) => total + Number(ticks) / 100, 0)
  const wall = all.reduce((total, seconds) => total + seconds, 0)
  return { all: all.length === 8 ? wall - all[3] - all[4] : Number.NaN, ours, wall }
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function compiler() {
  try {
    return `g++ ${execFileSync('g++', ['-dumpfullversion'], { encoding: 'utf8' }).trim()}`
  } catch {
    return 'absent'
  }
}

const digits = (value) => (value >= 100 ? 0 : value >= 10 ? 1 : 2)
export const number = (value) =>
  value.toLocaleString('en-US', { maximumFractionDigits: digits(value), minimumFractionDigits: digits(value) })
export const micros = (us) => (us === undefined ? '–' : us >= 1000 ? `${number(us / 1000)} ms` : `${number(us)} µs`)
const perSecond = (rate) => (rate === undefined ? '–' : `${Math.round(rate).toLocaleString('en-US')}/s`)

/**
 * A ratio line. `ratio` is a number or what `paired` gives; `bar` is `{ least }` or `{ most }`. With `even: true` it also
 * passes where the middle half of the rounds holds the bar: no difference can be told.
 */
export function ratioLine({ name, ratio, bar, detail }) {
  const value = typeof ratio === 'number' ? ratio : ratio.median
  const spread =
    typeof ratio === 'number' ? '' : ` (middle half of the rounds ${number(ratio.low)} to ${number(ratio.high)})`
  const even = bar?.even && typeof ratio !== 'number' && ratio.low <= bar.most && bar.most <= ratio.high
  return `${name}: ${number(value)}×${spread}${detail ? `; ${detail}` : ''}${verdict(even ? bar.most : value, bar, '×')}`
}

/**
 * A ratio `{ value, low, high }` with its interval, for differences so small that a median without one says nothing.
 * With a bar `{ least }` it passes where the whole interval lies above, and falls short where it lies below.
 */
export function intervalLine({ name, ratio, bar, detail }) {
  const { value, low, high } = ratio
  const [text, from, to] = [value, low, high].map((each) => each.toFixed(4))
  const passes = low > bar?.least ? 'PASS' : high < bar?.least ? 'FALLS SHORT' : 'UNRESOLVED'
  const verdict = bar === undefined ? '' : ` → ${passes} (all of the interval above ${number(bar.least)})`
  return `${name}: ${text}× (95 % interval ${from} to ${to})${detail ? `; ${detail}` : ''}${verdict}`
}

/** A line for a figure that is no ratio, in microseconds. */
export const figureLine = ({ name, us, bar, detail }) =>
  `${name}: ${micros(us)}${detail ? `; ${detail}` : ''}${verdict(us, bar, ' µs')}`

function verdict(value, bar, unit) {
  if (bar === undefined) return ''
  const passes = bar.least === undefined ? value <= bar.most : value >= bar.least
  const asked = bar.least === undefined ? `at most ${number(bar.most)}` : `at least ${number(bar.least)}`
  return ` → ${passes ? 'PASS' : 'FALLS SHORT'} (${asked}${unit}${bar.even ? ', or within the spread' : ''})`
}

const HEAD = ['what', 'p50', 'p99', 'rate', 'calls timed']
const cells = (row) => [
  row.what,
  micros(row.p50),
  micros(row.p99),
  perSecond(row.rate),
  row.calls?.toLocaleString('en-US') ?? '–',
]

/** A result `{ question, lines, rows, notes }` as plain text. */
export function asText(result, on) {
  const table = [HEAD, ...result.rows.map(cells)]
  const widths = HEAD.map((_, i) => Math.max(...table.map((row) => row[i].length)))
  const rows = table.map((row) =>
    row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  '),
  )
  const facts = Object.entries(on).map(([name, value]) => `${name}: ${value}`)
  const notes = result.notes?.length ? ['', ...result.notes] : []
  return [result.question, '', ...result.lines, '', ...rows, ...notes, '', facts.join(' · ')].join('\n')
}

export function asMarkdown(result, on) {
  const table = [HEAD, ['---', '---:', '---:', '---:', '---:'], ...result.rows.map(cells)]
  return [
    `# ${result.question}`,
    '',
    `\`npm run bench ${result.name}\``,
    '',
    ...result.lines.map((line) => `- ${line}`),
    '',
    ...table.map((row) => `| ${row.join(' | ')} |`),
    '',
    ...(result.notes ?? []).flatMap((note) => [note, '']),
    Object.entries(on)
      .map(([name, value]) => `${name}: ${value}`)
      .join(' · '),
    '',
  ].join('\n')
}
