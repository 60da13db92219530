// npm run study:batching: simulates the batching policies under many loads and writes docs/figures/batching/*.json and
// *.svg, and the tables in docs/batching.md. The same seeds give the same files. Needs the built addon. About a minute.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fromSources } from './sources.mjs'
import { at, main, say } from './step.mjs'

const MS = 1e6
const POLICIES = ['slo', 'static', 'none', 'aimd', 'regression', 'clockwork', 'symphony']
const DELAYS = [0, 0.25, 0.5, 1, 2, 4] // ms, for the best static setting
const LOADS = [0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 1.6, 1.8, 2.0]
const SEEDS = 3

const line = (baseMs, rowMs) => ({ baseNs: baseMs * MS, rowNs: rowMs * MS })
const SCENES = {
  a: {
    title: '1 ms + 0.1 ms a row, batch 8, 10 ms',
    engine: { instances: 1, ...line(1, 0.1) },
    maxBatch: 8,
    targetNs: 10 * MS,
    seconds: 20,
  },
  b: {
    title: '1 ms + 0.1 ms a row, batch 8, 4 ms',
    engine: { instances: 1, ...line(1, 0.1) },
    maxBatch: 8,
    targetNs: 4 * MS,
    seconds: 20,
  },
  c: {
    title: '8 GPUs, 1.5 ms + 0.08 ms a row, batch 64, 25 ms',
    engine: { instances: 8, ...line(1.5, 0.08) },
    maxBatch: 64,
    targetNs: 25 * MS,
    seconds: 3,
  },
  e: {
    title: 'no gain from batching: 0.5 ms a row, 10 ms',
    engine: { instances: 1, ...line(0, 0.5) },
    maxBatch: 8,
    targetNs: 10 * MS,
    seconds: 20,
  },
}

let simulate, together, linePlot

async function load() {
  ;({ simulate, together, linePlot } = await fromSources('src/cli/simulation.ts', 'src/cli/line-plot.ts'))
}

async function run(scene, { load, kind = 'poisson', policy = 'slo', delayMs = 0, maxQueue, probe = 0, ...more }) {
  const saturation = ratesOf(scene)
  const options = (seed) => ({
    load: { kind, cv: 4, rate: saturation * load, durationNs: scene.seconds * 1000 * MS, warmUpNs: 1000 * MS, ...more },
    engine: { noise: 0.05, ...scene.engine },
    policy: { kind: policy, delayNs: delayMs * MS },
    targetNs: scene.targetNs,
    maxBatch: scene.maxBatch,
    maxQueue,
    probe,
    seed,
  })
  return together(await Promise.all(Array.from({ length: SEEDS }, (_, i) => simulate(options(i + 1)))))
}

function ratesOf({ engine, maxBatch }) {
  let best = 0
  for (let rows = 1; rows <= maxBatch; rows++)
    best = Math.max(best, rows / ((engine.baseNs + rows * engine.rowNs) / 1e9))
  return best * engine.instances
}

const perSecond = (count, f) => count / (f.spanNs / 1e9)
const good = (f) => perSecond(f.good, f)

/** The static setting with the most goodput at a load, of a sweep over delays. */
async function bestStatic(scene, how, by = good) {
  let best
  for (const delayMs of DELAYS) {
    const figures = await run(scene, { ...how, policy: 'static', delayMs })
    if (!best || by(figures) > by(best.figures)) best = { delayMs, figures }
  }
  return best
}

/** The same where `max_queue_size` is tuned as well, in full batches of all instances: a queue that short sheds load. */
async function bestBounded(scene, how) {
  let best
  for (const batches of [0.5, 1, 2, 3, 4, 6, 8]) {
    for (const delayMs of [0, 0.5]) {
      const maxQueue = Math.max(1, Math.round(batches * scene.maxBatch * scene.engine.instances))
      const figures = await run(scene, { ...how, policy: 'static', delayMs, maxQueue })
      if (!best || good(figures) > good(best.figures)) best = { delayMs, maxQueue, figures }
    }
  }
  return best
}

/** The most goodput that a static setting has at any load. */
async function staticSaturation(scene) {
  let most = 0
  for (const load of [0.8, 0.9, 0.95, 1]) most = Math.max(most, good((await bestStatic(scene, { load })).figures))
  return most
}

function brief({ offeredSeries: _o, goodSeries: _g, windowNs: _w, ...figures }) {
  return figures
}

async function curves() {
  for (const [name, scene] of Object.entries(SCENES)) {
    for (const kind of ['poisson', 'gamma']) {
      say(`${name}, ${kind}`)
      const lines = []
      for (const policy of POLICIES) {
        const points = []
        for (const load of LOADS) {
          const f = await run(scene, { load, kind, policy })
          points.push({ load, ...brief(f) })
        }
        lines.push({ policy, points })
      }
      const file = at('docs', 'figures', 'batching', `${name}-${kind}`)
      const saturation = ratesOf(scene)
      writeFileSync(`${file}.json`, `${JSON.stringify({ scene, kind, saturation, lines })}\n`)
      const plot = {
        title: `${scene.title}; ${kind === 'gamma' ? 'bursts, cv 4' : 'Poisson'}`,
        x: 'offered load, of what the instances can do at best',
        y: 'goodput, of the same',
        yMax: 1.05,
        lines: lines.map(({ policy, points }) => ({
          name: policy,
          points: points.map((f) => [f.load, good(f) / saturation]),
        })),
      }
      writeFileSync(`${file}.svg`, linePlot(plot))
    }
  }
}

const ms = (ns) => (ns < 0 ? 'missed' : (ns / MS).toFixed(2))
const ratio = (value) => value.toFixed(2)
const missed = (f) => `${(((f.dropped + f.expired + f.late) / f.admitted) * 100).toFixed(2)} %`

async function mustShow() {
  const rows = []
  for (const name of ['a', 'b', 'c', 'e']) {
    const scene = SCENES[name]
    const most = await staticSaturation(scene)
    for (const load of [1.2, 2]) {
      const ours = await run(scene, { load })
      const fixed = await bestStatic(scene, { load })
      const bounded = await bestBounded(scene, { load })
      rows.push([
        scene.title,
        `${load * 100} %`,
        ratio(good(ours) / most),
        ratio(good(fixed.figures) / most),
        `${ratio(good(bounded.figures) / most)} (${bounded.maxQueue})`,
        ms(ours.admittedP99),
        missed(ours),
      ])
    }
  }
  const overload = table(
    [
      'engine, batch, deadline',
      'load',
      'slo',
      'best static',
      'with a tuned queue size',
      'p99 of admitted, ms',
      'of admitted missed',
    ],
    rows,
  )

  const normal = []
  for (const name of ['a', 'b', 'c']) {
    const scene = SCENES[name]
    const ours = await run(scene, { load: 0.7 })
    const fixed = await bestStatic(scene, { load: 0.7 }, (f) => -f.answeredP99)
    normal.push([
      scene.title,
      ms(ours.answeredP50),
      ms(fixed.figures.answeredP50),
      ms(ours.answeredP99),
      ms(fixed.figures.answeredP99),
      `${((ours.refused / ours.offered) * 100).toFixed(2)} %`,
    ])
  }
  const at70 = table(
    ['engine, batch, deadline', 'p50 slo', 'p50 static', 'p99 slo', 'p99 best static', 'slo refused'],
    normal,
  )

  const bursts = []
  for (const name of ['a', 'b', 'c']) {
    const scene = SCENES[name]
    for (const load of [0.5, 0.7, 0.9, 1.2]) {
      const how = { load, kind: 'gamma' }
      const ours = good(await run(scene, how))
      const fixed = good((await bestStatic(scene, how)).figures)
      const bounded = good((await bestBounded(scene, how)).figures)
      const times = (other) => (ours > 100 * other ? 'over 100' : ratio(ours / other))
      const rivals = [times(bounded)]
      for (const policy of ['regression', 'clockwork', 'symphony'])
        rivals.push(times(good(await run(scene, { ...how, policy }))))
      bursts.push([scene.title, `${load * 100} %`, times(fixed), ...rivals])
    }
  }
  const bursty = table(
    [
      'engine, batch, deadline',
      'load',
      'against best static',
      'with a tuned queue size',
      'regression',
      'clockwork',
      'symphony',
    ],
    bursts,
  )

  const burnt = []
  for (const load of [0.7, 1, 1.2, 2]) {
    const how = { load, burnt: [0, 0.8] }
    const ours = await run(SCENES.a, how)
    const untold = await run(SCENES.a, { ...how, budgetTold: false })
    const bounded = (await bestBounded(SCENES.a, how)).figures
    burnt.push([
      `${load * 100} %`,
      ratio(good(ours) / good(untold)),
      ratio(good(ours) / good(bounded)),
      missed(ours),
      missed(untold),
    ])
  }
  const budgets = table(
    [
      'load',
      'goodput, told against not told',
      'against static with a tuned queue size',
      'of admitted missed',
      'not told',
    ],
    burnt,
  )

  const slower = []
  for (const load of [0.7, 1.2, 2]) {
    const tuned = await bestBounded(SCENES.a, { load })
    const slow = { ...SCENES.a, engine: { ...SCENES.a.engine, drifts: [[2000 * MS, 2]] } }
    const ours = await run(slow, { load })
    const fixed = await run(slow, { load, policy: 'static', delayMs: tuned.delayMs, maxQueue: tuned.maxQueue })
    slower.push([`${load * 100} %`, tuned.maxQueue, ratio(good(ours) / good(fixed)), missed(ours), missed(fixed)])
  }
  const drift = table(
    ['load', 'tuned queue size', 'goodput, slo against static', 'of admitted missed', 'static'],
    slower,
  )

  const wrong = []
  for (const [label, scene, how] of [
    ['a, 120 %', SCENES.a, { load: 1.2 }],
    ['a, 200 %', SCENES.a, { load: 2 }],
    ['a, bursts, 90 %', SCENES.a, { load: 0.9, kind: 'gamma' }],
    ['b, 90 %', SCENES.b, { load: 0.9 }],
    ['b, bursts, 90 %', SCENES.b, { load: 0.9, kind: 'gamma' }],
    ['a, burnt, 120 %', SCENES.a, { load: 1.2, burnt: [0, 0.8] }],
  ]) {
    const f = await run(scene, { ...how, probe: 500 })
    const share = (part, of) => (of === 0 ? '-' : `${((part / of) * 100).toFixed(1)} %`)
    wrong.push([label, share(f.refused, f.offered), `${share(f.probedGood, f.probed)} of ${f.probed}`, missed(f)])
  }
  const errors = table(['load', 'refused', 'would have made it', 'admitted, but missed'], wrong)
  return { overload, at70, bursty, budgets, drift, errors }
}

function table(head, rows) {
  const row = (cells) => `| ${cells.join(' | ')} |`
  return [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')
}

main(async () => {
  await load()
  mkdirSync(at('docs', 'figures', 'batching'), { recursive: true })
  if (!process.argv.includes('--tables')) await curves()
  say('tables')
  const tables = await mustShow()
  writeFileSync(at('docs', 'figures', 'batching', 'tables.json'), `${JSON.stringify(tables, null, 2)}\n`)
  const page = at('docs', 'batching.md')
  let text = readFileSync(page, 'utf8')
  for (const [name, lines] of Object.entries(tables)) {
    const place = new RegExp(`(<!-- ${name} -->\\n)[\\s\\S]*?(<!-- /${name} -->)`)
    text = text.replace(place, (_all, open, close) => `${open}\n${lines}\n\n${close}`)
  }
  writeFileSync(page, text)
})
